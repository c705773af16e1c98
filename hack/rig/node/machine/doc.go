// Package machine readies the container that a node is for containerd and
// kubelet, the way an init system does for a machine: mounts, identity, control
// groups, capabilities, containerd's configuration, the images that came with
// the node, and the traces of an address that changed over a restart.
//
// It touches only the node's own file system and control groups. The packet
// filter is package network's.
package machine
