// Package manifests holds what a node installs in its cluster (pod network,
// DNS, and local storage where its images are at hand), rendered for one
// cluster, and the loop that applies every file of a folder again whenever it
// changed: k3s's deploy controller in small. Unlike k3s's it does not delete
// what a removed file once installed.
package manifests
