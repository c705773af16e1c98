// Package ext stands for the module of this name that Traefik's go.mod takes
// from a folder of its own repository. The folder is not in the module that is
// published, and the sources want only these two types of it, embedded in
// their configuration. With no fields they add nothing to it.
package ext

// HTTP is embedded in the HTTP configuration.
type HTTP struct{}

// Router is embedded in the configuration of a router.
type Router struct{}
