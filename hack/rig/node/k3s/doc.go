// Package k3s reads the words, flags and environment with which k3d starts the
// nodes of a cluster (those of k3s), and says what a node built on kubeadm is
// to do. It only reads: no file, no process, no network.
//
// What of k3s has no counterpart here is kept with its value in
// Options.Ignored, so that the node's log names it; a value that cannot be
// right is an error before anything is started.
package k3s
