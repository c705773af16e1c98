package metallb_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/metallb"
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

func resolved(t *testing.T, w plan.Want) json.RawMessage {
	t.Helper()
	in, err := plan.Resolve(w.Input, map[string]map[string]string{"cluster": {"address": "172.18.0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// Addresses are chosen once and kept; a range that is given counts instead, and one
// that somebody has or that is of no use is refused.
func TestAddresses(t *testing.T) {
	t.Parallel()
	p := load(t, "usdfdev")
	net := metallb.Network{Name: "k3d-x", Subnet: netip.MustParsePrefix("172.18.0.0/16"), Used: []netip.Addr{netip.MustParseAddr("172.18.0.1"), netip.MustParseAddr("172.18.0.2")}}
	part := metallb.New(func(context.Context) (metallb.Network, error) { return net, nil })
	w := metallb.WantAddresses(p, "")
	if o, err := part.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.State != plan.Absent {
		t.Errorf("never applied: %+v, %v", o, err)
	}
	in := resolved(t, w)
	out, err := part.Apply(t.Context(), plan.Order{Input: in})
	if err != nil {
		t.Fatal(err)
	}
	// Six brokers, bootstrap, the proof and four for others.
	if out["pool"] != "172.18.255.243-172.18.255.254" || out["bootstrap"] != "172.18.255.243:9094" || out["broker.6"] != "172.18.255.244:9094" ||
		out["broker.11"] != "172.18.255.249:9094" || out["probe"] != "172.18.255.254" || out["registry-front"] != "172.18.0.2:31280" {
		t.Errorf("%v", out)
	}
	if !slices.Equal(slices.Sorted(maps.Keys(out)), w.Outputs) {
		t.Errorf("promised %v", w.Outputs)
	}
	// Others came; the lab keeps what it has, and all that follow it.
	net.Used = append(net.Used, netip.MustParseAddr("172.18.255.242"))
	again, err := part.Apply(t.Context(), plan.Order{Input: in, Last: out})
	if err != nil || !maps.Equal(again, out) {
		t.Errorf("again: %v, %v", again, err)
	}
	look := plan.Look{Want: w, Last: in, Outputs: out}
	if o, err := part.Observe(t.Context(), look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	// Somebody took one of its own.
	net.Used = append(net.Used, netip.MustParseAddr("172.18.255.250"))
	if o, err := part.Observe(t.Context(), look); err != nil || !strings.Contains(o.Drift, "has 172.18.255.250 of it") {
		t.Errorf("%+v, %v", o, err)
	}
	moved, err := part.Apply(t.Context(), plan.Order{Input: in, Last: out})
	if err != nil || moved["pool"] != "172.18.255.230-172.18.255.241" {
		t.Errorf("moved: %v, %v", moved, err)
	}
	for given, why := range map[string]string{
		"10.0.0.1-10.0.0.20":            "it is not of the nodes' network k3d-x, whose hosts are 172.18.0.1-172.18.255.254",
		"172.18.255.236-172.18.255.244": "has 172.18.255.242 of it",
		"172.18.0.0/24":                 "it is not of the nodes' network",
	} {
		_, err := part.Apply(t.Context(), plan.Order{Input: resolved(t, metallb.WantAddresses(p, given))})
		var refused *metallb.PoolError
		if !errors.As(err, &refused) || refused.Range != given || !strings.Contains(refused.Why, why) {
			t.Errorf("%s: %v", given, err)
		}
	}
	given, err := part.Apply(t.Context(), plan.Order{Input: resolved(t, metallb.WantAddresses(p, "172.18.9.0-172.18.9.20")), Last: out})
	if err != nil || given["bootstrap"] != "172.18.9.0:9094" || given["probe"] != "172.18.9.20" {
		t.Errorf("given: %v, %v", given, err)
	}
	net.Subnet = netip.MustParsePrefix("172.18.0.0/29")
	if _, err := part.Apply(t.Context(), plan.Order{Input: in}); err == nil || !strings.Contains(err.Error(), "no 12 free addresses in a row") {
		t.Errorf("a network without room: %v", err)
	}
	silent := errors.New("it does not answer")
	part = metallb.New(func(context.Context) (metallb.Network, error) { return net, silent })
	if _, err := part.Observe(t.Context(), look); !errors.Is(err, silent) {
		t.Errorf("%v", err)
	}
	if _, err := part.Apply(t.Context(), plan.Order{Input: in}); !errors.Is(err, silent) {
		t.Errorf("%v", err)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	p := load(t, "idfint")
	for given, why := range map[string]string{
		"": "", "192.0.2.10-192.0.2.14": "",
		"192.0.2.10-192.0.2.13": "it has 4 addresses, and this lab needs 5: one for bootstrap, one for each of 3 brokers and one to prove it with",
		"192.0.2.0":             "write FIRST-LAST or a prefix",
	} {
		if err := metallb.Fit(p, given); (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	if !metallb.Wanted(load(t, "usdfdev")) || metallb.Wanted(load(t, "summit")) {
		t.Error("the wrong profiles have addresses of their own")
	}
	w := metallb.Want(load(t, "usdfdev"), component.Lab{Name: "x"})
	r, err := component.Read(w.Input)
	if err != nil || r.Chart != "metallb" || r.Repository == "" || r.Version == "" {
		t.Errorf("%+v, %v", r, err)
	}
	pool, err := component.Read(metallb.WantPool(load(t, "usdfdev"), component.Lab{Name: "x"}).Input)
	if err != nil || pool.Values["name"] != "sdf-dmz" {
		t.Errorf("%+v, %v", pool, err)
	}
	pool.Values["probe"] = "192.0.2.1"
	for _, objects := range metallb.Watched() {
		if got := objects(pool); len(got) != 1 || got[0].Ref.String() != "Service metallb-system/alertlab-address-probe" {
			t.Errorf("%v", got)
		}
	}
}
