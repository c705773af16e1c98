// Package helm is the deployer that needs nothing in the cluster: one Helm release
// for each component, by Helm's Go library. A Part carries out what package
// component describes; it waits for what the chart made by watching it, and says
// why when it does not come.
//
// Helm's own waiting is not used: it polls, and it names no cause.
package helm
