// Package gateway is the server side of the object store: versitygw over a
// local folder, run by ServeMain as the whole purpose of a child process.
//
// The gateway's posix backend changes the process's working directory and is
// one per process, so nothing but the main of a child process (or a test
// binary that was re-executed as one) may call this package. It is the only
// package that links versitygw.
//
// The folder that it owns holds
//
//	lock                     held by the one process that serves the folder
//	buckets/<bucket>/<key>   the objects
//	metadata/                their S3 metadata, only where the file system has no extended attributes
package gateway
