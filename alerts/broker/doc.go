// Package broker runs a Kafka cluster inside this process: several brokers,
// each at its own address, plus one bootstrap address, with SCRAM-SHA-512, ACLs
// and data on disk. The protocol itself is franz-go's kfake, which was written
// as a test double; this room makes it serve as a real broker.
//
// What kfake answers differently from Apache Kafka is mended at the
// connection (mend.go), what it cannot do is done around it: killing and
// restarting a broker with its leaders and coordinators (cluster.go, node.go),
// requests that only a controller may answer (forward.go), append time
// (appendtime.go), retention (retention.go), producer state and offsets after
// a crash (recovery.go), secrets on disk (secrets.go).
//
// Produce and fetch bodies are never copied here: they go from the socket into
// kfake's buffer and back.
//
// This room knows Kafka only: no topic names, no users beyond the superuser, no
// labs. It may not be imported for its clients; those use alerts/kafka and
// alerts/admin, which work against any Kafka.
package broker
