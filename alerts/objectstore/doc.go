// Package objectstore holds both ends of the lab's S3 object store that belong
// in our own process: a client that works against any S3 (versitygw, MinIO,
// WekaFS, AWS), and the control of the child process that serves a local
// folder as S3 when there is no other store.
//
// The server itself is in objectstore/gateway, and only the child process may
// run it: it changes the working directory of its process and resolves object
// paths against it, so that a second instance, or anything else that uses
// relative paths, would land in the wrong folder. This package therefore never
// imports gateway, and everyone who only needs a client stays light.
//
// It knows nothing of alerts, buckets' meanings or labs.
package objectstore
