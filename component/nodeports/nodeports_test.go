package nodeports_test

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

func load(t *testing.T, name string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The summit's ports are the real ones; brokers begin with the profile's first id.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"summit": "broker.0", "usdfdev": "broker.6"} {
		p := load(t, name)
		w := nodeports.Want(p)
		input, err := plan.Resolve(w.Input, map[string]map[string]string{"cluster": {"address": "172.18.0.2"}})
		if err != nil {
			t.Fatal(err)
		}
		part := nodeports.New()
		if o, err := part.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.State != plan.Absent {
			t.Errorf("never applied: %+v, %v", o, err)
		}
		out, err := part.Apply(t.Context(), plan.Order{Input: input})
		if err != nil || out["bootstrap"] != "172.18.0.2:31200" || out[first] != "172.18.0.2:31090" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		for _, output := range w.Outputs {
			if out[output] == "" {
				t.Errorf("%s: no output %s", name, output)
			}
		}
		if len(out) != len(w.Outputs) || !slices.IsSorted(w.Outputs) {
			t.Errorf("%s: outputs %v of %v", name, out, w.Outputs)
		}
		if o, err := part.Observe(t.Context(), plan.Look{Want: w, Last: input, Outputs: out}); err != nil || o.State != plan.Present {
			t.Errorf("applied: %+v, %v", o, err)
		}
	}
	if _, err := nodeports.New().Apply(t.Context(), plan.Order{Input: json.RawMessage("no")}); err == nil {
		t.Error("applied what cannot be read")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first, count int
		fits         bool
	}{
		"default":          {0, 6, true},
		"the summit's":     {31090, 3, true},
		"into bootstrap":   {31199, 2, false},
		"beyond the range": {32767, 2, false},
		"below the range":  {29999, 1, false},
		"the last":         {32767, 1, true},
	} {
		p := load(t, "ci")
		p.Kafka.Listener.NodePort, p.Kafka.Brokers.Count = tc.first, tc.count
		if err := nodeports.Fit(p); (err == nil) != tc.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a lab takes is what it gives its addresses at.
func TestTaken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"summit", "ci"} {
		p := load(t, name)
		p.Kafka.Listener.Type = "nodeport"
		input, err := plan.Resolve(nodeports.Want(p).Input, map[string]map[string]string{"cluster": {"address": "192.0.2.7"}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := nodeports.New().Apply(t.Context(), plan.Order{Input: input})
		if err != nil {
			t.Fatal(err)
		}
		taken := nodeports.Taken(p)
		for what, address := range out {
			_, text, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			if port, err := strconv.Atoi(text); err != nil || taken[port] == "" {
				t.Errorf("%s: %s is at %s, and that port is not among %v", name, what, address, taken)
			}
		}
		if len(taken) != len(out) {
			t.Errorf("%s: %d addresses, %d ports", name, len(out), len(taken))
		}
		p.Kafka.Listener.Type = "loadbalancer"
		if n := len(nodeports.Taken(p)); n != 4 {
			t.Errorf("%s, with addresses for the brokers: %d ports", name, n)
		}
	}
}
