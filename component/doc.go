// Package component says what there should be of each component on Kubernetes: a
// chart with its values, under which name and in which namespace, what others may
// use of it, and by which signs it is ready. A folder below is one component.
//
// It is what is wanted of a profile, and pure, but for the probes, which are clients
// like any other. How a Release reaches a cluster is a deployer's to know: the same
// charts and values go by Helm and by Argo CD. Names are those of the real
// deployment, so that a client's manifest works in both.
package component
