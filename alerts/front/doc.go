// Package front stands before services where the outside world reaches them, as an
// ingress does at the observatory's sites: before the schema registry, which may be
// read there and not changed, and before the alert database, which asks for a token
// with a scope. At the sites a controller's configuration does this; here it holds
// behind any controller, or none.
//
// It knows of a service only its address or handler, and its form of an error.
package front
