package profiles

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// APIVersion and Kind are what the first keys of a profile say.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "Profile"
)

// Profile is one environment of the alert distribution stack.
type Profile struct {
	APIVersion  string `yaml:"apiVersion" json:"apiVersion"`
	Kind        string `yaml:"kind" json:"kind"`
	Name        string `yaml:"name" json:"name"`               // a DNS label
	Description string `yaml:"description" json:"description"` // one line for `profile list`
	Stack       string `yaml:"stack" json:"stack"`             // name of the stack that is run, a DNS label

	Kafka         Kafka         `yaml:"kafka" json:"kafka"`
	Registry      Registry      `yaml:"registry" json:"registry"`
	Simulator     Simulator     `yaml:"simulator" json:"simulator"`
	AlertDatabase AlertDatabase `yaml:"alertDatabase" json:"alertDatabase"`

	source []byte
}

// Kafka is the cluster that alerts travel through.
type Kafka struct {
	Cluster  string   `yaml:"cluster" json:"cluster"` // a DNS label; alert-broker at every site
	Brokers  Brokers  `yaml:"brokers" json:"brokers"`
	Listener Listener `yaml:"listener" json:"listener"`
	// Config holds broker settings under Apache Kafka's own keys, with
	// their values as the text in the file.
	Config map[string]string `yaml:"config,omitempty" json:"config,omitempty"`
	// Superuser may do everything; it logs in with SCRAM-SHA-512.
	Superuser string `yaml:"superuser" json:"superuser"`
	// Topics are those that exist before any component writes, among them
	// the registry's. The reservoir (Simulator.StaticTopic) needs no entry.
	Topics []Topic `yaml:"topics" json:"topics"`
	// Readers are the community brokers and other outside users.
	Readers []Reader `yaml:"readers" json:"readers"`
}

// Brokers are the nodes of the cluster, with consecutive ids.
type Brokers struct {
	Count   int   `yaml:"count" json:"count"`
	FirstID int32 `yaml:"firstID" json:"firstID"` // e.g. 6 in the cluster with ids 6 to 11
}

// Listener is the external listener. Its users always log in with
// SCRAM-SHA-512; TLS says whether the connection is encrypted.
type Listener struct {
	Port int  `yaml:"port" json:"port"` // TCP port, the same at each broker's own address
	TLS  bool `yaml:"tls" json:"tls"`
}

// Topic is one declared topic.
type Topic struct {
	Name       string `yaml:"name" json:"name"`
	Partitions int32  `yaml:"partitions" json:"partitions"`
	Replicas   int16  `yaml:"replicas" json:"replicas"` // copies of each partition
	// Config holds topic settings under Apache Kafka's own keys, e.g.
	// retention.ms (milliseconds) and retention.bytes (bytes of each copy
	// of each partition).
	Config map[string]string `yaml:"config,omitempty" json:"config,omitempty"`
}

// Reader is a user from outside. It may use the consumer groups whose names
// begin with its own.
type Reader struct {
	Name   string   `yaml:"name" json:"name"`
	Topics []string `yaml:"topics" json:"topics"` // topics it may read; "*" is all
}

// Registry is the schema registry.
type Registry struct {
	Topic         string `yaml:"topic" json:"topic"`                 // compacted topic that holds its state
	Subject       string `yaml:"subject" json:"subject"`             // subject that holds every alert schema version
	Compatibility string `yaml:"compatibility" json:"compatibility"` // NONE, BACKWARD, …, as the registry's API writes it
}

// Simulator plays the reservoir as one visit after the other.
type Simulator struct {
	StaticTopic string        `yaml:"staticTopic" json:"staticTopic"`            // the reservoir: one partition, one copy, kept for ever
	Topic       string        `yaml:"topic" json:"topic"`                        // where visits are played to
	Interval    time.Duration `yaml:"interval" json:"interval"`                  // between the starts of two visits; "37s" in YAML and JSON
	Alerts      int           `yaml:"alerts" json:"alerts"`                      // alerts in one visit
	PacketSize  int64         `yaml:"packetSize" unit:"bytes" json:"packetSize"` // bytes of one alert's Avro body; YAML takes units
	Schema      string        `yaml:"schema" json:"schema"`                      // alert schema version, e.g. "11.0"
	Seed        uint64        `yaml:"seed" json:"seed"`                          // equal seeds make equal alerts
}

// MarshalJSON writes the interval as Go writes a duration, e.g. "37s".
func (s Simulator) MarshalJSON() ([]byte, error) {
	type plain Simulator
	return json.Marshal(struct {
		plain
		Interval string `json:"interval"`
	}{plain(s), s.Interval.String()})
}

// AlertDatabase is the archive of published alerts: an ingester that stores
// each of them in the object store, and an HTTP server over it.
type AlertDatabase struct {
	Group        string   `yaml:"group" json:"group"`               // consumer group of the ingester
	Topics       []string `yaml:"topics" json:"topics"`             // topics it stores
	AlertBucket  string   `yaml:"alertBucket" json:"alertBucket"`   // S3 bucket of the alerts
	SchemaBucket string   `yaml:"schemaBucket" json:"schemaBucket"` // S3 bucket of the schemas; may be the same
}

// clone copies everything that an override could reach.
func (p *Profile) clone() *Profile {
	out := *p
	out.Kafka.Config = maps.Clone(p.Kafka.Config)
	out.Kafka.Topics = slices.Clone(p.Kafka.Topics)
	for i := range out.Kafka.Topics {
		out.Kafka.Topics[i].Config = maps.Clone(out.Kafka.Topics[i].Config)
	}
	out.Kafka.Readers = slices.Clone(p.Kafka.Readers)
	for i := range out.Kafka.Readers {
		out.Kafka.Readers[i].Topics = slices.Clone(out.Kafka.Readers[i].Topics)
	}
	out.AlertDatabase.Topics = slices.Clone(p.AlertDatabase.Topics)
	out.source = slices.Clone(p.source)
	return &out
}
