// crictl answers the questions that kind asks of cri-tools inside a node:
// `crictl inspecti IMAGE` (is the image there, under which ID and names) and
// `crictl images` (for exported logs). It speaks the container runtime
// interface to containerd's socket and changes nothing.
package main
