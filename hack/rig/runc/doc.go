// Package runc changes what an OCI runtime is asked for, so that containers run
// where the kernel denies CAP_SYS_RESOURCE: the capability leaves every set,
// limits of resources are not set, and a negative score for the out-of-memory
// killer becomes 0. Everything else stays as it was written.
//
// The formats are those of the OCI runtime specification, 1.0.2 to 1.2: config.json
// of a bundle (runc create, runc run), and its "process" alone in a file (runc
// exec --process). The package edits and reads; it starts nothing, and imports
// nothing of ours. The program in front of runc is hack/rig/programs/runc.
package runc
