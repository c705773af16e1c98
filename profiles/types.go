package profiles

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

// APIVersion and Kind are what the first keys of a profile say.
const (
	APIVersion = "alertlab/v1alpha1"
	Kind       = "Profile"
)

// The comments of the fields below are what profile.schema.json and the table
// of keys in docs/profiles.md say of each key; the tag default holds what is
// taken where a key is left out, the tag enum the only values, the tag from where
// the value stands at an environment's own files (Phalanx, unless it says other).

// Profile is one environment of the alert distribution stack.
type Profile struct {
	// The version of this format.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" enum:"alertlab/v1alpha1"`
	// What the file is.
	Kind string `yaml:"kind" json:"kind" enum:"Profile"`
	// The profile's name, a DNS label.
	Name string `yaml:"name" json:"name"`
	// One line for the list of profiles.
	Description string `yaml:"description" json:"description"`
	// The environment that the values come from, and their date.
	Origin string `yaml:"source,omitempty" json:"source,omitempty"`
	// The name of the stack that is run, a DNS label.
	Stack string `yaml:"stack" json:"stack" default:"alerts"`
	// Values of the source that this profile does not run: each is kept beside
	// the value that is run, with the reason.
	Concessions []Concession `yaml:"concessions,omitempty" json:"concessions,omitempty"`

	// The cluster that alerts travel through.
	Kafka Kafka `yaml:"kafka" json:"kafka"`
	// The schema registry.
	Registry Registry `yaml:"registry" json:"registry"`
	// What plays visits of alerts.
	Simulator Simulator `yaml:"simulator" json:"simulator"`
	// The archive of published alerts.
	AlertDatabase AlertDatabase `yaml:"alertDatabase" json:"alertDatabase"`
	// On Kubernetes: whether the lab's own pods are spoken to, and speak, only where the
	// stack needs it. What enforces it is the cluster's network.
	NetworkPolicies bool `yaml:"networkPolicies,omitempty" json:"networkPolicies,omitempty"`

	source []byte
}

// Concession is one value that is not run as its source has it. What is run in its
// place stands at its own path.
type Concession struct {
	// The path of the value in this file; a topic is named in brackets, as in
	// kafka.topics[alerts-simulated].partitions.
	Value string `yaml:"value" json:"value"`
	// What the source has there, as text.
	Source string `yaml:"source" json:"source"`
	// Why it is not run as it is.
	Why string `yaml:"why" json:"why"`
}

// Kafka is the cluster that alerts travel through.
type Kafka struct {
	// The name of the cluster, a DNS label.
	Cluster string `yaml:"cluster" json:"cluster" default:"alert-broker" from:"cluster.name"`
	// The version of Apache Kafka that is run on Kubernetes; left out: the stack's.
	Version string `yaml:"version,omitempty" json:"version,omitempty" from:"kafka.version"`
	// The nodes that store and serve records.
	Brokers Brokers `yaml:"brokers" json:"brokers"`
	// The nodes that keep the cluster's metadata (KRaft).
	Controllers Controllers `yaml:"controllers,omitempty" json:"controllers,omitzero"`
	// The external listener, where users from outside log in with SCRAM-SHA-512.
	Listener Listener `yaml:"listener" json:"listener"`
	// Settings of the brokers under Apache Kafka's own keys, with their values
	// as the text in the file.
	Config map[string]string `yaml:"config,omitempty" json:"config,omitempty" from:"kafka.config, and Kafka's template"`
	// Whether a record is acknowledged only when it is on disk, safe from the loss
	// of power; else it is in the system's memory, safe from the death of the
	// broker's process.
	Sync bool `yaml:"sync,omitempty" json:"sync,omitempty" from:"log.flush.interval.messages"`
	// The user who may do everything; it logs in with SCRAM-SHA-512.
	Superuser string `yaml:"superuser" json:"superuser" default:"kafka-admin" from:"superusers"`
	// The topics that exist before any component writes, among them the
	// registry's. The reservoir (simulator.staticTopic) needs no entry.
	Topics []Topic `yaml:"topics" json:"topics"`
	// The community brokers and other users from outside.
	Readers []Reader `yaml:"readers" json:"readers"`
}

// Brokers are the nodes of the cluster, with consecutive ids.
type Brokers struct {
	// How many there are.
	Count int `yaml:"count" json:"count" from:"kafka.replicas"`
	// The id of the first one; the others follow it, as 7 to 11 follow 6.
	FirstID int32 `yaml:"firstID" json:"firstID" default:"0" from:"kafka.externalListener.brokers[].broker"`
	// The disk of each.
	Storage Storage `yaml:"storage,omitempty" json:"storage,omitzero"`
	// What each asks for and may use.
	Resources Resources `yaml:"resources,omitempty" json:"resources,omitzero"`
	// The nodes that are kept for them.
	NodePool NodePool `yaml:"nodePool,omitempty" json:"nodePool,omitzero"`
	// No two of them, nor a controller, on one node: required, not preferred.
	AntiAffinity bool `yaml:"antiAffinity,omitempty" json:"antiAffinity,omitempty" from:"the pod template's podAntiAffinity"`
}

// Controllers are the nodes that keep the cluster's metadata.
type Controllers struct {
	// How many there are.
	Count int `yaml:"count" json:"count" from:"kafka.replicas, zookeeper.replicas"`
	// The disk of each.
	Storage Storage `yaml:"storage,omitempty" json:"storage,omitzero"`
	// What each asks for and may use.
	Resources Resources `yaml:"resources,omitempty" json:"resources,omitzero"`
}

// Storage is the disk of one node.
type Storage struct {
	// Its size.
	Size int64 `yaml:"size" unit:"bytes" json:"size" from:"storage.size"`
	// The storage class; left out: the cluster's default.
	Class string `yaml:"class,omitempty" json:"class,omitempty" from:"storage.storageClassName"`
	// What becomes of a volume that nobody claims any more; left out: what the
	// class says.
	ReclaimPolicy string `yaml:"reclaimPolicy,omitempty" json:"reclaimPolicy,omitempty" enum:"Retain,Delete" from:"the volumes themselves"`
}

// Resources are what a pod asks for and may use.
type Resources struct {
	// What is set aside.
	Requests Amounts `yaml:"requests,omitempty" json:"requests,omitzero"`
	// What it cannot go beyond.
	Limits Amounts `yaml:"limits,omitempty" json:"limits,omitzero"`
}

// Amounts are processors and memory.
type Amounts struct {
	// Whole processors.
	CPU int `yaml:"cpu" json:"cpu" from:"resources.*.cpu"`
	// Memory.
	Memory int64 `yaml:"memory" unit:"bytes" json:"memory" from:"resources.*.memory"`
}

// NodePool names nodes by their label and taint.
type NodePool struct {
	// The label of its nodes, key=value; brokers prefer them.
	Label string `yaml:"label,omitempty" json:"label,omitempty" from:"kafka.nodePool.affinities"`
	// The taint of its nodes, key=value:effect; brokers tolerate it.
	Taint string `yaml:"taint,omitempty" json:"taint,omitempty" from:"kafka.nodePool.tolerations"`
}

// Listener is the external listener. Its users always log in with
// SCRAM-SHA-512; TLS says whether the connection is encrypted.
type Listener struct {
	// The TCP port, the same at each broker's own address.
	Port int `yaml:"port" json:"port" default:"9094" from:"kafka.listeners, external"`
	// Whether connections are encrypted.
	TLS bool `yaml:"tls" json:"tls" default:"false" from:"kafka.externalListener.tls.enabled"`
	// How Kubernetes exposes it: an address for each broker, or a port of the
	// node for each.
	Type string `yaml:"type" json:"type" default:"loadbalancer" enum:"loadbalancer,nodeport" from:"kafka.listeners, external"`
	// With nodeport: the node's port of the first broker; the others follow it.
	NodePort int `yaml:"nodePort,omitempty" json:"nodePort,omitempty" from:"nodeport.firstListenerPort"`
	// MetalLB's pool that addresses are taken from.
	AddressPool string `yaml:"addressPool,omitempty" json:"addressPool,omitempty" from:"kafka.externalListener.bootstrap.annotations"`
	// With tls: the ClusterIssuer of cert-manager that signs its certificates; left
	// out: alertlab.
	Issuer string `yaml:"issuer,omitempty" json:"issuer,omitempty" from:"kafka.externalListener.tls.certIssuerName"`
	// The host name of the bootstrap address.
	BootstrapHost string `yaml:"bootstrapHost,omitempty" json:"bootstrapHost,omitempty" from:"kafka.externalListener.bootstrap.host"`
	// The host name of each broker, in the order of their ids.
	BrokerHosts []string `yaml:"brokerHosts,omitempty" json:"brokerHosts,omitempty" from:"kafka.externalListener.brokers[].host"`
	// The addresses that the source announces. No lab announces them but one on a
	// cluster that is there, with --real-addresses.
	Source Addresses `yaml:"source,omitempty" json:"source,omitzero"`
}

// Addresses are those of a listener of the type loadbalancer.
type Addresses struct {
	// The IPv4 address of bootstrap.
	Bootstrap string `yaml:"bootstrap" json:"bootstrap" from:"kafka.externalListener.bootstrap: annotation metallb.io/loadBalancerIPs, loadBalancerIP or ip"`
	// The IPv4 address of each broker, in the order of their ids.
	Brokers []string `yaml:"brokers" json:"brokers" from:"kafka.externalListener.brokers[], as for bootstrap"`
}

// Topic is one declared topic.
type Topic struct {
	// Its name.
	Name string `yaml:"name" json:"name" from:"KafkaTopic"`
	// How many partitions it has.
	Partitions int32 `yaml:"partitions" json:"partitions" from:"KafkaTopic"`
	// The copies of each partition.
	Replicas int16 `yaml:"replicas" json:"replicas" from:"KafkaTopic"`
	// Settings of the topic under Apache Kafka's own keys, e.g. retention.ms
	// (milliseconds) and retention.bytes (bytes of each copy of each partition).
	Config map[string]string `yaml:"config,omitempty" json:"config,omitempty" from:"KafkaTopic"`
}

// Reader is a user from outside. It may use the consumer groups whose names
// begin with its own.
type Reader struct {
	// The Kafka user; it may use the consumer groups whose names begin with it.
	Name string `yaml:"name" json:"name" from:"users[].username"`
	// The topics that it may read; "*" alone is all.
	Topics []string `yaml:"topics" json:"topics" from:"users[].readonlyTopics"`
}

// Registry is the schema registry.
type Registry struct {
	// The compacted topic that holds its state.
	Topic string `yaml:"topic" json:"topic" default:"registry-schemas" from:"schemaTopic"`
	// The subject that holds every version of the alert schema.
	Subject string `yaml:"subject" json:"subject" default:"alert-packet" from:"schemaSync.subject"`
	// Which new versions of a subject it takes, as its API writes it.
	Compatibility string `yaml:"compatibility" json:"compatibility" default:"NONE" enum:"NONE,BACKWARD,BACKWARD_TRANSITIVE,FORWARD,FORWARD_TRANSITIVE,FULL,FULL_TRANSITIVE" from:"compatibilityLevel"`
	// The host name under which readers know it.
	Host string `yaml:"host,omitempty" json:"host,omitempty" from:"hostname"`
	// How many instances run; left out: one.
	Replicas int `yaml:"replicas,omitempty" json:"replicas,omitempty" from:"schema-registry.replicas"`
}

// Simulator plays the reservoir as one visit after the other.
type Simulator struct {
	// The reservoir: a topic of one partition and one copy, kept for ever.
	StaticTopic string `yaml:"staticTopic" json:"staticTopic" default:"alerts-static" from:"staticTopicName"`
	// The topic that visits are played to.
	Topic string `yaml:"topic" json:"topic" from:"replayTopicName"`
	// The time between the starts of two visits.
	Interval time.Duration `yaml:"interval" json:"interval" default:"37s" from:"repeatInterval"`
	// The alerts of one visit.
	Alerts int `yaml:"alerts" json:"alerts" default:"10000" from:"the visit's file"`
	// The size of one alert's Avro body.
	PacketSize int64 `yaml:"packetSize" unit:"bytes" json:"packetSize" default:"80kB" from:"the visit's file"`
	// The version of the alert schema, in quotes.
	Schema string `yaml:"schema" json:"schema" from:"the visit's file"`
	// Equal seeds make equal alerts.
	Seed uint64 `yaml:"seed" json:"seed" default:"1"`
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
	// The consumer group of the ingester.
	Group string `yaml:"group" json:"group" default:"alertdb-ingester" from:"ingester --kafka-group"`
	// The topics that it stores.
	Topics []string `yaml:"topics" json:"topics" from:"ingester.kafka.topic"`
	// The S3 bucket of the alerts.
	AlertBucket string `yaml:"alertBucket" json:"alertBucket" from:"storage.*.alertBucket"`
	// The S3 bucket of the schemas; it may be the one of the alerts.
	SchemaBucket string `yaml:"schemaBucket" json:"schemaBucket" from:"storage.*.schemaBucket"`
	// How many ingesters run, at most where they scale; left out: one.
	Ingesters int `yaml:"ingesters,omitempty" json:"ingesters,omitempty" from:"ingester replicas, autoscaling.maxReplicaCount"`
	// How their number follows what they are behind; left out: it does not.
	Scaling Scaling `yaml:"scaling,omitempty" json:"scaling,omitzero"`
	// The days after which a stored alert is deleted, never a schema; left out:
	// alerts are kept.
	PurgeAfterDays int `yaml:"purgeAfterDays,omitempty" json:"purgeAfterDays,omitempty" from:"maximum_alert_age (Terraform)"`
	// The scope that a token must have to fetch an alert; left out: none is asked for.
	Scope string `yaml:"scope,omitempty" json:"scope,omitempty" from:"ingress.gafaelfawrAuthQuery"`
}

// Scaling is how the number of ingesters follows the lag of their group.
type Scaling struct {
	// The alerts that may wait for each ingester: for more there is one more; left out:
	// the number is fixed.
	Lag int `yaml:"lag,omitempty" json:"lag,omitempty" from:"autoscaling's lag threshold"`
	// How many run at least; left out: one.
	Least int `yaml:"least,omitempty" json:"least,omitempty" from:"autoscaling's least number of replicas"`
	// How long fewer must have been enough before there are fewer; left out: 15m.
	Cooldown time.Duration `yaml:"cooldown,omitempty" json:"cooldown,omitempty" from:"autoscaling's cooldown"`
}

// DefaultCooldown is the observatory's (facts, environments.md: 900 s).
const DefaultCooldown = 15 * time.Minute

// MarshalJSON writes the cooldown as Go writes a duration, e.g. "15m0s".
func (s Scaling) MarshalJSON() ([]byte, error) {
	type plain Scaling
	cooldown := ""
	if s.Cooldown != 0 {
		cooldown = s.Cooldown.String()
	}
	return json.Marshal(struct {
		plain
		Cooldown string `json:"cooldown,omitempty"`
	}{plain(s), cooldown})
}

// Scales says whether the number of ingesters follows their lag, between two numbers.
func (d AlertDatabase) Scales() (least, most int, yes bool) {
	return max(1, d.Scaling.Least), max(1, d.Ingesters), d.Scaling.Lag > 0
}

// MarshalYAML writes the packet size with its unit, as Source has it.
func (s Simulator) MarshalYAML() (any, error) {
	type plain Simulator
	return withSizes(plain(s))
}

// MarshalYAML writes the size with its unit.
func (s Storage) MarshalYAML() (any, error) {
	type plain Storage
	return withSizes(plain(s))
}

// MarshalYAML writes the memory with its unit.
func (a Amounts) MarshalYAML() (any, error) {
	type plain Amounts
	return withSizes(plain(a))
}

// withSizes encodes a struct and writes its fields of the unit bytes with a unit.
func withSizes(value any) (any, error) {
	var node yaml.Node
	if err := node.Encode(value); err != nil {
		return nil, err
	}
	v := reflect.ValueOf(value)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		for n := 0; n+1 < len(node.Content) && f.Tag.Get("unit") == "bytes"; n += 2 {
			if node.Content[n].Value == key {
				node.Content[n+1] = &yaml.Node{Kind: yaml.ScalarNode, Value: strictyaml.FormatSize(v.Field(i).Int())}
			}
		}
	}
	return &node, nil
}

// YAML writes p as Parse reads it, without comments.
func (p *Profile) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// clone copies everything that an override could reach.
func (p *Profile) clone() *Profile {
	out := *p
	out.Concessions = slices.Clone(p.Concessions)
	out.Kafka.Config = maps.Clone(p.Kafka.Config)
	out.Kafka.Listener.BrokerHosts = slices.Clone(p.Kafka.Listener.BrokerHosts)
	out.Kafka.Listener.Source.Brokers = slices.Clone(p.Kafka.Listener.Source.Brokers)
	out.Kafka.Topics = cloneTopics(p.Kafka.Topics)
	out.Kafka.Readers = cloneReaders(p.Kafka.Readers)
	out.AlertDatabase.Topics = slices.Clone(p.AlertDatabase.Topics)
	out.source = slices.Clone(p.source)
	return &out
}
