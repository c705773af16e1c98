// Package k3d is the provider that runs a lab on a k3s cluster in containers of this
// machine, made by k3d's Go module: the cluster with the nodes that a profile asks
// for, and the images in its nodes. Everything else of such a lab is what package
// component describes.
//
// # What is whose
//
// A cluster is a lab's when each of its nodes carries the label LabelLab with the
// lab's name. One of that name without the label is never started, stopped, changed
// or deleted; a lab that would need its name says so. The kubeconfig is a file in the
// lab's own directory; the user's is neither read nor written.
//
// # How the host reaches it
//
// The API server by 127.0.0.1 and a port that stays. Nodes by their own addresses in
// the cluster's network, which k3d hands out so that they stay over a stop: that
// needs an engine on this machine's own kernel.
//
// # Images
//
// Our own image is made of the running binary, and goes into each node by its
// containerd, one node after the other: k3d's own import goes to all at once and
// hangs when one fails. Other images come from a bundle, where the lab has one, else
// the nodes pull them.
package k3d
