// Package service keeps the long-running programs of a node up (containerd,
// kubelet) and lets another process of the node start, stop and restart them:
// the part that systemd has on a machine. It knows nothing of what the
// programs do.
//
// A Manager runs in the node's first process; Ask speaks to it over a unix
// socket from the stand-in for systemctl.
package service
