// Command rig makes real Kubernetes clusters and the stack's real components on a
// machine that reaches package registries only, no image registry: it builds every
// part from its published source or package, makes images and a bundle of them, and
// starts clusters out of them.
//
//	go run ./hack/rig all        # engine, parts, images, bundle: what `make rig` does
//	go run ./hack/rig cluster    # a cluster of one server and two agents
//	go run ./hack/rig down       # takes every cluster away again
//
// What it keeps lies in one cache folder: $ALERTLAB_RIG_CACHE, else alertlab/rig in
// the user's cache folder. docs/rig.md tells how it works.
//
// The command only composes: parts builds, images packs, engine runs Docker, cluster
// makes clusters. Nothing of the product imports it.
package main
