// Package charts holds our Helm charts, one for each component that runs on
// Kubernetes. A chart says which objects there are; what they are filled with, a
// component's values, comes from package component, and how they reach a cluster is
// a deployer's to know. So this package reads files and nothing else: it imports
// nothing of ours and no Helm.
//
// What all charts have in common lies once, in the folder common, and is put beside
// each chart's own templates when it is read. A chart that is read is complete: it
// can be installed by any Helm, or served by a registry.
package charts
