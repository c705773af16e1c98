// netd is the pod network of the rig's nodes: each node's copy writes the CNI
// configuration from the node's own podCIDR and keeps one route for each other
// node, so that pods reach one another over the engine's network. What leaves
// the pod network is masqueraded as the node.
//
// It is deliberately small: IPv4 only, and no NetworkPolicy. A policy that a
// chart brings is stored by the API server and has no effect here.
//
// It runs in the host's network of the node and changes that network with the
// node's own ip and iptables, by chroot into the node's root file system,
// which its pod mounts at HOST_ROOT; its image holds nothing but itself.
//
// Environment: NODE_NAME and POD_SUBNET (required), HOST_ROOT (default /host),
// CONTROL_PLANE_ENDPOINT (host:port of an API server, so that it need not wait
// for kube-proxy to serve the service address).
package main
