// Package k3d makes clusters of k3s in containers of this machine, by k3d's Go module.
// What is done with them is package nodes'.
//
// Every container carries the label nodes.LabelLab. k3d hands out the nodes' addresses
// itself, so that they stay over a stop.
package k3d
