// Package profiles holds environments as data: one YAML file for each, the Go
// types it is read into, and everything that can be known to be wrong with it
// before a lab exists.
//
// It is a leaf: it decides nothing about components, providers or hosts, opens
// no connection and prints nothing. Adding an environment adds one YAML file.
package profiles
