// Package cluster makes Kubernetes clusters out of the rig's node image and takes
// them away again, in three ways: through k3d's Go module, through kind's, and
// plain, with calls to the Docker engine only, for a cluster that no known tool
// made. Whoever uses a cluster sees no difference: nodes, a kubeconfig, and a way
// to bring images into a node.
//
// # What is whose
//
// A cluster is the rig's when its record lies in the state folder, or when a
// container of it has the label LabelCluster; kind sets no labels of others, so
// its nodes are known by their image, or by the label that it gave them. A record names its engine: on another one
// the cluster is not listed, its name is refused, and who asks for it is told the
// address of its engine. Other clusters of the engine are never
// listed, changed or deleted, and a name that is taken is refused.
//
// A record is written before the first container is made, so that what a killed
// process leaves behind can still be deleted. A cancelled or failed Create
// deletes what it began before it returns.
//
// # How the host reaches it
//
// The API server by 127.0.0.1 and a port of the host that stays the same when
// the node is stopped and started. Nodes and load balancer addresses directly,
// by the bridge of the cluster's network: that holds where the engine runs on
// this machine's kernel, which is the only place the rig runs. The kubeconfig is
// a file of its own, mode 0600, below the state folder; the user's own
// kubeconfig is never read or written.
//
// k3d and kind find the engine by DOCKER_HOST in this process's environment;
// kind also needs the docker command. k3d's other settings, the images of its
// helpers and the engine's socket, are put into the environment by a Create.
//
// # Bounds
//
// The package builds and pulls no image: what a Create needs has to be in the
// engine. kind puts an image of its own, which the rig does not have, before more
// than one server; so it is asked for one server only. On kind the server keeps
// Kubernetes' usual taint; on the others pods run on servers too.
package cluster
