// Package fit schedules a lab's pods on paper: before anything is pulled it says which
// of them find a node, and why the others do not. It knows what Kubernetes' scheduler
// goes by (requests, taints, required anti-affinity, storage classes), and one thing that
// the scheduler does not: nodes that are containers of one machine each report all of it,
// so that the sum of requests is held against the machine once.
//
// It is pure, and imports nothing of Kubernetes.
package fit
