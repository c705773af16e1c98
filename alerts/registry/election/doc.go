// Package election makes one of several schema registries the leader, by the
// group protocol that Confluent's registry uses: members of a Kafka group of
// protocol type "sr" tell each other their addresses, and the member that the
// group's coordinator asks to share out the work names the leader. Registries of
// both implementations can be in one group.
//
// Membership is liveness, not safety: a process that was frozen believes itself
// the leader until it looks again. Whoever needs that two leaders cannot write
// must fence what they write.
//
// It reads and writes no topic, and it opens no client: it is given one.
//
// The format of what members say is that of SchemaRegistryIdentity and
// SchemaRegistryProtocol in github.com/confluentinc/schema-registry (8.x).
package election
