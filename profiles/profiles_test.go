package profiles_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/profiles"
)

var update = flag.Bool("update", false, "write the golden files")

func local(t testing.TB) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEmbedded(t *testing.T) {
	list := profiles.List()
	if len(list) == 0 {
		t.Fatal("no profiles")
	}
	for _, info := range list {
		p, err := profiles.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != info.Name || p.Description != info.Description || info.Source != "embedded" {
			t.Errorf("%s is listed as %+v", p.Name, info)
		}
		if p.Kafka.AutoCreateTopics() {
			t.Errorf("%s lets brokers create topics unasked", p.Name)
		}
	}
}

func TestLocalAsJSON(t *testing.T) {
	got, err := json.MarshalIndent(local(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	golden := filepath.Join("testdata", "local.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestLocalFitsOneMachine(t *testing.T) {
	p := local(t)
	if n := p.DiskNeeded(); n <= 0 || n > 4e9 {
		t.Errorf("topics need %d bytes", n)
	}
	segments := int64(0)
	for _, topic := range p.Kafka.Topics {
		if topic.Name == p.Simulator.Topic {
			segments = int64(topic.Partitions) * 67108864
		}
	}
	if n := p.DiskNeeded() + segments; n > 5e9 {
		t.Errorf("topics with one segment of excess for each partition need %d bytes", n)
	}
}

func TestDiskNeeded(t *testing.T) {
	t.Parallel()
	limit := func(text string) map[string]string { return map[string]string{"retention.bytes": text} }
	tests := []struct {
		name   string
		topics []profiles.Topic
		broker map[string]string
		want   int64
	}{
		{"nothing", nil, nil, 0},
		{"sum", []profiles.Topic{{Partitions: 45, Replicas: 1, Config: limit("300000000000")}, {Partitions: 400, Replicas: 3, Config: limit("10")}}, nil, 45*300000000000 + 12000},
		{"broker's limit", []profiles.Topic{{Partitions: 2, Replicas: 3}}, map[string]string{"log.retention.bytes": "7"}, 42},
		{"own limit wins", []profiles.Topic{{Partitions: 2, Replicas: 3, Config: limit("-1")}}, map[string]string{"log.retention.bytes": "7"}, -1},
		{"no limit at all", []profiles.Topic{{Partitions: 2, Replicas: 3}}, nil, -1},
		{"compacted", []profiles.Topic{{Partitions: 1, Replicas: 3, Config: map[string]string{"cleanup.policy": "compact"}}}, nil, 0},
		{"more than fits", []profiles.Topic{
			{Partitions: 1 << 20, Replicas: 1 << 10, Config: limit("755000000000")},
			{Partitions: 1, Replicas: 1, Config: limit("1")},
		}, nil, math.MaxInt64},
	}
	for _, test := range tests {
		p := &profiles.Profile{Kafka: profiles.Kafka{Topics: test.topics, Config: test.broker}}
		if got := p.DiskNeeded(); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

func TestMessageMaxBytes(t *testing.T) {
	t.Parallel()
	k := profiles.Kafka{Topics: []profiles.Topic{{Name: "own", Config: map[string]string{"max.message.bytes": "5"}}, {Name: "plain"}}}
	for name, want := range map[string]int64{"own": 5, "plain": 1048588, "": 1048588} {
		if got := k.MessageMaxBytes(name); got != want {
			t.Errorf("%q: got %d, want %d", name, got, want)
		}
	}
	k.Config = map[string]string{"message.max.bytes": "10485760"}
	if got := k.MessageMaxBytes("plain"); got != 10485760 {
		t.Errorf("got %d", got)
	}
}

func TestSourceIsTheFile(t *testing.T) {
	want, err := os.ReadFile("local.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := local(t)
	if !bytes.Equal(p.Source(), want) {
		t.Error("Source is not the file's text")
	}
	p.Source()[0] = 'X'
	if !bytes.Equal(p.Source(), want) {
		t.Error("a caller can change the profile's text")
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, local(t).Source(), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.LoadFile(good)
	if err != nil || !reflect.DeepEqual(p, local(t)) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := profiles.LoadFile(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#"), 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	var problems *profiles.Problems
	if _, err := profiles.LoadFile(big); !errors.As(err, &problems) || problems.File != big {
		t.Errorf("got %v", err)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"loacl":    `there is no profile "loacl", did you mean "local"?`,
		"nowhere":  `there is no profile "nowhere", there are: ci, idfint, local, summit, usdfdev, usdfprod`,
		"../local": `there is no profile "../local", there are: ci, idfint, local, summit, usdfdev, usdfprod`,
		"":         `there is no profile "", there are: ci, idfint, local, summit, usdfdev, usdfprod`,
	} {
		_, err := profiles.Load(name)
		var unknown *profiles.UnknownError
		if !errors.As(err, &unknown) || err.Error() != want {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

// Each case changes the text of the local profile and gives all problems.
func TestProblems(t *testing.T) {
	t.Parallel()
	type change struct{ old, new string }
	tests := []struct {
		name    string
		changes []change
		want    string // with "L" for the lines, which are checked apart
	}{
		{"names", []change{
			{"name: local\n", "name: Local\n"},
			{"stack: alerts\n", "stack: -alerts\n"},
			{"cluster: alert-broker", "cluster: alert_broker"},
			{"description: Six brokers and small visits for one machine", `description: "two\nlines"`},
			{"superuser: kafka-admin", `superuser: "kafka:admin"`},
			{"alertBucket: rubin-alertdb-local-packets", "alertBucket: Rubin_Packets"},
			{"schemaBucket: rubin-alertdb-local-schemas", "schemaBucket: 10.0.0.1"},
		}, `name: "Local" is not a DNS label: lower-case letters, digits and inner hyphens
description: "two\nlines" holds a line break or another character that cannot be printed
stack: "-alerts" is not a DNS label: lower-case letters, digits and inner hyphens
kafka.cluster: "alert_broker" is not a DNS label: lower-case letters, digits and inner hyphens
kafka.superuser: "kafka:admin" holds a :, which separates things where user names are written
alertDatabase.alertBucket: "Rubin_Packets" is not a bucket name: lower-case letters, digits, inner hyphens and single dots
alertDatabase.schemaBucket: "10.0.0.1" is an IP address, which a bucket name must not be
`},
		{"brokers", []change{
			{"{count: 6, firstID: 0}", "{count: 2, firstID: -1}"},
			{"port: 9094", "port: 70000"},
		}, `kafka.brokers.firstID: must be at least 0, but is -1
kafka.listener.port: must be at most 65535, but is 70000
kafka.config.offsets.topic.replication.factor: 3 copies need 3 brokers, but there are 2
kafka.config.transaction.state.log.replication.factor: 3 copies need 3 brokers, but there are 2
kafka.topics[1].replicas: 3 copies need 3 brokers, but there are 2
`},
		{"an unread count is reported once", []change{{"{count: 6, firstID: 0}", "{count: six, firstID: 0}"}},
			`kafka.brokers.count: must be a whole number in plain digits, but is "six"
`},
		{"no brokers", []change{{"{count: 6, firstID: 0}", "{count: 0, firstID: 0}"}},
			`kafka.brokers.count: must be at least 1, but is 0
`},
		{"settings", []change{
			{"auto.create.topics.enable: false", "auto.create.topics.enable: no"},
			{"log.retention.hours: 168 ", "Log Retention: 168 "},
			{"        retention.ms: 604800000 ", "        retention.mss: 604800000 "},
			{"        retention.bytes: 268435456", "        retention.bytes: 24GB"},
			{"LogAppendTime", "AppendTime"},
			{"cleanup.policy: compact", "cleanup.policy: delete"},
		}, `kafka.config.auto.create.topics.enable: "no" must be one of: true, false
kafka.config.Log Retention: is not a key of Kafka's configuration: lower-case words with dots
kafka.topics[0].config.message.timestamp.type: "AppendTime" must be one of: CreateTime, LogAppendTime
kafka.topics[0].config.retention.mss: Kafka has no such setting of a topic, did you mean "retention.ms"?
kafka.topics[0].config.retention.bytes: "24GB" must be a whole number, at least -1
kafka.topics[1].config.cleanup.policy: must be "compact", because the registry keeps its state in this topic
`},
		{"topics", []change{
			{"name: registry-schemas", "name: alerts/simulated"},
			{"partitions: 12", "partitions: 0"},
			{"replicas: 1\n", "replicas: 0\n"},
		}, `kafka.topics[0].partitions: must be at least 1, but is 0
kafka.topics[0].replicas: must be at least 1, but is 0
kafka.topics[1].name: "alerts/simulated" is not a topic name: letters, digits, '.', '_' and '-'
registry.topic: "registry-schemas" is not among kafka.topics
`},
		{"topics that collide", []change{
			{"  readers:\n", "    - {name: a.b, partitions: 1, replicas: 1}\n    - {name: a_b, partitions: 1, replicas: 1}\n    - {name: a.b, partitions: 1, replicas: 1}\n  readers:\n"},
		}, `kafka.topics[3].name: "a_b" and "a.b" cannot both exist: Kafka takes '.' and '_' for the same
kafka.topics[4].name: the topic "a.b" is declared twice
`},
		{"references", []change{
			{"{name: alerce, topics: [alerts-simulated]}", "{name: alerce, topics: [alerts-simulate]}"},
			{"{name: ampel, topics: [alerts-simulated]}", "{name: ampel, topics: []}"},
			{"{name: antares, topics: [alerts-simulated]}", "{name: antares, topics: [alerts-simulated, alerts-simulated]}"},
			{"{name: babamul, topics: [alerts-simulated]}", `{name: babamul, topics: ["*"]}`},
			{"{name: fink, topics: [alerts-simulated]}", "{name: fink, topics: [registry-schemas]}"},
			{"  topic: alerts-simulated\n", "  topic: elsewhere\n"},
			{"  group: alertdb-ingester\n  topics: [alerts-simulated]", "  group: alertdb-ingester\n  topics: [other]"},
		}, `kafka.readers[0].topics[0]: "alerts-simulate" is not among kafka.topics, did you mean "alerts-simulated"?
kafka.readers[1].topics: the list is empty
kafka.readers[2].topics[1]: "alerts-simulated" stands here twice
kafka.readers[4].topics: "registry-schemas" holds the registry's state, which is not for readers
simulator.topic: "elsewhere" is not among kafka.topics
alertDatabase.topics[0]: "other" is not among kafka.topics
`},
		{"references to a topic that could not be read", []change{{"- name: alerts-simulated", "- nam: alerts-simulated"}},
			`kafka.topics[0].nam: unknown key "nam", did you mean "name"?
`},
		{"readers", []change{
			{"{name: alerce,", "{name: alert-database-ingester,"},
			{"{name: ampel,", "{name: kafka-admin,"},
			{"{name: antares,", "{name: fin,"},
			{"{name: poi,", "{name: snaps,"},
			{"{name: lasair,", "{name: alertdb,"},
			{"{name: pittgoogle,", `{name: "pitt google",`},
		}, `kafka.readers[0].name: "alert-database-ingester" is the name of a part of the system
kafka.readers[1].name: "kafka-admin" is the superuser
kafka.readers[2].name: "fin" could use the consumer groups of "fink", which begin with its name
kafka.readers[5].name: "alertdb" could use the consumer group "alertdb-ingester" of the alert database, which begins with its name
kafka.readers[6].name: "pitt google" holds a space or a control character
kafka.readers[8].name: the reader "snaps" is declared twice
`},
		{"registry", []change{
			{"partitions: 1\n", "partitions: 3\n"},
			{"compatibility: NONE", "compatibility: none"},
			{"subject: alert-packet", `subject: ""`},
		}, `kafka.topics[1].partitions: the registry's topic must have one partition, but has 3
registry.subject: "" is empty
registry.compatibility: "none" must be one of: NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, FORWARD_TRANSITIVE, FULL, FULL_TRANSITIVE
`},
		{"simulator", []change{
			{"staticTopic: alerts-static", "staticTopic: alerts-simulated"},
			{"interval: 37s", "interval: 999ms"},
			{"alerts: 300", "alerts: 0"},
			{"packetSize: 80kB", "packetSize: 19999"},
			{`schema: "11.0"`, `schema: "11.1"`},
			{"seed: 1", "seed: -1"},
		}, `simulator.staticTopic: the reservoir cannot be the topic that it is played to, "alerts-simulated"
simulator.interval: must be at least 1s, but is 999ms
simulator.alerts: must be at least 1, but is 0
simulator.packetSize: must be at least 20kB, but is 19999B
simulator.schema: "11.1" is not a published alert schema version, there are: 3.0, 4.0, 5.0, 6.0, 6.1, 7.0, 7.1, 7.2, 7.3, 7.4, 8.0, 9.0, 10.0, 11.0
simulator.seed: "-1" does not fit: it must lie between 0 and 18446744073709551615
`},
		{"schema not a version", []change{{`schema: "11.0"`, `schema: latest`}},
			`simulator.schema: "latest" is not an alert schema version, which is written as "11.0"
`},
		{"packets larger than messages", []change{{"packetSize: 80kB", "packetSize: 4MiB"}},
			`simulator.packetSize: 4MiB and 1024 bytes of headers do not fit into a message: the limit is 4194304 bytes (message.max.bytes)
`},
		{"the registry's topic as reservoir", []change{{"staticTopic: alerts-static", "staticTopic: registry-schemas"}},
			`simulator.staticTopic: "registry-schemas" holds the registry's state
`},
		{"the registry's topic as stream", []change{{"  topic: alerts-simulated\n", "  topic: registry-schemas\n"}},
			`simulator.topic: "registry-schemas" holds the registry's state
`},
		{"nodes", []change{
			{"brokers: {count: 6, firstID: 0}", "version: 4.0.0\n  brokers: {count: 6, storage: {size: 100MiB, class: Weka, reclaimPolicy: Keep}, resources: {requests: {cpu: 8, memory: 2GiB}, limits: {cpu: 4, memory: 1GiB}}, nodePool: {label: kafka, taint: kafka=ok}}\n  controllers: {count: 0}"},
		}, `kafka.version: "4.0.0" is not one that can be run today, those are 4.1.0 to 4.3.1: keep it as a concession (concessions, value: kafka.version)
kafka.brokers.storage.size: 6 brokers of 100MiB have no room for 3.2 GB, which the topics hold when they are full (partitions x replicas x retention.bytes)
kafka.brokers.storage.class: "Weka" is not a DNS name: labels of lower-case letters, digits and inner hyphens, with dots between them
kafka.brokers.storage.reclaimPolicy: "Keep" must be one of: Retain, Delete
kafka.brokers.resources.requests.cpu: 8 are asked for, but only 4 may be used
kafka.brokers.resources.requests.memory: 2GiB is asked for, but only 1GiB may be used
kafka.brokers.nodePool.label: "kafka" is not a label, which is written as key=value
kafka.brokers.nodePool.taint: "kafka=ok" is not a taint, which is written as key=value:NoSchedule
`},
		{"no limit on disks that have one", []change{
			{"count: 6, firstID: 0", "count: 6, storage: {size: 35Ti}"},
			{"    log.retention.bytes: 268435456 ", "    log.retention.bytes: -1 "},
			{"        retention.bytes: 268435456 ", "        flush.ms: 1 "},
		}, `kafka.topics[0].config.retention.bytes: the topic "alerts-simulated" has no limit, but the brokers' disks have: 35TiB each (kafka.brokers.storage.size); give it retention.bytes, or all of them log.retention.bytes
`},
		{"listener", []change{
			{"tls: false", "tls: false, type: nodePort, nodePort: 9094, addressPool: a.b, bootstrapHost: kafka_1, brokerHosts: [a.example, B]"},
		}, `kafka.listener.type: "nodePort" must be one of: loadbalancer, nodeport
kafka.listener.nodePort: must be at least 30000, but is 9094
kafka.listener.addressPool: "a.b" is not a DNS label: lower-case letters, digits and inner hyphens
kafka.listener.bootstrapHost: "kafka_1" is not a DNS name: labels of lower-case letters, digits and inner hyphens, with dots between them
kafka.listener.brokerHosts: there are 2 host names for 6 brokers
kafka.listener.brokerHosts[1]: "B" is not a DNS name: labels of lower-case letters, digits and inner hyphens, with dots between them
`},
		{"addresses of the source", []change{
			{"tls: false", "tls: false, source: {bootstrap: 192.0.2.256, brokers: [192.0.2.1, 192.0.2.1, 2001:db8::1, 224.0.0.1, 192.0.2.0/24]}"},
		}, `kafka.listener.source.bootstrap: "192.0.2.256" is not an IPv4 address of a host
kafka.listener.source.brokers[1]: "192.0.2.1" stands here twice
kafka.listener.source.brokers[2]: "2001:db8::1" is not an IPv4 address of a host
kafka.listener.source.brokers[3]: "224.0.0.1" is not an IPv4 address of a host
kafka.listener.source.brokers[4]: "192.0.2.0/24" is not an IPv4 address of a host
`},
		{"half of the source's addresses", []change{{"tls: false", "tls: false, source: {bootstrap: 192.0.2.1, brokers: []}"}},
			`kafka.listener.source.brokers: the list is empty
`},
		{"node port of a load balancer", []change{{"tls: false", "tls: false, nodePort: 31090"}},
			`kafka.listener.nodePort: only a listener of the type nodeport has one
`},
		{"versions", []change{{"  cluster: alert-broker", "  version: four"}},
			`kafka.version: "four" is not a version of Kafka, which is written as "4.2.0"
`},
		{"registry and alert database", []change{
			{"compatibility: NONE", "compatibility: NONE\n  host: -a\n  replicas: -1"},
			{"group: alertdb-ingester", "group: alertdb-ingester\n  ingesters: -1\n  purgeAfterDays: -1\n  scope: alerts"},
		}, `registry.host: "-a" is not a DNS name: labels of lower-case letters, digits and inner hyphens, with dots between them
registry.replicas: must be at least 1, but is -1
alertDatabase.ingesters: must be at least 1, but is -1
alertDatabase.purgeAfterDays: must be at least 1, but is -1
alertDatabase.scope: "alerts" is not a scope, which is written as read:alertdb
`},
		{"more days than a duration holds", []change{{"group: alertdb-ingester", "group: alertdb-ingester\n  purgeAfterDays: 200000"}},
			`alertDatabase.purgeAfterDays: must be at most 36500, but is 200000
`},
		{"concessions", []change{
			{"stack: alerts", `stack: alerts
concessions:
  - {value: kafka.brokers.counts, source: "6", why: w}
  - {value: kafka.config.any.setting, source: "1", why: w}
  - {value: kafka.config.any.setting, source: "1", why: w}
  - {value: "kafka.topics[gone].config.retention.ms", source: "", why: " "}`},
		}, `concessions[0].value: this profile has no value "kafka.brokers.counts", did you mean "kafka.brokers.count"?
concessions[2].value: "kafka.config.any.setting" stands here twice
concessions[3].source: "" is empty
concessions[3].why: " " is empty
`},
		{"no concessions", []change{{"stack: alerts", "stack: alerts\nconcessions: []"}},
			`concessions: the list is empty
`},
		{"missing and unknown keys", []change{
			{"  subject: alert-packet\n", "  color: red\n"},
			{"  topic: alerts-simulated\n", ""},
			{"  interval: 37s\n", "  intervall: 37s\n"},
		}, `registry.color: unknown key "color", known here: topic, subject, compatibility, host, replicas
simulator.topic: the key is missing
simulator.intervall: unknown key "intervall", did you mean "interval"?
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := string(local(t).Source())
			for _, c := range test.changes {
				if !strings.Contains(text, c.old) {
					t.Fatalf("the local profile has no %q", c.old)
				}
				text = strings.Replace(text, c.old, c.new, 1)
			}
			_, err := profiles.Parse("p.yaml", []byte(text))
			var problems *profiles.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			var got strings.Builder
			for _, p := range problems.List {
				got.WriteString(p.Path + ": " + p.Message + "\n")
				if p.Line < 1 || p.Column < 1 {
					t.Errorf("%s stands nowhere", p.Path)
				}
			}
			if got.String() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), test.want)
			}
		})
	}
}

// The line and column are those of the offending value.
func TestProblemPlaces(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("count: 6", "count: 0", `"11.0"`, "11.0", "poi, topics: [alerts-simulated]", "poi, topics: [none]").Replace(string(local(t).Source()))
	_, err := profiles.Parse("p.yaml", []byte(text))
	var problems *profiles.Problems
	if !errors.As(err, &problems) || len(problems.List) != 3 {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(text, "\n")
	for i, want := range []string{"0, firstID", "none]}", "11.0"} {
		p := problems.List[i]
		if rest := lines[p.Line-1][p.Column-1:]; !strings.HasPrefix(rest, want) {
			t.Errorf("%+v stands before %q", p, rest)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	p := local(t)
	got, err := profiles.Override(p, []string{
		"HOME=/root", "ALERTLAB_STATE_DIR=/x", "ALERTLAB_PROFILE=ci", "ALERTLAB_LAB=l", "ALERTLAB_PROVIDER=embedded", "=odd", "odd",
		"ALERTLAB_KAFKA_BROKERS=3", "ALERTLAB_KAFKA_PORT=19094", "ALERTLAB_SIMULATOR_ALERTS=7", "ALERTLAB_SIMULATOR_ALERTS=10",
		"ALERTLAB_SIMULATOR_INTERVAL=2s", "ALERTLAB_SIMULATOR_PACKET_SIZE=64KiB",
		"ALERTLAB_SIMULATOR_SCHEMA=7.4", "ALERTLAB_SIMULATOR_SEED=",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := got.Simulator
	if got.Kafka.Brokers.Count != 3 || got.Kafka.Listener.Port != 19094 || s.Alerts != 10 || s.Interval != 2*time.Second ||
		s.PacketSize != 65536 || s.Schema != "7.4" || s.Seed != 1 {
		t.Errorf("got %+v %+v", got.Kafka.Brokers, s)
	}
	if !reflect.DeepEqual(p, local(t)) {
		t.Error("the profile itself was changed")
	}
	back, err := profiles.Parse("source.yaml", got.Source())
	if err != nil || !reflect.DeepEqual(back, got) {
		t.Errorf("its source reads as %+v, %v", back, err)
	}

	same, err := profiles.Override(p, []string{"PATH=/bin"})
	if err != nil || !reflect.DeepEqual(same, p) {
		t.Errorf("no variable changed %+v to %+v, %v", p, same, err)
	}
	same.Kafka.Config["x"] = "y"
	same.Kafka.Topics[0].Config["x"] = "y"
	same.Kafka.Readers[0].Topics[0] = "y"
	same.AlertDatabase.Topics[0] = "y"
	if !reflect.DeepEqual(p, local(t)) {
		t.Error("the copy shares memory with the profile")
	}
}

func TestOverrideProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ environ, want string }{
		{"ALERTLAB_SIMULATOR_ALERTS=many ALERTLAB_SIMULATOR_INTERVAL=37 ALERTLAB_SIMULATOR_PACKET_SIZE=80KB ALERTLAB_SIMULATOR_SEED=-1 ALERTLAB_KAFKA_BROKERS=6.0",
			`environment: ALERTLAB_KAFKA_BROKERS: must be a whole number in plain digits, but is "6.0"
environment: ALERTLAB_SIMULATOR_ALERTS: must be a whole number in plain digits, but is "many"
environment: ALERTLAB_SIMULATOR_INTERVAL: "37" has no unit: a duration is written as 37s or 1m30s
environment: ALERTLAB_SIMULATOR_PACKET_SIZE: "80KB" has no known unit, did you mean 80kB? a size is written as 80kB, 4MiB or 2500Gi
environment: ALERTLAB_SIMULATOR_SEED: "-1" does not fit: it must lie between 0 and 18446744073709551615`},
		{"ALERTLAB_SIMULATOR_ALERTS=0 ALERTLAB_SIMULATOR_SCHEMA=12.0 ALERTLAB_KAFKA_BROKERS=1001",
			`environment: ALERTLAB_KAFKA_BROKERS: must be at most 1000, but is 1001
environment: ALERTLAB_SIMULATOR_ALERTS: must be at least 1, but is 0
environment: ALERTLAB_SIMULATOR_SCHEMA: "12.0" is not a published alert schema version, there are: 3.0, 4.0, 5.0, 6.0, 6.1, 7.0, 7.1, 7.2, 7.3, 7.4, 8.0, 9.0, 10.0, 11.0`},
		{"ALERTLAB_SIMULATOR_ALERTS=5 ALERTLAB_KAFKA_BROKERS=2",
			`environment: kafka.config.offsets.topic.replication.factor: 3 copies need 3 brokers, but there are 2 (with ALERTLAB_KAFKA_BROKERS)
environment: kafka.config.transaction.state.log.replication.factor: 3 copies need 3 brokers, but there are 2 (with ALERTLAB_KAFKA_BROKERS)
environment: kafka.topics[1].replicas: 3 copies need 3 brokers, but there are 2 (with ALERTLAB_KAFKA_BROKERS)`},
		{"ALERTLAB_SIMULATOR_ALERT=5 ALERTLAB_KAFKA_TLS_CIPHER_SUITES=",
			`environment: ALERTLAB_KAFKA_TLS_CIPHER_SUITES: no such variable, there are: ALERTLAB_ALERTDB_INGESTERS, ALERTLAB_ALERTDB_LAG, ALERTLAB_KAFKA_BROKERS, ALERTLAB_KAFKA_CONTROLLERS, ALERTLAB_KAFKA_LISTENER, ALERTLAB_KAFKA_PORT, ALERTLAB_KAFKA_SYNC, ALERTLAB_NETWORK_POLICIES, ALERTLAB_SIMULATOR_ALERTS, ALERTLAB_SIMULATOR_INTERVAL, ALERTLAB_SIMULATOR_PACKET_SIZE, ALERTLAB_SIMULATOR_SCHEMA, ALERTLAB_SIMULATOR_SEED
environment: ALERTLAB_SIMULATOR_ALERT: no such variable, did you mean ALERTLAB_SIMULATOR_ALERTS?`},
	}
	for _, test := range tests {
		p, err := profiles.Override(local(t), strings.Fields(test.environ))
		var problems *profiles.Problems
		if p != nil || !errors.As(err, &problems) {
			t.Errorf("%s: got %v, %v", test.environ, p, err)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("got:\n%s\nwant:\n%s", err, test.want)
		}
	}
}

// Every variable changes the value whose path it names, so that a problem of
// that value can name the variable.
func TestVariablesAreComplete(t *testing.T) {
	t.Parallel()
	for _, one := range profiles.Variables() {
		bad := "0"
		switch one.Path {
		case "simulator.seed":
			continue // every number is a seed
		case "simulator.interval":
			bad = "0s"
		}
		_, err := profiles.Override(local(t), []string{one.Name + "=" + bad})
		var problems *profiles.Problems
		if !errors.As(err, &problems) || len(problems.List) != 1 || problems.List[0].Path != one.Name {
			t.Errorf("%s=%s: got %v", one.Name, bad, err)
		}
		if one.Description == "" {
			t.Errorf("%s has no description", one.Name)
		}
	}
}

func FuzzParse(f *testing.F) {
	source := string(local(f).Source())
	f.Add([]byte(source))
	f.Add([]byte(strings.ReplaceAll(source, "alerts-simulated", "x")))
	f.Add([]byte(strings.NewReplacer("12", "-1", "80kB", "1e9", "37s", "-37h", "{", "[", "}", "]").Replace(source)))
	f.Add([]byte("apiVersion: alertlab/v1alpha1\nkind: Profile\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := profiles.Parse("f.yaml", data)
		if err != nil {
			var problems *profiles.Problems
			if !errors.As(err, &problems) || len(problems.List) == 0 || p != nil {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		if p.DiskNeeded() < -1 {
			t.Fatalf("disk needed: %d", p.DiskNeeded())
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
		// What Override writes out must read back as the same profile.
		other, err := profiles.Override(p, []string{"ALERTLAB_SIMULATOR_SEED=2"})
		if err != nil {
			t.Fatal(err)
		}
		back, err := profiles.Parse("back.yaml", other.Source())
		if err != nil {
			t.Fatalf("%v in\n%s", err, other.Source())
		}
		if !reflect.DeepEqual(back, other) {
			t.Fatalf("%+v came back as %+v", other, back)
		}
	})
}
