package profiles

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

const (
	// MinPacketSize is the least size of a synthetic alert, in bytes: with
	// less, image cutouts would not be most of it, as they are in a real one.
	MinPacketSize = 20_000
	// MinInterval is the least time between the starts of two visits.
	MinInterval = time.Second
	// batchOverhead is what a record batch needs beyond one alert's body:
	// the batch and record headers of Kafka's message format, the five
	// bytes of the wire header and the simulator's record header.
	batchOverhead = 1024
	// maxBrokers is more than any site has; beyond it, a number is a typo.
	maxBrokers = 1000
)

// SchemaVersions gives the published versions of the alert schema, ascending.
func SchemaVersions() []string {
	return []string{
		"3.0", "4.0", "5.0", "6.0", "6.1", "7.0", "7.1", "7.2", "7.3", "7.4",
		"8.0", "9.0", "10.0", "11.0",
	}
}

// The Kafka users that parts of the system log in as, the same at every site
// (Phalanx, alert-stream-broker).
const (
	RegistryUser  = "alert-schema-registry"
	SimulatorUser = "alert-stream-simulator"
	IngesterUser  = "alert-database-ingester"
)

// ServiceUsers gives the users of the parts of the system. A reader of the same
// name would take over their permissions.
func ServiceUsers() []string { return []string{RegistryUser, SimulatorUser, IngesterUser} }

// validate adds everything that is wrong with the values of p.
func validate(p *Profile, r *strictyaml.Report) {
	v := validator{p, r}
	v.word("name", p.Name, labelFault)
	v.word("description", p.Description, lineFault)
	v.word("stack", p.Stack, labelFault)
	v.optional("source", p.Origin, lineFault)
	v.brokers()
	v.nodes()
	v.listener()
	v.topics()
	v.storage()
	v.readers()
	v.registry()
	v.simulator()
	v.alertDatabase()
	v.concessions()
}

type validator struct {
	*Profile
	r *strictyaml.Report
}

// word checks one text with a function that gives "" or the end of a sentence.
func (v validator) word(path, text string, fault func(string) string) {
	if f := fault(text); f != "" && v.r.Sound(path) {
		v.r.Addf(path, "%s %s", strictyaml.Quote(text), f)
	}
}

// optional checks a text that may be left out.
func (v validator) optional(path, text string, fault func(string) string) {
	if text != "" {
		v.word(path, text, fault)
	}
}

// number checks that n lies between two bounds.
func (v validator) number(path string, n, least, most int64) {
	switch {
	case !v.r.Sound(path):
	case n < least:
		v.r.Addf(path, "must be at least %d, but is %d", least, n)
	case n > most:
		v.r.Addf(path, "must be at most %d, but is %d", most, n)
	}
}

func (v validator) brokers() {
	k := v.Kafka
	v.word("kafka.cluster", k.Cluster, labelFault)
	v.number("kafka.brokers.count", int64(k.Brokers.Count), 1, maxBrokers)
	v.number("kafka.brokers.firstID", int64(k.Brokers.FirstID), 0, math.MaxInt32-maxBrokers)
	v.word("kafka.superuser", k.Superuser, userFault)
	if slices.Contains(ServiceUsers(), k.Superuser) {
		v.r.Addf("kafka.superuser", "%s is the name of a part of the system", strictyaml.Quote(k.Superuser))
	}
	checkSettings(v.r, "kafka.config", k.Config, brokerSettings(), false)
	for _, key := range []string{"offsets.topic.replication.factor", "transaction.state.log.replication.factor", "default.replication.factor"} {
		if n, ok := number(k.Config, key); ok {
			v.copies("kafka.config."+key, n)
		}
	}
}

// versionFault checks a version of Apache Kafka against those that can be run on
// Kubernetes today: 4.1.0 to 4.2.0 by Strimzi 1.0, 4.2.0 to 4.3.1 by Strimzi 1.2.
func versionFault(version string) string {
	parts := versionPattern.FindStringSubmatch(version)
	if parts == nil {
		return `is not a version of Kafka, which is written as "4.2.0"`
	}
	if minor, patch := parts[2], parts[3]; parts[1] == "4" && (minor == "1" || minor == "2" || minor == "3" && (patch == "0" || patch == "1")) {
		return ""
	}
	return "is not one that can be run today, those are 4.1.0 to 4.3.1: keep it as a concession (concessions, value: kafka.version)"
}

// nodes checks brokers and controllers as nodes of a cluster.
func (v validator) nodes() {
	k := v.Kafka
	v.optional("kafka.version", k.Version, versionFault)
	v.disk("kafka.brokers.storage", k.Brokers.Storage)
	v.resources("kafka.brokers.resources", k.Brokers.Resources)
	v.optional("kafka.brokers.nodePool.label", k.Brokers.NodePool.Label, matches(pairPattern, "is not a label, which is written as key=value"))
	v.optional("kafka.brokers.nodePool.taint", k.Brokers.NodePool.Taint, matches(taintPattern, "is not a taint, which is written as key=value:NoSchedule"))
	if k.Controllers != (Controllers{}) {
		v.number("kafka.controllers.count", int64(k.Controllers.Count), 1, maxBrokers)
		v.disk("kafka.controllers.storage", k.Controllers.Storage)
		v.resources("kafka.controllers.resources", k.Controllers.Resources)
	}
}

func (v validator) disk(path string, s Storage) {
	if s == (Storage{}) {
		return
	}
	v.number(path+".size", s.Size, 1, math.MaxInt64)
	v.optional(path+".class", s.Class, nameFault)
	v.optional(path+".reclaimPolicy", s.ReclaimPolicy, oneOf("Retain", "Delete"))
}

func (v validator) resources(path string, r Resources) {
	for _, one := range []struct {
		key string
		Amounts
	}{{"requests", r.Requests}, {"limits", r.Limits}} {
		if one.Amounts != (Amounts{}) {
			v.number(path+"."+one.key+".cpu", int64(one.CPU), 1, math.MaxInt32)
			v.number(path+"."+one.key+".memory", one.Memory, 1, math.MaxInt64)
		}
	}
	if r.Requests == (Amounts{}) || r.Limits == (Amounts{}) || !v.r.Sound(path) {
		return
	}
	if r.Requests.CPU > r.Limits.CPU {
		v.r.Addf(path+".requests.cpu", "%d are asked for, but only %d may be used", r.Requests.CPU, r.Limits.CPU)
	}
	if r.Requests.Memory > r.Limits.Memory {
		v.r.Addf(path+".requests.memory", "%s is asked for, but only %s may be used", strictyaml.FormatSize(r.Requests.Memory), strictyaml.FormatSize(r.Limits.Memory))
	}
}

func (v validator) listener() {
	const path = "kafka.listener"
	l, count := v.Kafka.Listener, v.Kafka.Brokers.Count
	v.number(path+".port", int64(l.Port), 1, 65535)
	v.word(path+".type", l.Type, oneOf("loadbalancer", "nodeport"))
	if l.NodePort != 0 {
		// Kubernetes' default range of node ports ends there.
		v.number(path+".nodePort", int64(l.NodePort), 30000, 32767)
		if l.Type == "loadbalancer" && v.r.Sound(path) {
			v.r.Addf(path+".nodePort", "only a listener of the type nodeport has one")
		}
	}
	v.optional(path+".addressPool", l.AddressPool, labelFault)
	v.optional(path+".issuer", l.Issuer, nameFault)
	v.optional(path+".bootstrapHost", l.BootstrapHost, nameFault)
	for i, host := range l.BrokerHosts {
		v.word(fmt.Sprintf("%s.brokerHosts[%d]", path, i), host, nameFault)
	}
	if n := len(l.BrokerHosts); l.BrokerHosts != nil && n != count && v.r.Sound(path+".brokerHosts", "kafka.brokers.count") {
		v.r.Addf(path+".brokerHosts", "there are %d host names for %d brokers", n, count)
	}
	v.source(path+".source", l)
}

// source checks the addresses of a listener's source. There may be more or fewer than
// brokers, whose number can be set, and a listener whose type was set may have no use for
// any.
func (v validator) source(path string, l Listener) {
	if l.Source.Bootstrap == "" && l.Source.Brokers == nil {
		return
	}
	if len(l.Source.Brokers) == 0 && v.r.Sound(path+".brokers") {
		v.r.Addf(path+".brokers", "the list is empty")
	}
	seen := map[string]bool{}
	one := func(at, text string) {
		v.word(at, text, addressFault)
		if seen[text] && v.r.Sound(at) {
			v.r.Addf(at, "%s stands here twice", strictyaml.Quote(text))
		}
		seen[text] = true
	}
	one(path+".bootstrap", l.Source.Bootstrap)
	for i, text := range l.Source.Brokers {
		one(fmt.Sprintf("%s.brokers[%d]", path, i), text)
	}
}

// concessions checks that each names a value that a profile can have.
func (v validator) concessions() {
	if v.Concessions != nil && len(v.Concessions) == 0 && v.r.Sound("concessions") {
		v.r.Addf("concessions", "the list is empty")
	}
	var known []string
	for _, value := range v.Values() {
		known = append(known, value.Path)
	}
	seen := map[string]bool{}
	for i, c := range v.Concessions {
		path := fmt.Sprintf("concessions[%d]", i)
		v.word(path+".source", c.Source, lineFault)
		v.word(path+".why", c.Why, lineFault)
		switch {
		case !v.r.Sound(path + ".value"):
		case seen[c.Value]:
			v.r.Addf(path+".value", "%s stands here twice", strictyaml.Quote(c.Value))
		case !slices.Contains(known, c.Value) && !settingPattern.MatchString(c.Value) && v.r.Sound("kafka", "registry", "simulator", "alertDatabase"):
			hint := ""
			if near := strictyaml.Nearest(c.Value, known); near != "" {
				hint = ", did you mean " + strictyaml.Quote(near) + "?"
			}
			v.r.Addf(path+".value", "this profile has no value %s%s", strictyaml.Quote(c.Value), hint)
		}
		seen[c.Value] = true
	}
}

// copies checks that there is a broker for each copy of a partition.
func (v validator) copies(path string, n int64) {
	if count := int64(v.Kafka.Brokers.Count); count > 0 && n > count && v.r.Sound(path, "kafka.brokers.count") {
		v.r.Addf(path, "%d copies need %d brokers, but there are %d", n, n, count)
	}
}

func (v validator) topics() {
	if len(v.Kafka.Topics) == 0 && v.r.Sound("kafka.topics") {
		v.r.Addf("kafka.topics", "the list is empty")
	}
	seen := map[string]string{}
	for i, t := range v.Kafka.Topics {
		path := fmt.Sprintf("kafka.topics[%d]", i)
		v.word(path+".name", t.Name, topicFault)
		v.number(path+".partitions", int64(t.Partitions), 1, math.MaxInt32)
		v.number(path+".replicas", int64(t.Replicas), 1, math.MaxInt16)
		v.copies(path+".replicas", int64(t.Replicas))
		checkSettings(v.r, path+".config", t.Config, topicSettings(), true)
		if n, ok := number(t.Config, "min.insync.replicas"); ok && n > int64(t.Replicas) && t.Replicas > 0 && v.r.Sound(path) {
			v.r.Addf(path+".config.min.insync.replicas", "%d copies in sync cannot be had of %d", n, t.Replicas)
		}
		if !v.r.Sound(path + ".name") {
			continue
		}
		other, twice := seen[topicCollision(t.Name)]
		switch {
		case twice && other == t.Name:
			v.r.Addf(path+".name", "the topic %s is declared twice", strictyaml.Quote(t.Name))
		case twice:
			v.r.Addf(path+".name", "%s and %s cannot both exist: Kafka takes '.' and '_' for the same", strictyaml.Quote(t.Name), strictyaml.Quote(other))
		default:
			seen[topicCollision(t.Name)] = t.Name
		}
	}
}

// declared checks that a topic that something refers to exists. It is silent
// while any of the declared topics could not be read: it may be that one.
func (v validator) declared(path, topic string) bool {
	if _, ok := v.Kafka.Topic(topic); ok || !v.r.Sound(path, "kafka.topics") {
		return ok
	}
	names := make([]string, len(v.Kafka.Topics))
	for i, t := range v.Kafka.Topics {
		names[i] = t.Name
	}
	hint := ""
	if near := strictyaml.Nearest(topic, names); near != "" {
		hint = ", did you mean " + strictyaml.Quote(near) + "?"
	}
	v.r.Addf(path, "%s is not among kafka.topics%s", strictyaml.Quote(topic), hint)
	return false
}

// topicList checks a list of references to declared topics.
func (v validator) topicList(path string, topics []string) {
	if len(topics) == 0 && v.r.Sound(path) {
		v.r.Addf(path, "the list is empty")
	}
	for i, topic := range topics {
		at := fmt.Sprintf("%s[%d]", path, i)
		if slices.Contains(topics[:i], topic) && v.r.Sound(at) {
			v.r.Addf(at, "%s stands here twice", strictyaml.Quote(topic))
			continue
		}
		v.declared(at, topic)
	}
}

func (v validator) readers() {
	for i, reader := range v.Kafka.Readers {
		path := fmt.Sprintf("kafka.readers[%d]", i)
		if !slices.Equal(reader.Topics, []string{"*"}) {
			v.topicList(path+".topics", reader.Topics)
		}
		v.word(path+".name", reader.Name, userFault)
		if userFault(reader.Name) != "" {
			continue
		}
		switch {
		case reader.Name == v.Kafka.Superuser:
			v.r.Addf(path+".name", "%s is the superuser", strictyaml.Quote(reader.Name))
		case slices.Contains(ServiceUsers(), reader.Name):
			v.r.Addf(path+".name", "%s is the name of a part of the system", strictyaml.Quote(reader.Name))
		case v.Registry.Topic != "" && slices.Contains(reader.Topics, v.Registry.Topic):
			v.r.Addf(path+".topics", "%s holds the registry's state, which is not for readers", strictyaml.Quote(v.Registry.Topic))
		}
		for j, other := range v.Kafka.Readers {
			switch {
			case userFault(other.Name) != "" || i == j:
			case reader.Name == other.Name && j < i:
				v.r.Addf(path+".name", "the reader %s is declared twice", strictyaml.Quote(reader.Name))
			case reader.Name != other.Name && strings.HasPrefix(other.Name, reader.Name):
				v.r.Addf(path+".name", "%s could use the consumer groups of %s, which begin with its name", strictyaml.Quote(reader.Name), strictyaml.Quote(other.Name))
			}
		}
		if strings.HasPrefix(v.AlertDatabase.Group, reader.Name) {
			v.r.Addf(path+".name", "%s could use the consumer group %s of the alert database, which begins with its name", strictyaml.Quote(reader.Name), strictyaml.Quote(v.AlertDatabase.Group))
		}
	}
}

func (v validator) registry() {
	if v.declared("registry.topic", v.Registry.Topic) {
		i := slices.IndexFunc(v.Kafka.Topics, func(t Topic) bool { return t.Name == v.Registry.Topic })
		path, t := fmt.Sprintf("kafka.topics[%d]", i), v.Kafka.Topics[i]
		// The registry replays one partition in order, and has to find
		// every schema that was ever registered.
		if t.Partitions > 1 && v.r.Sound(path+".partitions") {
			v.r.Addf(path+".partitions", "the registry's topic must have one partition, but has %d", t.Partitions)
		}
		policy, given := t.Config["cleanup.policy"]
		legal := !given || topicSettings()["cleanup.policy"](policy) == ""
		if policy != "compact" && legal && v.r.Sound(path+".config") {
			v.r.Addf(path+".config.cleanup.policy", `must be "compact", because the registry keeps its state in this topic`)
		}
	}
	v.word("registry.subject", v.Registry.Subject, lineFault)
	v.optional("registry.host", v.Registry.Host, nameFault)
	if v.Registry.Replicas != 0 {
		v.number("registry.replicas", int64(v.Registry.Replicas), 1, maxBrokers)
	}
	v.word("registry.compatibility", v.Registry.Compatibility, oneOf("NONE", "BACKWARD", "BACKWARD_TRANSITIVE",
		"FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"))
}

func (v validator) simulator() {
	s := v.Simulator
	v.word("simulator.staticTopic", s.StaticTopic, topicFault)
	if v.r.Sound("simulator.staticTopic", "simulator.topic") && s.StaticTopic == s.Topic {
		v.r.Addf("simulator.staticTopic", "the reservoir cannot be the topic that it is played to, %s", strictyaml.Quote(s.Topic))
	}
	v.declared("simulator.topic", s.Topic)
	for path, topic := range map[string]string{"simulator.staticTopic": s.StaticTopic, "simulator.topic": s.Topic} {
		if topic == v.Registry.Topic && v.r.Sound(path, "registry.topic") {
			v.r.Addf(path, "%s holds the registry's state", strictyaml.Quote(topic))
		}
	}
	if s.Interval < MinInterval && v.r.Sound("simulator.interval") {
		v.r.Addf("simulator.interval", "must be at least %s, but is %s", MinInterval, s.Interval)
	}
	v.number("simulator.alerts", int64(s.Alerts), 1, math.MaxInt32)
	v.packetSize()
	v.word("simulator.schema", s.Schema, schemaFault)
}

func (v validator) packetSize() {
	const path = "simulator.packetSize"
	size := v.Simulator.PacketSize
	if !v.r.Sound(path) {
		return
	}
	if size < MinPacketSize {
		v.r.Addf(path, "must be at least %s, but is %s", strictyaml.FormatSize(MinPacketSize), strictyaml.FormatSize(size))
		return
	}
	// Every alert is written twice: into the reservoir and out of it.
	most := min(v.Kafka.MessageMaxBytes(v.Simulator.Topic), v.Kafka.MessageMaxBytes(v.Simulator.StaticTopic))
	if v.r.Sound("kafka.config", "kafka.topics") && size > most-batchOverhead {
		v.r.Addf(path, "%s and %d bytes of headers do not fit into a message: the limit is %d bytes (message.max.bytes)",
			strictyaml.FormatSize(size), batchOverhead, most)
	}
}

func schemaFault(version string) string {
	known := SchemaVersions()
	switch {
	case slices.Contains(known, version):
		return ""
	case !numberPattern.MatchString(version):
		return `is not an alert schema version, which is written as "11.0"`
	}
	return "is not a published alert schema version, there are: " + strings.Join(known, ", ")
}

// maxDays is a hundred years, which a time.Duration of nanoseconds still holds.
const maxDays = 36500

func (v validator) alertDatabase() {
	d := v.AlertDatabase
	v.word("alertDatabase.group", d.Group, lineFault)
	v.topicList("alertDatabase.topics", d.Topics)
	v.word("alertDatabase.alertBucket", d.AlertBucket, bucketFault)
	v.word("alertDatabase.schemaBucket", d.SchemaBucket, bucketFault)
	if d.Ingesters != 0 {
		v.number("alertDatabase.ingesters", int64(d.Ingesters), 1, maxBrokers)
	}
	if s := d.Scaling; s != (Scaling{}) {
		v.number("alertDatabase.scaling.lag", int64(s.Lag), 1, math.MaxInt32)
		if s.Least != 0 {
			v.number("alertDatabase.scaling.least", int64(s.Least), 1, int64(max(1, d.Ingesters)))
		}
		if s.Cooldown != 0 && s.Cooldown < time.Second && v.r.Sound("alertDatabase.scaling.cooldown") {
			v.r.Addf("alertDatabase.scaling.cooldown", "must be at least %s, but is %s", time.Second, s.Cooldown)
		}
	}
	if d.PurgeAfterDays != 0 {
		v.number("alertDatabase.purgeAfterDays", int64(d.PurgeAfterDays), 1, maxDays)
	}
	v.optional("alertDatabase.scope", d.Scope, matches(scopePattern, "is not a scope, which is written as read:alertdb"))
}
