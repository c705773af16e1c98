package hostnames

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

var addresses = map[string]map[string]string{"addresses": {"bootstrap": "127.0.3.10:9094", "broker.6": "127.0.3.11:9094", "broker.7": "127.0.3.12:9094", "registry-front": "127.0.3.10:8080"}}

func profile(bootstrap, registry string, brokers ...string) *profiles.Profile {
	p := &profiles.Profile{}
	p.Kafka.Brokers.FirstID = 6
	p.Kafka.Listener.BootstrapHost, p.Kafka.Listener.BrokerHosts, p.Registry.Host = bootstrap, brokers, registry
	return p
}

func TestHosts(t *testing.T) {
	t.Parallel()
	dir := state.At(t.TempDir(), "default")
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir.Path(), "hosts")
	part := New(&embedded.Host{Dir: dir})
	if o, err := part.Observe(t.Context(), plan.Look{}); err != nil || o.State != plan.Absent {
		t.Errorf("before: %+v, %v", o, err)
	}
	apply := func(p *profiles.Profile) plan.Look {
		t.Helper()
		resolved, err := plan.Resolve(Want(p).Input, addresses)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // whatever was there
			if _, err := part.Apply(t.Context(), plan.Order{Input: resolved}); err != nil {
				t.Fatal(err)
			}
		}
		return plan.Look{Last: resolved}
	}
	see := func(look plan.Look, why, drift string) {
		t.Helper()
		if o, err := part.Observe(t.Context(), look); err != nil || o.State != plan.Present || o.Why != why || o.Drift != drift {
			t.Errorf("seen %+v, %v", o, err)
		}
	}
	look := apply(profile("kafka.example", "registry.example", "k6.example", "k7.example"))
	want := "127.0.3.10\tkafka.example\n127.0.3.11\tk6.example\n127.0.3.12\tk7.example\n127.0.3.10\tregistry.example\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("written %q, %v", got, err)
	}
	see(look, "4 names are in "+path, "")
	if err := os.WriteFile(path, []byte("127.0.0.1 elsewhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	see(look, "4 names are in "+path, path+" is not what was written")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	see(look, "4 names are in "+path, path+" is missing")

	apply(profile("kafka.example", ""))
	if got, err := os.ReadFile(path); err != nil || string(got) != "127.0.3.10\tkafka.example\n" {
		t.Errorf("written %q, %v", got, err)
	}
	look = apply(profile("", ""))
	if _, err := os.Stat(path); err == nil {
		t.Error("without names there is a file")
	}
	see(look, "there are none", "")
	if left, err := filepath.Glob(filepath.Join(dir.Path(), ".hosts-*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A hosts file gives names to addresses: a name that a lab is advertised at is none.
func TestAdvertisedName(t *testing.T) {
	t.Parallel()
	lines, err := linesOf([]byte(`{"names": [{"name": "kafka.example", "address": "lab.example:9094"}, {"name": "registry.example", "address": "[::1]:8080"}]}`))
	want := "# kafka.example stands for lab.example, which a name server can say (CNAME) and no hosts file\n::1\tregistry.example\n"
	if err != nil || lines != want {
		t.Errorf("%q, %v", lines, err)
	}
}
