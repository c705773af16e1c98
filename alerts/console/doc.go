// Package console looks at a Kafka cluster as its operators do: topics with what
// they hold, messages with the alerts decoded, groups with their lag, brokers with
// their configuration and disks. It works against any Kafka through kadm, with the
// rights of whoever is logged in.
//
// A Peek follows a topic and keeps, within limits, what a reader may look at, however
// much comes.
//
// It only reads: it joins no group, commits no offset and changes nothing. It
// knows no lab and writes to no terminal.
package console
