// Package kind makes clusters by kind's Go module, in containers of this machine. What
// is done with them is package nodes'.
//
// # What is whose
//
// kind gives its containers no labels but its own. So every node has a mount at which a
// lab is known, /dev/null at mark/LAB: it is there from the container's first moment,
// says whose the container is while it is stopped, and needs nothing of this machine.
//
// # What kind asks for
//
// The docker program, by which kind does everything. Its clusters share one network,
// kind, which stays when they are deleted, by kind's design. In it nodes may have
// another address after a stop: what uses an address is then applied again.
//
// # Cancelling
//
// kind's library takes no context. A step of it that is cancelled is made to end by
// ending the containers in which it works, and waited for; then what it made is deleted.
package kind
