// Package network decides and writes the packet filter rules of a node:
//
//   - Egress: nothing leaves the engine's networks, so that nothing that runs
//     in the rig talks to the world. It is only ever applied in a network
//     namespace that is the node's own; see Own.
//   - EngineDNS: the engine's name server, which listens on the node's loopback,
//     answers at the gateway's address as well, for the node and its pods.
//
// Rules are rendered as text for iptables-restore by pure functions, and
// applied by the node's own iptables. Rules of others are left alone.
package network
