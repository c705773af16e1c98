package phalanx

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/profiles"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Golden text: the profile with what is ours and what was left.
func TestImport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stand-alone", "within-sasquatch"} {
		file := "values-" + name + ".yaml"
		r, err := Import(name, file, fixture(t, file))
		if err != nil {
			t.Fatal(err)
		}
		got := r.Text(file)
		if p, err := profiles.Parse("again.yaml", got); err != nil || len(profiles.Diff(p, r.Profile)) > 0 {
			t.Errorf("%s does not read back: %v", name, err)
		}
		golden := filepath.Join("testdata", name+".golden.yaml")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if want := fixture(t, name+".golden.yaml"); string(got) != string(want) {
			t.Errorf("%s differs (go test -update writes it):\n%s", golden, got)
		}
	}
}

// Values that a person would look for first.
func TestImportedValues(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"stand-alone": {
			"kafka.version": "4.2.0", "kafka.brokers.count": "3", "kafka.brokers.firstID": "6", "kafka.brokers.storage.size": "1846GiB", "concessions[kafka.brokers.storage.size].source": "1500GiB",
			"kafka.brokers.nodePool.taint": "kafka=ok:NoSchedule", "kafka.listener.tls": "true", "kafka.listener.addressPool": "outside",
			"kafka.listener.source.bootstrap": "192.0.2.1", "kafka.listener.source.brokers": "[192.0.2.2, 192.0.2.3, 192.0.2.4]",
			"kafka.topics[alerts-simulated].partitions": "60", "kafka.topics[alerts-simulated].config.retention.bytes": "24000000000",
			"kafka.topics[alert-stream-test].partitions": "20", "kafka.topics[latiss-alerts].config.compression.type": "snappy",
			"kafka.readers[one-broker].topics": "[alerts-simulated, alert-stream-test]", "kafka.readers[two-groups].topics": profiles.NotSet,
			"simulator.topic": "alerts-simulated", "alertDatabase.scope": "read:alertdb", "alertDatabase.alertBucket": "example-packets",
			"concessions[kafka.version].source": "3.4.0", "concessions[kafka.config.log.message.format.version].source": "3.4",
			"kafka.controllers.storage.class": "slow", "kafka.controllers.resources.limits.cpu": "4", "kafka.brokers.antiAffinity": "true",
			"kafka.topics[lsst-alerts-v10.0].partitions": "45", "kafka.topics[lsst-alerts-v10.0].config.retention.ms": "2629740000", "registry.compatibility": "NONE",
		},
		"within-sasquatch": {
			"kafka.version": "4.1.0", "kafka.cluster": "sasquatch", "kafka.brokers.firstID": "5", "kafka.brokers.antiAffinity": "true", "kafka.controllers.count": "5",
			"kafka.listener.source.bootstrap": profiles.NotSet, "kafka.listener.source.brokers": profiles.NotSet,
			"kafka.config.default.replication.factor": "3", "kafka.topics[lsst-alerts-v10.0].config.retention.ms": "2629740000",
			"kafka.readers[one-broker].topics": "[lsst-alerts-v10.0]", "simulator.schema": "10.0", "simulator.topic": "lsst-alerts-v10.0",
			"alertDatabase.ingesters": "20", "registry.host": "schemas.example.org", "concessions[simulator.topic].source": "none",
		},
	} {
		r, err := Import(name, name, fixture(t, "values-"+name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for path, text := range want {
			if got := r.Profile.Value(path); got != text {
				t.Errorf("%s: %s is %s, not %s", name, path, got, text)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	stand := string(fixture(t, "values-stand-alone.yaml"))
	for _, test := range []struct{ text, want string }{
		{"", "f.yaml: it is no mapping"},
		{"[1, 2]", "f.yaml: it is no mapping"},
		{"a: [", "f.yaml: yaml: "},
		{"gafaelfawr: {}\n", "f.yaml: it is no values file of alert-stream-broker"},
		{"strimzi-kafka: {kafka: {replicas: 3}}\n", "nor of sasquatch with alert-brokers"},
		{strings.Repeat("#", MaxSize+1), "f.yaml: it has more than"},
		{"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d]\n", "more than 10000 values"},
		{doubled(40), "more than 10000 values"},
		{strings.Replace(string(fixture(t, "values-within-sasquatch.yaml")), "35Ti", "1Gi", 1), `the topic "stream-test" has no limit`},
		{strings.ReplaceAll(stand, "one-broker", "develop-more"), "could use the consumer groups of"},
	} {
		_, err := Import("name", "f.yaml", []byte(test.text))
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: got %v, want %s", test.text, err, test.want)
		}
	}
}

// doubled is a file in which a key stands twice in each of some levels, each with all
// below: one value, met 2^levels times.
func doubled(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 {x: 1}\n")
	for i := range levels {
		fmt.Fprintf(&b, "a%d: &a%d {x: *a%d, x: *a%d}\n", i+1, i+1, i, i)
	}
	return b.String()
}

// Nothing is lost silently: each value of a file is taken or left.
func complete(v *values) error {
	left := v.left()
	for _, path := range v.order {
		if v.seen[path] {
			continue
		}
		told := false
		for _, l := range left {
			told = told || l.Path == path || below(path, l.Path)
		}
		if !told {
			return fmt.Errorf("%s is neither taken nor left", path)
		}
	}
	for _, l := range left {
		for path := range v.seen {
			if path == l.Path || below(path, l.Path) {
				return fmt.Errorf("%s is left, but %s was taken", l.Path, path)
			}
		}
	}
	return nil
}

func FuzzImport(f *testing.F) {
	f.Add(fixture(f, "values-stand-alone.yaml"))
	f.Add(fixture(f, "values-within-sasquatch.yaml"))
	f.Add([]byte("alert-stream-broker: {kafka: {replicas: 1, storage: {size: 1Gi}}, users: [{username: a, groups: [a], readonlyTopics: b}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Import("name", "f.yaml", data)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || r != nil {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		if _, err := profiles.Parse("again.yaml", r.Text("f.yaml")); err != nil {
			t.Fatal(err)
		}
		v, err := read(data)
		if err != nil {
			t.Fatal(err)
		}
		i := &importer{values: v, p: &profiles.Profile{}}
		i.alertStreamBroker()
		if err := complete(v); err != nil {
			t.Fatal(err)
		}
		i.sasquatch()
		if err := complete(v); err != nil {
			t.Fatal(err)
		}
	})
}
