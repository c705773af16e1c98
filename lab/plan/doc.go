// Package plan decides what is to be done: from what is wanted and what was
// observed it makes an ordered list of steps, each with its cause.
//
// It is pure. It imports no component and no provider, reads no clock, no file
// and no network, and the same arguments give the same plan, so that a plan can
// be printed, compared as text and kept. It also declares what carries a plan
// out, the Part, but never calls one.
//
// Parts depend on each other in two ways. Needs says what must be done before a
// part can be made. Behind says what must run before a part can even be looked
// at: topics live behind the brokers, everything on Kubernetes lives behind the
// cluster. What cannot be looked at is Unknown, and over an unknown part a plan
// never creates: it either looks first, once the part in front of it runs
// (Ensure), or it is blocked and says why.
package plan
