// Package kube holds what it takes to use a cluster: to apply manifests, to wait by
// watching for what they make, with a verdict as soon as there is a cause that no
// waiting will cure, and to read logs. It knows the Kubernetes API and nothing of
// labs, and imports nothing of ours.
package kube
