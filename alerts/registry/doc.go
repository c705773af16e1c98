// Package registry is a schema registry for Avro: it speaks the Confluent
// Schema Registry HTTP API and keeps its whole state in one compacted topic,
// in Confluent's record format, so that either implementation can take over
// the other's topic.
//
// The topic is the truth. A Registry holds in memory what it has read from the
// topic and nothing else: a write is appended with acks=all, read back, and
// only then answered.
//
// One process writes. Registries that are told how others reach them elect a
// leader in the Kafka group schema-registry, by Confluent's protocol (package
// election), and pass writes on to it. A leader that was frozen and goes on when
// another one leads cannot do harm: each leader's records name its reign, and
// every reader passes over those of a reign that was over (fence.go). Confluent's
// registry does neither name a reign nor look at it, so a topic that is written by
// both at once has the protection of the election only.
//
// What Confluent's registry has and this one has not: schema types other than
// AVRO, rule sets, contexts, aliases, default and override metadata, and the
// modes READONLY_OVERRIDE and FORWARD. Records that it does not understand
// stay in the topic untouched.
//
// Two differences are deliberate. The text of a schema is kept as it was
// posted, where Confluent rewrites it. And metadata is not part of a schema's
// identity: content that is known under an id keeps this id whatever metadata
// comes with it, because the alert stream registers every schema twice, once
// with metadata and once without, and clients expect one id.
//
// The package also has what clients of any such registry need: Client reads
// schemas by id, Sync registers a set of schemas under fixed ids.
//
// It creates no topic, user or ACL, and opens no listener.
package registry
