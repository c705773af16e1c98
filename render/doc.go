// Package render writes what a walk says and what a lab is as text: the events
// of a walk as lines, as JSON or not at all, the connection card, and lists.
// The live view of the same events is package tui.
//
// It writes to the writers it is given and to nothing else; by custom the
// events of a walk go to standard error and results to standard output. It
// starts no lab, opens no connection and decides no exit code.
package render
