// Package existing is the provider that runs a lab on a cluster which was there before,
// named by a context of a kubeconfig: it looks at what the cluster has, claims the lab's
// namespaces, and brings what is missing. Everything else of such a lab is what package
// component describes.
//
// # What is whose
//
// An object is a lab's when it carries the label alertlab.dev/lab with the lab's name.
// Nothing else is ever changed or deleted, but for one thing: a volume of the lab that
// its profile wants to be retained gets that reclaim policy. A namespace without the
// label is refused, unless it is to be adopted; then it stays what it is, and is not
// deleted with the lab. The user's kubeconfig is only read: the lab has a file of its
// own with the one context.
//
// # What a cluster has one of for everybody
//
// MetalLB, cert-manager and operators are the whole cluster's. Where somebody has brought one it is
// used and left ([Shared], [Found]); where there is none the lab brings it as a release
// ([Brought]), and takes it away again with the lab, but for definitions of which others
// have objects by then ([StaysAt]).
//
// # Down and up
//
// The lab is stopped by scaling its workloads to zero, those first that it brought for the
// whole cluster. Claims, volumes, Services and so addresses stay. Who applies a workload
// anew scales it back. What operators run of the lab, whose they may be, is halted by who
// knows of them ([Operated]), and before a purge deletes anything they let go of what they
// hold.
package existing
