// Package embedded is the provider that needs nothing but this binary: every
// component runs inside the runner's process, or as a child of it.
//
// A folder below holds the twin of one component: how it is started, when it is
// ready, what it says of itself. What all twins have in common, being looked at,
// started, updated, stopped and removed, is here, once, as Twin.
//
// Twins reach each other only through the addresses that stand in their orders,
// never through memory, so that what holds here holds on a cluster.
package embedded
