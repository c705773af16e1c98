// lb is the load balancer node of a k3d cluster: it forwards TCP connections
// to the cluster's nodes as the file /etc/confd/values.yaml says, which k3d
// writes before the first start and again whenever nodes or ports change. Each
// time the file was taken over it prints the line that k3d waits for.
//
// It forwards bytes and knows nothing of what they mean. UDP ports are named
// in the log and not forwarded, and k3d's timeout setting has no effect:
// a connection lives as long as its two ends.
package main
