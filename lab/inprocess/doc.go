// Package inprocess knows what an embedded lab consists of: which code makes which
// component in this process, what is wanted of it, and the connection card. It is the
// catalog's half without Kubernetes, so that a test of another project can bring a lab
// up (package labtest) without its libraries and our replacements of them.
//
// The catalog and labtest import it, and nobody else.
package inprocess
