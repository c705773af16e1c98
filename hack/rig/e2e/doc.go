// Package e2e holds the rig's end-to-end test: a cluster with the components of the
// stack on it, each seen to do its work from the host, and nothing left behind.
//
// It has no code but its tests. They make real clusters, so they run by
// `go run ./hack/rig e2e` (make e2e), which gives them an engine and the bundle in
// the environment, and say so otherwise. What a test looks at, it looks at from
// outside: as a client of an address, of the Kubernetes API, or of Argo CD's.
package e2e
