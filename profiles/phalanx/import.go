package phalanx

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/profiles"
)

// Result is what became of a values file.
type Result struct {
	Profile *profiles.Profile `json:"profile"`
	Taken   int               `json:"taken"` // how many values were taken over
	// Ours are the values that the file does not say and a profile needs.
	Ours []profiles.Value `json:"ours"`
	Left []Left           `json:"left"`
}

// Left is a value, or everything below one path, that was not taken over.
type Left struct {
	Path string `json:"path"`
	Line int    `json:"line"` // of its first value, from 1
	Why  string `json:"why"`
}

// Error says why a file gives no profile.
type Error struct {
	File string
	Err  error
}

func (e *Error) Error() string {
	if problems := new(profiles.Problems); errors.As(e.Err, &problems) {
		return e.Err.Error() // each line names the file
	}
	return e.File + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// MaxSize is how many bytes a values file may have.
const MaxSize = strictyaml.MaxSize

// runnable is the version of Kafka that is taken where the file's cannot be run.
const runnable = "4.2.0"

// Import makes a profile of the given name out of a values file; file only
// appears in texts. Its error is an *Error: the file cannot be read as a values
// file of one of the two applications, or what is in it makes no valid profile.
func Import(name, file string, data []byte) (*Result, error) {
	if len(data) > MaxSize {
		return nil, &Error{file, fmt.Errorf("it has more than the %d bytes that a values file may have", MaxSize)}
	}
	v, err := read(data)
	if err != nil {
		return nil, &Error{file, err}
	}
	p := &profiles.Profile{APIVersion: profiles.APIVersion, Kind: profiles.Kind, Name: name, Stack: "alerts",
		Description: "Imported from " + base(file), Origin: "Phalanx, " + base(file)}
	i := &importer{values: v, p: p}
	switch {
	case v.has("alert-stream-broker.kafka") || v.has("alert-stream-broker.cluster") || v.has("alert-stream-broker.users"):
		i.alertStreamBroker()
	case v.has("strimzi-kafka") && v.has("alert-brokers"):
		i.sasquatch()
	default:
		return nil, &Error{file, fmt.Errorf("it is no values file of alert-stream-broker, nor of sasquatch with alert-brokers and strimzi-kafka")}
	}
	i.complete()
	text, err := p.YAML()
	if err != nil {
		return nil, &Error{file, err}
	}
	out, err := profiles.Parse(file+" as a profile", text)
	if err != nil {
		return nil, &Error{file, err}
	}
	return &Result{Profile: out, Taken: len(v.seen), Ours: i.given(out), Left: v.left()}, nil
}

func base(file string) string { return file[strings.LastIndexAny(file, `/\`)+1:] }

// Text gives the profile as YAML, which begins with what is ours and what was
// left, as comments.
func (r *Result) Text(file string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Imported from %s: %d values were taken over.\n", clean(file), r.Taken)
	if len(r.Ours) > 0 {
		b.WriteString("#\n# Not said there, and added:\n")
	}
	for _, v := range r.Ours {
		fmt.Fprintf(&b, "#   %s: %s\n", clean(v.Path), clean(v.Text))
	}
	if len(r.Left) > 0 {
		b.WriteString("#\n# Left:\n")
	}
	for _, l := range r.Left {
		fmt.Fprintf(&b, "#   line %d, %s: %s\n", l.Line, clean(l.Path), l.Why)
	}
	b.Write(r.Profile.Source())
	return []byte(b.String())
}

// clean keeps a text on its line of a comment.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

// importer fills a profile from values.
type importer struct {
	*values
	p    *profiles.Profile
	ours []string // paths of the profile that the file does not say
}

// own records that a value of the profile is ours.
func (i *importer) own(path string) { i.ours = append(i.ours, path) }

// given gives the values that are ours, as they came out.
func (i *importer) given(p *profiles.Profile) []profiles.Value {
	out := []profiles.Value{}
	for _, path := range i.ours {
		out = append(out, profiles.Value{Path: path, Text: p.Value(path)})
	}
	return out
}

func (i *importer) concede(value, source, why string) {
	i.p.Concessions = append(i.p.Concessions, profiles.Concession{Value: value, Source: source, Why: why})
}

// alertStreamBroker takes the values of the application that stood alone.
func (i *importer) alertStreamBroker() {
	const top = "alert-stream-broker"
	k := &i.p.Kafka
	k.Cluster = i.text(top + ".cluster.name")
	i.kafka(top + ".kafka")
	if n, ok := i.number(top + ".kafka.replicas"); ok {
		k.Brokers.Count = n
	}
	i.storage(top+".kafka.storage", &k.Brokers.Storage)
	i.resources(top+".kafka.resources", &k.Brokers.Resources)
	i.resources(top+".kafka.broker.resources", &k.Brokers.Resources)
	i.resources(top+".kafka.controller.resources", &k.Controllers.Resources)
	if k.Brokers.AntiAffinity = i.antiAffinity(top + ".kafka.broker.affinity"); k.Brokers.AntiAffinity {
		i.antiAffinity(top + ".kafka.controller.affinity")
	}
	i.storage(top+".zookeeper.storage", &k.Controllers.Storage)
	i.storage(top+".kafkaController.storage", &k.Controllers.Storage)
	i.resources(top+".kafkaController.resources", &k.Controllers.Resources)
	if k.Controllers != (profiles.Controllers{}) {
		k.Controllers.Count = min(3, k.Brokers.Count)
		i.own("kafka.controllers.count")
	}
	pool := top + ".kafka.nodePool"
	if key, value := i.text(pool+".affinities[0].key"), i.text(pool+".affinities[0].value"); key != "" {
		k.Brokers.NodePool.Label = key + "=" + value
	}
	if key, value, effect := i.text(pool+".tolerations[0].key"), i.text(pool+".tolerations[0].value"), i.text(pool+".tolerations[0].effect"); key != "" && effect != "" {
		k.Brokers.NodePool.Taint = key + "=" + value + ":" + effect
	}
	i.superusers(top + ".superusers")
	i.readers(top+".users", "readonlyTopics")

	i.namedTopics(top)
	const sim = "alert-stream-simulator"
	i.p.Simulator.StaticTopic = i.text(sim + ".staticTopicName")
	if name := i.text(sim + ".replayTopicName"); name != "" {
		i.p.Simulator.Topic = name
		i.topic(name, sim+".replayTopicPartitions", sim+".replayTopicReplicas", sim+".maxBytesRetained", sim+".maxMillisecondsRetained")
	}
	if n, ok := i.number(sim + ".repeatInterval"); ok {
		i.p.Simulator.Interval = time.Duration(n) * time.Second
	}
	const registry = "alert-stream-schema-registry"
	i.p.Registry.Topic, i.p.Registry.Host = i.text(registry+".schemaTopic"), i.text(registry+".hostname")
	i.p.Registry.Subject = i.text(registry + ".schemaSync.subject")
	i.p.Registry.Compatibility = strings.ToUpper(i.text(registry + ".compatibilityLevel"))
	i.alertDatabase()
}

// sasquatch takes the values of its alert subcharts.
func (i *importer) sasquatch() {
	const top, kafka = "strimzi-kafka", "strimzi-kafka.kafka"
	k := &i.p.Kafka
	if k.Cluster = i.text(top + ".cluster.name"); k.Cluster == "" {
		k.Cluster = "sasquatch"
		i.own("kafka.cluster")
	}
	i.kafka(kafka)
	for _, path := range []string{top + ".broker.replicas", kafka + ".replicas"} {
		if n, ok := i.number(path); ok && (k.Brokers.Count == 0 || k.Brokers.Count == n) {
			k.Brokers.Count = n
		}
	}
	var ids []int32
	if json.Unmarshal([]byte(i.peek(top+".broker.nodeIds")), &ids) == nil && len(ids) == k.Brokers.Count && consecutive(ids) {
		i.text(top + ".broker.nodeIds")
		k.Brokers.FirstID = ids[0]
	}
	i.storage(top+".broker.storage", &k.Brokers.Storage)
	i.resources(top+".broker.resources", &k.Brokers.Resources)
	k.Brokers.AntiAffinity = i.antiAffinity(top + ".broker.affinity")
	if n, ok := i.number(top + ".controller.replicas"); ok {
		k.Controllers.Count = n
		i.storage(top+".controller.storage", &k.Controllers.Storage)
		i.resources(top+".controller.resources", &k.Controllers.Resources)
		if k.Brokers.AntiAffinity {
			i.antiAffinity(top + ".controller.affinity")
		}
	}
	if n, ok := i.number(kafka + ".replicationFactor"); ok {
		for _, key := range []string{"default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor"} {
			i.set(key, strconv.Itoa(n))
		}
	}
	i.superusers(top + ".superusers")

	for n := range i.entries("alert-brokers.topics") {
		at := fmt.Sprintf("alert-brokers.topics[%d]", n)
		if name := i.text(at + ".name"); name != "" {
			i.topic(name, at+".partitions", at+".replicas", at+".bytesRetained", at+".millisecondsRetained")
		}
	}
	i.readers("alert-brokers.users", "topics")
	i.p.Registry.Topic, i.p.Registry.Host = i.text("schema-registry.schemaTopic"), i.text("schema-registry.ingress.hostname")
	if n, ok := i.number("schema-registry.replicaCount"); ok {
		i.p.Registry.Replicas = n
	}
	i.p.Registry.Compatibility = strings.ToUpper(i.text("schema-registry.compatibilityLevel"))
	i.p.Registry.Subject = i.text("alert-stream-schema-sync.schemaSync.subject")
	i.alertDatabase()
}

func consecutive(ids []int32) bool {
	for n, id := range ids {
		if id < 0 || int64(id) != int64(ids[0])+int64(n) {
			return false
		}
	}
	return len(ids) > 0
}

// set sets one of the brokers' settings, unless the file did.
func (i *importer) set(key, text string) {
	if i.p.Kafka.Config == nil {
		i.p.Kafka.Config = map[string]string{}
	}
	if _, given := i.p.Kafka.Config[key]; !given {
		i.p.Kafka.Config[key] = text
	}
}

// kafka takes what both applications say of Kafka in the same way.
func (i *importer) kafka(at string) {
	k := &i.p.Kafka
	if version := i.text(at + ".version"); version != "" {
		k.Version = version
		if !canRun(version) {
			k.Version = runnable
			i.concede("kafka.version", version, "the operators that serve today's Kubernetes run Kafka 4.1.0 to 4.3.1")
		}
	}
	// Settings of Kafka before 4, under their own keys or a chart's.
	gone := []string{"log.message.format.version", "inter.broker.protocol.version"}
	for n, key := range []string{"logMessageFormatVersion", "interBrokerProtocolVersion"} {
		for _, path := range []string{at + "." + key, at + ".config." + gone[n]} {
			if text := i.text(path); text != "" {
				i.concede("kafka.config."+gone[n], text, "Kafka 4 has no such setting")
				break
			}
		}
	}
	for _, key := range i.keys(at + ".config") {
		if slices.Contains(gone, key) {
			continue
		}
		if text := i.text(at + ".config." + key); text != "" {
			i.set(key, text)
		}
	}
	listener := at + ".externalListener"
	k.Listener.TLS = i.text(listener+".tls.enabled") == "true"
	if k.Listener.TLS {
		k.Listener.Issuer = i.text(listener + ".tls.certIssuerName")
	}
	k.Listener.BootstrapHost = i.text(listener + ".bootstrap.host")
	pool := regexp.MustCompile(`^metallb(\.universe\.tf|\.io)/address-pool$`)
	for _, key := range i.keys(listener + ".bootstrap.annotations") {
		if pool.MatchString(key) {
			k.Listener.AddressPool = i.text(listener + ".bootstrap.annotations." + key)
		}
	}
	var hosts []string
	var ids []int32
	for n := range i.entries(listener + ".brokers") {
		one := fmt.Sprintf("%s.brokers[%d]", listener, n)
		hosts = append(hosts, i.text(one+".host"))
		if id, err := strconv.ParseInt(i.peek(one+".broker"), 10, 32); err == nil {
			ids = append(ids, int32(id))
		}
		for _, key := range i.keys(one + ".annotations") {
			if pool.MatchString(key) && i.peek(one+".annotations."+key) == k.Listener.AddressPool {
				i.text(one + ".annotations." + key)
			}
		}
	}
	if len(hosts) > 0 && !slices.Contains(hosts, "") {
		k.Listener.BrokerHosts = hosts
	}
	i.addresses(listener, len(hosts))
	if len(ids) == len(hosts) && consecutive(ids) {
		k.Brokers.FirstID = ids[0]
		for n := range ids {
			i.text(fmt.Sprintf("%s.brokers[%d].broker", listener, n))
		}
	}
}

// addresses takes what the source announces, where bootstrap and every broker have an
// address of their own. Of several ways to say it, the one that load balancers follow
// counts.
func (i *importer) addresses(listener string, brokers int) {
	var taken, out []string
	for n := range brokers + 1 {
		at := listener + ".bootstrap"
		if n > 0 {
			at = fmt.Sprintf("%s.brokers[%d]", listener, n-1)
		}
		for _, key := range []string{"annotations.metallb.io/loadBalancerIPs", "annotations.metallb.universe.tf/loadBalancerIPs", "loadBalancerIP", "ip"} {
			text := i.peek(at + "." + key)
			if a, err := netip.ParseAddr(text); err != nil || !a.Is4() || !a.IsGlobalUnicast() || slices.Contains(out, text) {
				continue
			}
			taken, out = append(taken, at+"."+key), append(out, text)
			break
		}
	}
	if brokers == 0 || len(out) <= brokers {
		return
	}
	for _, path := range taken {
		i.text(path)
	}
	i.p.Kafka.Listener.Source = profiles.Addresses{Bootstrap: out[0], Brokers: out[1:]}
}

// canRun asks the format itself.
func canRun(version string) bool {
	m := regexp.MustCompile(`^4\.([123])\.([0-9]+)$`).FindStringSubmatch(version)
	return m != nil && (m[1] != "3" || m[2] == "0" || m[2] == "1")
}

func (i *importer) storage(at string, s *profiles.Storage) {
	size, err := strictyaml.ParseSize(i.peek(at + ".size"))
	if err != nil || size <= 0 {
		return
	}
	i.text(at + ".size")
	s.Size, s.Class = size, i.text(at+".storageClassName")
}

// resources takes whole processors and memory; where only one of the two can be
// said, both are left.
func (i *importer) resources(at string, r *profiles.Resources) {
	for key, into := range map[string]*profiles.Amounts{"requests": &r.Requests, "limits": &r.Limits} {
		cpu, cpuErr := strconv.Atoi(i.peek(at + "." + key + ".cpu"))
		memory, err := strictyaml.ParseSize(i.peek(at + "." + key + ".memory"))
		if cpuErr != nil || err != nil || cpu < 1 || memory < 1 {
			continue
		}
		i.text(at + "." + key + ".cpu")
		i.text(at + "." + key + ".memory")
		*into = profiles.Amounts{CPU: cpu, Memory: memory}
	}
}

// antiAffinity takes the rule that no two pods of the cluster share a node.
func (i *importer) antiAffinity(at string) bool {
	rule := at + ".podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
	if i.peek(rule+".topologyKey") != "kubernetes.io/hostname" {
		return false
	}
	for _, path := range i.order {
		if below(path, rule) {
			i.seen[path] = true
		}
	}
	return true
}

func (i *importer) superusers(at string) {
	if i.entries(at) == 1 {
		i.p.Kafka.Superuser = i.text(at + "[0]")
	}
}

// readers takes users whose one group is their own name: a profile has no others.
func (i *importer) readers(at, topics string) {
	for n := range i.entries(at) {
		one := fmt.Sprintf("%s[%d]", at, n)
		name := i.peek(one + ".username")
		if name == "" || i.entries(one+".groups") > 1 || i.peek(one+".groups[0]") != name {
			continue
		}
		list := i.list(one + "." + topics)
		if len(list) == 0 {
			continue
		}
		i.text(one + ".username")
		i.text(one + ".groups[0]")
		if slices.Contains(list, "*") {
			list = []string{"*"}
		}
		i.p.Kafka.Readers = append(i.p.Kafka.Readers, profiles.Reader{Name: name, Topics: list})
	}
}

var topicKey = regexp.MustCompile(`^([A-Za-z0-9]+)TopicName([A-Za-z0-9]*)$`)

// namedTopics takes the topics that alert-stream-broker names by keys of their
// own: simulatedTopicName, simulatedTopicPartitions and so on; several of one kind
// have another word behind, as lsstcamTopicName100.
func (i *importer) namedTopics(top string) {
	for _, key := range i.keys(top) {
		m := topicKey.FindStringSubmatch(key)
		if m == nil {
			continue
		}
		name := i.text(top + "." + key)
		if name == "" {
			continue
		}
		at := func(what string) string { return top + "." + m[1] + what + m[2] }
		partitions, replicas := at("TopicPartitions"), at("TopicReplicas")
		if m[1] == "test" && !i.has(partitions) {
			partitions, replicas = top+".topicPartitions", top+".topicReplicas"
		}
		i.topic(name, partitions, replicas, at("MaxBytesRetained"), at("MaxMillisecondsRetained"))
	}
	if compression := i.text(top + ".topicCompression"); compression != "" {
		for n := range i.p.Kafka.Topics {
			i.p.Kafka.Topics[n].Config["compression.type"] = compression
		}
	}
}

// topic declares a topic from the paths of its values.
func (i *importer) topic(name, partitions, replicas, bytes, millis string) {
	if _, ok := i.p.Kafka.Topic(name); ok {
		return // the first one counts
	}
	t := profiles.Topic{Name: name, Partitions: 1, Replicas: 1, Config: map[string]string{}}
	if n, ok := i.number(partitions); ok {
		t.Partitions = int32(n)
	} else {
		i.own("kafka.topics[" + name + "].partitions")
	}
	if n, ok := i.number(replicas); ok && n < 1<<15 {
		t.Replicas = int16(n)
	} else {
		i.own("kafka.topics[" + name + "].replicas")
	}
	if text := i.text(bytes); text != "" {
		t.Config["retention.bytes"] = text
	}
	if text := i.text(millis); text != "" {
		t.Config["retention.ms"] = text
	}
	i.p.Kafka.Topics = append(i.p.Kafka.Topics, t)
}

func (i *importer) alertDatabase() {
	const top = "alert-database"
	d := &i.p.AlertDatabase
	for _, key := range []string{"topic", "topics"} {
		for _, topic := range i.list(top + ".ingester.kafka." + key) {
			for one := range strings.SplitSeq(topic, ",") {
				if one = strings.TrimSpace(one); one != "" && !slices.Contains(d.Topics, one) {
					d.Topics = append(d.Topics, one)
				}
			}
		}
	}
	d.Group = i.text(top + ".ingester.autoscaling.consumerGroup")
	for _, store := range []string{"gcp", "s3", "aws"} {
		at := top + ".storage." + store
		if alerts, schemas := i.text(at+".alertBucket"), i.text(at+".schemaBucket"); alerts != "" && schemas != "" {
			d.AlertBucket, d.SchemaBucket = alerts, schemas
		}
	}
	for _, path := range []string{top + ".ingester.replicas", top + ".ingester.autoscaling.maxReplicaCount"} {
		if n, ok := i.number(path); ok {
			d.Ingesters = n
		}
	}
	if query := i.peek(top + ".ingress.gafaelfawrAuthQuery"); strings.HasPrefix(query, "scope=") && i.peek(top+".ingress.enabled") == "true" {
		d.Scope = strings.TrimPrefix(i.text(top+".ingress.gafaelfawrAuthQuery"), "scope=")
	}
}

var versioned = regexp.MustCompile(`-v([0-9]+)(\.[0-9]+)?$`)

// complete gives what a profile needs and the file does not say.
func (i *importer) complete() {
	p, k := i.p, &i.p.Kafka
	fill := func(at *string, path, text string) {
		if *at == "" {
			*at = text
			i.own(path)
		}
	}
	fill(&k.Cluster, "kafka.cluster", "alert-broker")
	fill(&k.Superuser, "kafka.superuser", "kafka-admin")
	fill(&p.Registry.Topic, "registry.topic", "registry-schemas")
	fill(&p.Registry.Subject, "registry.subject", "alert-packet")
	fill(&p.Registry.Compatibility, "registry.compatibility", "NONE")
	fill(&p.AlertDatabase.Group, "alertDatabase.group", "alertdb-ingester")
	fill(&p.AlertDatabase.AlertBucket, "alertDatabase.alertBucket", "rubin-alert-archive")
	fill(&p.AlertDatabase.SchemaBucket, "alertDatabase.schemaBucket", "rubin-alert-archive")
	fill(&p.Simulator.StaticTopic, "simulator.staticTopic", "alerts-static")
	if k.Brokers.Count == 0 {
		k.Brokers.Count = max(3, len(k.Listener.BrokerHosts))
		i.own("kafka.brokers.count")
	}
	k.Listener.Port, k.Listener.Type = 9094, "loadbalancer"

	if p.Simulator.Topic == "" {
		switch {
		case len(p.AlertDatabase.Topics) > 0:
			p.Simulator.Topic = p.AlertDatabase.Topics[0]
		case len(k.Topics) > 0:
			p.Simulator.Topic = k.Topics[0].Name
		default:
			p.Simulator.Topic = "alerts-simulated"
		}
		i.own("simulator.topic")
		i.concede("simulator.topic", "none", "the environment plays no visits of its own, the lab does")
	}
	if len(p.AlertDatabase.Topics) == 0 {
		p.AlertDatabase.Topics = []string{p.Simulator.Topic}
		i.own("alertDatabase.topics")
	}
	s := &p.Simulator
	if s.Interval == 0 {
		s.Interval = 37 * time.Second
		i.own("simulator.interval")
	}
	s.Alerts, s.PacketSize, s.Schema, s.Seed = 10_000, 80_000, "11.0", 1
	if m := versioned.FindStringSubmatch(s.Topic); m != nil {
		version := m[1] + m[2]
		if m[2] == "" {
			version += ".0"
		}
		if slices.Contains(profiles.SchemaVersions(), version) {
			s.Schema = version
		}
	}
	for _, key := range []string{"alerts", "packetSize", "schema", "seed"} {
		i.own("simulator." + key)
	}
	i.missingTopics()
	i.limits()
	if _, given := k.Config["auto.create.topics.enable"]; !given {
		i.set("auto.create.topics.enable", "false")
		i.concede("kafka.config.auto.create.topics.enable", "not said, true unless its chart says other",
			"a misspelt topic would be made instead of refused, with one partition and no limit of its own")
	}
}

// missingTopics declares the topics that something refers to and the file leaves
// to its charts, among them the registry's.
func (i *importer) missingTopics() {
	k := &i.p.Kafka
	declare := func(t profiles.Topic) {
		if _, ok := k.Topic(t.Name); !ok && t.Name != i.p.Simulator.StaticTopic {
			k.Topics = append(k.Topics, t)
			i.own("kafka.topics[" + t.Name + "].partitions")
			i.own("kafka.topics[" + t.Name + "].replicas")
		}
	}
	names := append([]string{i.p.Simulator.Topic}, i.p.AlertDatabase.Topics...)
	for _, r := range k.Readers {
		names = append(names, r.Topics...)
	}
	for _, name := range names {
		if name != "*" && name != i.p.Registry.Topic {
			declare(profiles.Topic{Name: name, Partitions: 8, Replicas: 1})
		}
	}
	declare(profiles.Topic{Name: i.p.Registry.Topic, Partitions: 1, Replicas: int16(min(3, k.Brokers.Count)),
		Config: map[string]string{"cleanup.policy": "compact"}})
}

// limits sees to it that what the topics hold when they are full finds room on
// the brokers' disks, as a profile demands and sites do not always: it gives a
// limit to topics that have none, or the disks more room.
func (i *importer) limits() {
	k := &i.p.Kafka
	disk := k.Brokers.Storage.Size
	if disk == 0 {
		return
	}
	if needed := i.p.DiskNeeded(); needed >= 0 {
		const unit = 1 << 30
		if each := needed / int64(k.Brokers.Count); each > disk && each < 1<<62 {
			i.concede("kafka.brokers.storage.size", strictyaml.FormatSize(disk), "that is less than the topics hold when they are full")
			k.Brokers.Storage.Size = (each/unit + 1) * unit
			i.own("kafka.brokers.storage.size")
		}
		return
	}
	limited := profiles.Profile{Kafka: profiles.Kafka{Config: k.Config}}
	copies := int64(0)
	for _, t := range k.Topics {
		one := profiles.Profile{Kafka: profiles.Kafka{Config: k.Config, Topics: []profiles.Topic{t}}}
		if one.DiskNeeded() < 0 {
			copies += int64(t.Partitions) * int64(t.Replicas)
			continue
		}
		limited.Kafka.Topics = append(limited.Kafka.Topics, t)
	}
	const unit = 1_000_000_000
	count := int64(k.Brokers.Count)
	if disk > (1<<62)/count {
		return
	}
	room := disk*count - limited.DiskNeeded()
	if copies == 0 || room/copies < 1 {
		return // the profile's own check says what does not fit
	}
	each := room / copies
	if each > unit {
		each = each / unit * unit
	}
	source := k.Config["log.retention.bytes"]
	if source == "" {
		source = "not said"
	}
	i.concede("kafka.config.log.retention.bytes", source, "a topic without a limit of its own would fill the brokers' disks")
	if k.Config == nil {
		k.Config = map[string]string{}
	}
	k.Config["log.retention.bytes"] = strconv.FormatInt(each, 10)
	i.own("kafka.config.log.retention.bytes")
}
