// Package front stands before the schema registry where the outside world
// reaches it, and lets it be read and not be changed. At the observatory's sites
// an ingress controller does this by a snippet of its configuration; here it
// holds behind any controller, or none.
//
// It knows of the registry only its address and its form of an error.
package front
