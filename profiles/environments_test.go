package profiles_test

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/profiles"
)

func load(t testing.TB, name string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What tells the real environments apart, as the column that each names has it.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"ci": {
			"kafka.brokers.count": "1", "simulator.alerts": "50", "simulator.interval": "5s", "kafka.listener.port": "9094",
		},
		"local": {
			"kafka.brokers.count": "6", "simulator.alerts": "300", "simulator.interval": "37s",
		},
		"idfint": {
			"kafka.brokers.count": "3", "kafka.brokers.firstID": "0", "kafka.brokers.storage.size": "1500GiB", "kafka.brokers.storage.class": "standard",
			"kafka.brokers.nodePool.label": "kafka=ok", "kafka.brokers.nodePool.taint": "kafka=ok:NoSchedule",
			"kafka.controllers.storage.size": "1000GiB", "kafka.listener.tls": "true", "kafka.listener.bootstrapHost": "alert-stream-int.lsst.cloud",
			"kafka.listener.source.bootstrap": "35.188.169.31", "kafka.listener.source.brokers": "[35.239.64.164, 34.122.165.155, 35.238.120.127]",
			"kafka.config.offsets.retention.minutes": "10080", "kafka.config.log.retention.bytes": "644245094400", "kafka.config.message.max.bytes": profiles.NotSet,
			"kafka.topics[alerts-simulated].partitions": "8", "kafka.topics[alerts-simulated].replicas": "2",
			"kafka.topics[alerts-simulated].config.retention.ms": "604800000", "kafka.topics[alerts-simulated].config.retention.bytes": "100000000000",
			"kafka.readers[rubin-devel-idfint].topics": "[*]", "kafka.readers[pittgoogle-idfint].topics": "[alerts-simulated]", "kafka.readers[poi-usdf].topics": profiles.NotSet,
			"registry.compatibility": "FORWARD", "registry.host": "alert-schemas-int.lsst.cloud", "simulator.interval": "37s", "simulator.alerts": "10000",
			"alertDatabase.alertBucket": "rubin-alertdb-int-us-central1-packets", "alertDatabase.schemaBucket": "rubin-alertdb-int-us-central1-schemas",
			"alertDatabase.purgeAfterDays": "28", "alertDatabase.scope": "read:alertdb",
		},
		"usdfdev": {
			"kafka.brokers.count": "6", "kafka.brokers.firstID": "6", "kafka.brokers.storage.size": "35TiB", "kafka.brokers.storage.class": "wekafs--sdf-k8s01",
			"kafka.brokers.antiAffinity": "true", "kafka.brokers.resources.requests.cpu": "4", "kafka.brokers.resources.limits.memory": "32GiB",
			"kafka.controllers.storage.size": "20TiB", "kafka.controllers.storage.class": profiles.NotSet,
			"kafka.listener.tls": "false", "kafka.listener.addressPool": "sdf-dmz", "kafka.listener.source.bootstrap": "134.79.23.185",
			"kafka.listener.source.brokers":  "[134.79.23.214, 134.79.23.216, 134.79.23.218, 134.79.23.220, 134.79.23.217, 134.79.23.219]",
			"kafka.config.message.max.bytes": "4194304", "kafka.config.offsets.retention.minutes": "43200", "kafka.config.log.retention.bytes": "42949672960",
			"kafka.config.auto.create.topics.enable":     "false",
			"kafka.topics[alert-stream-test].partitions": "400", "kafka.topics[lsst-alerts-v10.0].partitions": "45", "kafka.topics[lsst-alerts-v10.0].replicas": "1",
			"kafka.topics[lsst-alerts-v10.0].config.retention.bytes": "300000000000", "kafka.topics[lsst-alerts-v10.0].config.compression.type": "snappy",
			"kafka.topics[lsst-alerts-reprocessed-v10.0].config.retention.bytes": "755000000000", "kafka.topics[latiss-alerts].config.retention.ms": "5259492000",
			"kafka.readers[snaps-usdf].topics": "[lsst-alerts-v10.0, lsst-alerts-reprocessed-v10.0]", "kafka.readers[rubin-communitybroker-idfint].topics": profiles.NotSet,
			"registry.compatibility": "NONE", "simulator.schema": "10.0", "simulator.topic": "lsst-alerts-v10.0", "simulator.alerts": "10000",
			"alertDatabase.topics": "[lsst-alerts-v10.0]", "alertDatabase.alertBucket": "rubin-alert-archive", "alertDatabase.schemaBucket": "rubin-alert-archive",
			"alertDatabase.ingesters": "24",
		},
		"usdfprod": {
			"kafka.cluster": "sasquatch", "kafka.version": "4.1.0", "kafka.brokers.count": "5", "kafka.brokers.firstID": "5", "kafka.controllers.count": "5",
			"kafka.brokers.storage.size": "35TiB", "kafka.controllers.storage.size": "100GiB", "kafka.config.min.insync.replicas": "2",
			"kafka.config.message.max.bytes": "10485760", "kafka.config.replica.lag.time.max.ms": "120000", "kafka.config.log.retention.minutes": "10080",
			"kafka.topics[alert-stream-test].partitions": "400", "kafka.topics[alerts-simulated].replicas": "3", "kafka.topics[lsst-alerts-v11].replicas": "3",
			"kafka.listener.source.bootstrap": "134.79.23.209", "kafka.listener.source.brokers": "[134.79.23.212, 134.79.23.213, 134.79.23.215, 134.79.23.210, 134.79.23.211]",
			"registry.replicas": "3", "registry.host": "rubin-alert-schemas.slac.stanford.edu", "simulator.topic": "lsst-alerts-v11", "simulator.schema": "11.0",
		},
		"summit": {
			"kafka.brokers.count": "3", "kafka.brokers.storage.size": "15GiB", "kafka.brokers.storage.reclaimPolicy": "Retain", "kafka.brokers.storage.class": "local-path",
			"kafka.listener.type": "nodeport", "kafka.listener.nodePort": "31090", "kafka.config.log.retention.hours": "24", "kafka.config.offsets.retention.minutes": "1440",
			"simulator.alerts": "10000",
		},
	} {
		p := load(t, name)
		for _, path := range slices.Sorted(maps.Keys(want)) {
			if got := p.Value(path); got != want[path] {
				t.Errorf("%s: %s is %s, not %s", name, path, got, want[path])
			}
		}
	}
	if got := len(profiles.List()); got != 6 {
		t.Errorf("%d profiles are shipped, this test knows 6", got)
	}
}

// The addresses of the source are given to the brokers in its order; fewer brokers have the
// first of them, and more than it had have none.
func TestRealAddresses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"usdfdev":   "[134.79.23.185 134.79.23.214 134.79.23.216 134.79.23.218 134.79.23.220 134.79.23.217 134.79.23.219]",
		"usdfdev 3": "[134.79.23.185 134.79.23.214 134.79.23.216 134.79.23.218]",
		"idfint":    "[35.188.169.31 35.239.64.164 34.122.165.155 35.238.120.127]",
		"summit":    "[]", "local": "[]", "ci": "[]", "ci 2": "[]",
	} {
		name, count, scaled := strings.Cut(name, " ")
		p := load(t, name)
		if scaled {
			var err error
			if p, err = profiles.Override(p, nil, "kafka.brokers.count="+count); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(p.RealAddresses()); got != want {
			t.Errorf("%s %s: %s", name, count, got)
		}
	}
	p := load(t, "usdfdev")
	p.Kafka.Brokers.Count = 7
	if got := p.RealAddresses(); got != nil {
		t.Errorf("seven brokers: %v", got)
	}
}

// Every concession of a shipped profile differs from what is run, and each value
// that cannot be run today is kept.
func TestShippedConcessions(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"idfint": {"kafka.version: 2.8.1 with ZooKeeper -> 4.2.0", "kafka.controllers.count: 3 ZooKeeper nodes -> 3",
			"kafka.config.auto.create.topics.enable: true, Kafka's default -> false",
			"kafka.config.log.message.format.version: 2.8 -> not set", "kafka.config.inter.broker.protocol.version: 2.8 -> not set"},
		"usdfdev":  {"kafka.version: 4.0.0 -> 4.2.0", "kafka.controllers.count: 6 -> 3", "simulator.topic: none -> lsst-alerts-v10.0"},
		"usdfprod": {"kafka.config.auto.create.topics.enable: true, Kafka's default -> false", "kafka.config.log.retention.bytes: not set -> 100000000000", "simulator.topic: none -> lsst-alerts-v11"},
		"summit": {"kafka.version: Confluent 5.5.2 with ZooKeeper -> 4.2.0", "kafka.controllers.count: 3 ZooKeeper nodes -> 3",
			"kafka.config.auto.create.topics.enable: true, Kafka's default -> false"},
	}
	for _, info := range profiles.List() {
		p := load(t, info.Name)
		var got []string
		for _, c := range p.Conceded() {
			text, why, ok := strings.Cut(c.String(), ", because ")
			if !ok || why == "" {
				t.Errorf("%s: %s gives no reason", info.Name, c)
			}
			got = append(got, text)
		}
		if !slices.Equal(got, want[info.Name]) {
			t.Errorf("%s concedes\n%s\nnot\n%s", info.Name, strings.Join(got, "\n"), strings.Join(want[info.Name], "\n"))
		}
		if len(got) != len(p.Concessions) {
			t.Errorf("%s states %d concessions, and %d differ", info.Name, len(p.Concessions), len(got))
		}
	}
	// What an override sets to the source's value is conceded no more.
	p := load(t, "usdfdev")
	p.Concessions = append(p.Concessions, profiles.Concession{Value: "simulator.alerts", Source: "7", Why: "w"})
	before := len(p.Conceded())
	p.Simulator.Alerts = 7
	if got := len(p.Conceded()); got != before-1 {
		t.Errorf("%d concessions, then %d", before, got)
	}
}

// The sum over the topics is what the facts make it, and fits the disks.
func TestShippedStorage(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int64{
		"ci":       3 * 67108864,
		"idfint":   8 * 2 * 100e9,
		"usdfdev":  400*100e9 + 45*100e9 + 2*45*300e9 + 45*755e9,
		"usdfprod": 3 * (400*100e9 + 45*100e9 + 45*300e9),
		"summit":   8 * 2 * 2e9,
	} {
		p := load(t, name)
		if got := p.DiskNeeded(); got != want {
			t.Errorf("%s needs %d bytes, not %d", name, got, want)
		}
		if disk := p.Kafka.Brokers.Storage.Size * int64(p.Kafka.Brokers.Count); name != "ci" && disk < want {
			t.Errorf("%s has %d bytes of disk for %d", name, disk, want)
		}
	}
}

const brokerDisk = 2 << 30

func TestScale(t *testing.T) {
	t.Parallel()
	for _, info := range profiles.List() {
		p := load(t, info.Name)
		got, changes, err := profiles.Scale(p, profiles.Limits{BrokerDisk: brokerDisk})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, load(t, info.Name)) {
			t.Fatalf("scaling %s changed it", info.Name)
		}
		if p.Kafka.Brokers.Storage.Size == 0 {
			if got != p || changes != nil {
				t.Errorf("%s has no storage to scale, but %v changed", info.Name, changes)
			}
			continue
		}
		// What comes out is a profile, and is not scaled again.
		back, err := profiles.Parse("scaled.yaml", got.Source())
		if err != nil || !reflect.DeepEqual(back, got) {
			t.Errorf("%s scaled does not read back: %v", info.Name, err)
		}
		if disk := got.Kafka.Brokers.Storage.Size; disk > 4<<30 || got.DiskNeeded() > disk*int64(got.Kafka.Brokers.Count) {
			t.Errorf("%s scaled: disks of %d for %d", info.Name, disk, got.DiskNeeded())
		}
		// The topic that is played to keeps the last visits, stored once.
		topic, _ := got.Kafka.Topic(got.Simulator.Topic)
		one := profiles.Profile{Kafka: profiles.Kafka{Topics: []profiles.Topic{{Partitions: topic.Partitions, Replicas: 1, Config: topic.Config}}}}
		if visit := int64(p.Simulator.Alerts) * p.Simulator.PacketSize; one.DiskNeeded() < 2*visit {
			t.Errorf("%s scaled: %s keeps %d bytes, and a visit has %d", info.Name, topic.Name, one.DiskNeeded(), visit)
		}
		for _, topic := range got.Kafka.Topics {
			source, _ := p.Kafka.Topic(topic.Name)
			switch {
			case topic.Partitions != source.Partitions || topic.Replicas != source.Replicas:
				t.Errorf("%s scaled: %s has other partitions or copies", info.Name, topic.Name)
			case topic.Compacted() && !maps.Equal(topic.Config, source.Config):
				t.Errorf("%s scaled: the compacted %s has %v", info.Name, topic.Name, topic.Config)
			}
		}
		// Nothing but sizes changes, and each change is told, but for segments.
		told := map[string]bool{}
		for _, c := range changes {
			told[c.Value] = true
			if c.Source == c.Run || c.Why == "" || p.Value(c.Value) != c.Source || got.Value(c.Value) != c.Run {
				t.Errorf("%s: change %+v", info.Name, c)
			}
		}
		for _, d := range profiles.Diff(p, got) {
			if !told[d.Path] && !strings.HasSuffix(d.Path, ".segment.bytes") {
				t.Errorf("%s scaled: %s changed from %s to %s untold", info.Name, d.Path, d.A, d.B)
			}
		}
	}
}

// Limits that are low already stay, and a limit of nothing is none.
func TestScaleKeepsLowLimits(t *testing.T) {
	t.Parallel()
	p := load(t, "summit")
	p.Kafka.Topics[0].Config["retention.bytes"] = "20000000"
	p.Kafka.Topics[0].Config["segment.bytes"] = "2000000"
	got, _, err := profiles.Scale(p, profiles.Limits{BrokerDisk: brokerDisk})
	if err != nil || got.Kafka.Topics[0].Config["retention.bytes"] != "20000000" || got.Kafka.Topics[0].Config["segment.bytes"] != "2000000" {
		t.Errorf("%v, %v", got.Kafka.Topics[0], err)
	}
	if got, changes, err := profiles.Scale(p, profiles.Limits{}); got != p || changes != nil || err != nil {
		t.Errorf("without a limit: %v, %v", changes, err)
	}
	if got, _, _ := profiles.Scale(p, profiles.Limits{BrokerDisk: math.MaxInt64}); got != p {
		t.Error("scaled without need")
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	a := load(t, "local")
	if got := profiles.Diff(a, load(t, "local")); got != nil {
		t.Errorf("a profile differs from itself: %v", got)
	}
	b := load(t, "local")
	b.Name, b.Description, b.Origin = "other", "other", "other"
	b.Kafka.Config["log.cleaner.backoff.ms"] = "1"
	delete(b.Kafka.Config, "offsets.retention.minutes")
	b.Kafka.Config["unclean.leader.election.enable"] = "true"
	b.Kafka.Topics = append([]profiles.Topic{{Name: "new", Partitions: 1, Replicas: 1}}, b.Kafka.Topics...)
	b.Kafka.Readers = b.Kafka.Readers[:8]
	b.Simulator.PacketSize = 64 << 10
	b.AlertDatabase.Scope = "read:alertdb"
	b.Concessions = []profiles.Concession{{Value: "kafka.brokers.count", Source: "7", Why: "w"}}
	want := []profiles.Difference{
		{"concessions[kafka.brokers.count].source", profiles.NotSet, "7"},
		{"kafka.config.log.cleaner.backoff.ms", "15000", "1"},
		{"kafka.config.offsets.retention.minutes", "43200", profiles.NotSet},
		{"kafka.config.unclean.leader.election.enable", profiles.NotSet, "true"},
		{"kafka.topics[new].partitions", profiles.NotSet, "1"},
		{"kafka.topics[new].replicas", profiles.NotSet, "1"},
		{"kafka.readers[snaps].topics", "[alerts-simulated]", profiles.NotSet},
		{"simulator.packetSize", "80kB", "64KiB"},
		{"alertDatabase.scope", profiles.NotSet, "read:alertdb"},
	}
	if got := profiles.Diff(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	// The other way round it says the same.
	back := profiles.Diff(b, a)
	for _, d := range want {
		if !slices.Contains(back, profiles.Difference{Path: d.Path, A: d.B, B: d.A}) {
			t.Errorf("the other way round %s is missing", d.Path)
		}
	}
	if len(back) != len(want) {
		t.Errorf("got %v", back)
	}
}

// A profile may leave out what has a default.
func TestDefaults(t *testing.T) {
	t.Parallel()
	text := `apiVersion: alertlab/v1alpha1
kind: Profile
name: least
description: What must be said
kafka:
  brokers: {count: 3}
  listener: {}
  topics:
    - {name: alerts, partitions: 1, replicas: 1}
    - {name: registry-schemas, partitions: 1, replicas: 3, config: {cleanup.policy: compact}}
  readers: []
registry: {}
simulator: {topic: alerts, schema: "11.0"}
alertDatabase: {topics: [alerts], alertBucket: one, schemaBucket: one}
`
	p, err := profiles.Parse("least.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"stack": "alerts", "kafka.cluster": "alert-broker", "kafka.superuser": "kafka-admin", "kafka.brokers.firstID": "0",
		"kafka.listener.port": "9094", "kafka.listener.tls": "false", "kafka.listener.type": "loadbalancer",
		"registry.topic": "registry-schemas", "registry.subject": "alert-packet", "registry.compatibility": "NONE",
		"simulator.staticTopic": "alerts-static", "simulator.interval": "37s", "simulator.alerts": "10000", "simulator.packetSize": "80kB", "simulator.seed": "1",
		"alertDatabase.group": "alertdb-ingester",
	} {
		if got := p.Value(path); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	// The environment goes over the file, and the file over the defaults.
	file := strings.Replace(text, "schema: \"11.0\"", "schema: \"11.0\", alerts: 20", 1)
	if p, err = profiles.Parse("least.yaml", []byte(file)); err != nil || p.Simulator.Alerts != 20 {
		t.Fatalf("%v, %v", p, err)
	}
	if p, err = profiles.Override(p, []string{"ALERTLAB_SIMULATOR_ALERTS=30"}); err != nil || p.Simulator.Alerts != 30 {
		t.Fatalf("%v, %v", p, err)
	}
	// Flags go over the environment.
	if p, err = profiles.Override(p, []string{"ALERTLAB_SIMULATOR_ALERTS=30"}, "simulator.alerts=35", "simulator.alerts=40", "simulator.seed=5"); err != nil || p.Simulator.Alerts != 40 || p.Simulator.Seed != 5 {
		t.Fatalf("%v, %v", p, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	_, err := profiles.Override(load(t, "local"), []string{"ALERTLAB_KAFKA_PORT=0"},
		"simulator.alert=1", "simulator.alerts", "simulator.interval=5", "kafka.brokers.count=", "nonsense=1")
	want := `environment and flags: --set kafka.brokers.count: must be a whole number in plain digits, but is ""
environment and flags: --set nonsense: cannot be set, there are: alertDatabase.ingesters, alertDatabase.scaling.lag, kafka.brokers.count, kafka.controllers.count, kafka.listener.type, kafka.listener.port, kafka.sync, networkPolicies, simulator.alerts, simulator.interval, simulator.packetSize, simulator.schema, simulator.seed
environment and flags: --set simulator.alert: cannot be set, did you mean simulator.alerts?
environment and flags: --set simulator.alerts: must be written as PATH=VALUE, e.g. simulator.alerts=50
environment and flags: --set simulator.interval: "5" has no unit: a duration is written as 37s or 1m30s`
	lines := strings.Split(fmt.Sprint(err), "\n")
	slices.Sort(lines)
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if _, err = profiles.Override(load(t, "local"), nil, "kafka.brokers.count=2", "simulator.packetSize=9"); err == nil ||
		!strings.Contains(err.Error(), "--set simulator.packetSize: must be at least 20kB") || !strings.Contains(err.Error(), "(with --set kafka.brokers.count)") {
		t.Errorf("got %v", err)
	}
	if got := profiles.Environ([]string{"simulator.alerts=7", "other=1", "kafka.listener.port=1"}); !slices.Equal(got, []string{"ALERTLAB_SIMULATOR_ALERTS=7", "ALERTLAB_KAFKA_PORT=1"}) {
		t.Errorf("got %v", got)
	}
}
