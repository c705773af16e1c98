// Package kube holds what a test needs to use a cluster: to apply manifests and
// minimal charts, to wait for what they make with a reason when it does not come,
// and to read logs. It knows the Kubernetes API and nothing of the rig.
package kube
