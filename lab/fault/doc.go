// Package fault is the one error type that a user of the command line meets:
// what happened, why, and what to type next, with the exit code that says so
// to a script.
//
// It is a leaf: it imports nothing of ours. Packages of the data plane return
// typed errors of their own; the command line gives them a remedy.
package fault
