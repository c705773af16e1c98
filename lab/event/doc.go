// Package event is what a walk of a plan says of itself while it goes on. The
// runner sends events, followers render them as lines, as a live view or as
// JSON; all three show the same events.
//
// It is a leaf: it imports nothing of ours. Events never carry a secret.
package event
