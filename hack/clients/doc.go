// Command clients lets clients that are not ours meet a lab: librdkafka, aiokafka,
// Java's kafka-clients, kcat, fastavro, boto3, astropy, and the program by which
// the observatory itself fills a schema registry.
//
//	go run ./hack/clients
//	go run ./hack/clients --only librdkafka,java/transactions --keep
//
// It installs them by name and version (Python's and Java's into the user's cache
// folder, Debian's packages where they are missing and it may), builds the
// program, brings up an embedded lab with a state directory of its own, runs each
// client's programs with the environment that `alertlab env` gives, prints every
// check with its seconds, and takes the lab away. Nothing is skipped for want of
// a tool: what cannot be installed is an error.
//
// The checks themselves are in python/ and java/, in the language of each client;
// docs/clients.md lists them and says how to add one. This program knows names of
// clients and how to start them, and nothing of what they check.
package main
