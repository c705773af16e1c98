// Package nodes is what the providers have in common whose clusters have containers of
// this machine for nodes: the part of the cluster, and the images in its nodes.
// Everything else of such a lab is what package component describes. How a cluster is
// made is its maker's to know: packages k3d and kind.
//
// # What is whose
//
// A cluster is a lab's when each of its containers says so. One of that name whose
// containers do not is never started, stopped, changed or deleted; a lab that would
// need its name says so. The kubeconfig is a file in the lab's own directory; the
// user's is neither read nor written.
//
// # How the host reaches it
//
// The API server by 127.0.0.1 and a port that stays. Nodes by their own addresses in
// the cluster's network: that needs an engine on this machine's own kernel.
//
// # Images
//
// Our own image is made of the running binary, and goes into each node by its
// containerd, one node after the other: k3d's own import goes to all at once and
// hangs when one fails. Other images come from a bundle, where the lab has one, else
// the nodes pull them.
package nodes
