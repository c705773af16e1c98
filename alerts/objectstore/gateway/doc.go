// Package gateway is the server side of the object store: versitygw over a
// local folder, run by ServeMain as the whole purpose of a child process.
//
// The gateway's posix backend changes the process's working directory and is
// one per process, so nothing but the main of a child process (or a test
// binary that was re-executed as one) may call this package. It is the only
// package that links versitygw.
package gateway
