package catalog

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
)

func componentsOf(w plan.Wanted) []string {
	var out []string
	for _, p := range w.Parts {
		out = append(out, p.Key)
	}
	return out
}

// A profile whose brokers have ports of a node needs no load balancer; one that is
// told to has none either.
func TestChosen(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"ci": false, "summit": false, "local": true, "usdfdev": true} {
		w := wanted(t, onK3d(t, name))
		if has := slices.Contains(componentsOf(w), "metallb"); has != want {
			t.Errorf("%s: %v", name, componentsOf(w))
		}
		for _, p := range w.Parts {
			if implementation := map[bool]string{true: "metallb", false: "node-ports"}[want]; p.Key == "addresses" && p.Implementation != implementation {
				t.Errorf("%s: addresses by %s", name, p.Implementation)
			}
			for _, need := range p.Needs {
				if !slices.Contains(componentsOf(w), need) {
					t.Errorf("%s: %s needs %s, which is not there", name, p.Key, need)
				}
			}
		}
	}
	light := onK3d(t, "local")
	light.Resolved = strings.Replace(light.Resolved, "listener: {port: 9094, tls: false}", "listener: {port: 9094, tls: false, type: nodeport}", 1)
	if w := wanted(t, light); slices.Contains(componentsOf(w), "metallb") {
		t.Errorf("told to use ports: %v", componentsOf(w))
	}
}

// The chart of the bundle is installed with its images, the pinned one otherwise.
func TestUpstreams(t *testing.T) {
	t.Parallel()
	desc := onK3d(t, "local")
	p, _, err := profileOf(desc)
	if err != nil {
		t.Fatal(err)
	}
	if got := missingCharts(p, desc); !slices.Equal(got, []string{"the chart metallb 0.15.2"}) {
		t.Errorf("missing %q", got)
	}
	desc.Cluster.Charts = []state.Chart{{Name: "metallb", Version: "0.1.0", AppVersion: "v9.9.9"}, {Name: "other"}}
	if got := missingCharts(p, desc); len(got) > 0 {
		t.Errorf("missing %q", got)
	}
	if got := images(p, desc); !slices.Contains(got, "quay.io/metallb/speaker:v9.9.9") {
		t.Errorf("images %q", got)
	}
	for _, part := range wanted(t, desc).Parts {
		var r struct{ Version string }
		if err := json.Unmarshal(part.Input, &r); part.Key == "metallb" && (err != nil || r.Version != "0.1.0") {
			t.Errorf("version %s, %v", r.Version, err)
		}
	}
	if got, err := BundledCharts(withBundle(Helm, "")); err != nil || got != nil {
		t.Errorf("no bundle: %v, %v", got, err)
	}
	if _, err := BundledCharts(withBundle(Helm, "/nowhere/at/all")); err == nil {
		t.Error("a bundle that is not there was read")
	}
}

// A range that another lab has is refused, by its own range and by what it announces.
func TestCheckPool(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	make := func(name string) state.Dir {
		dir := state.At(root, name)
		if err := dir.Create(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if err := make("given").SetDescription(state.Description{Name: "given", Cluster: state.Cluster{AddressPool: "192.0.2.0/28"}}); err != nil {
		t.Fatal(err)
	}
	if err := make("announces").SetEndpoints(endpoints.Endpoints{Kafka: endpoints.Kafka{Bootstrap: "192.0.2.40:9094", Brokers: []endpoints.Broker{{Address: "192.0.2.41:9094"}, {Address: "name:9094"}}}}); err != nil {
		t.Fatal(err)
	}
	make("empty")
	for given, why := range map[string]string{
		"": "", "192.0.2.16-192.0.2.30": "", "192.0.2.15-192.0.2.30": "lab given has 192.0.2.0/28 of it", "192.0.2.32/28": "lab announces has 192.0.2.40, 192.0.2.41 of it", "x": "no range",
	} {
		err := CheckPool(root, state.Description{Name: "mine", Cluster: state.Cluster{AddressPool: given}})
		var refused *metallb.PoolError
		if why == "" && err == nil {
			continue
		}
		if why == "" || !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", given, err)
		}
	}
	if err := CheckPool(root, state.Description{Name: "given", Cluster: state.Cluster{AddressPool: "192.0.2.0/28"}}); err != nil {
		t.Errorf("its own: %v", err)
	}
}
