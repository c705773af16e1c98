package metallb_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

func others(t *testing.T, who, pool string, texts ...string) []metallb.Others {
	t.Helper()
	var out []metallb.Others
	for _, text := range texts {
		r, err := addresspool.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, metallb.Others{Range: r, Who: who, Pool: pool})
	}
	return out
}

// The source's addresses go to the brokers that have them there, from a pool of the lab's
// own or the cluster's, and to nobody where somebody has one of them.
func TestRealAddresses(t *testing.T) {
	t.Parallel()
	p := load(t, "usdfdev")
	w := metallb.WantReal(p)
	if want := "the real system's addresses, announced on the network of the cluster's nodes: bootstrap 134.79.23.185, broker 6 134.79.23.214, broker 7 134.79.23.216"; !strings.HasPrefix(w.Title, want) {
		t.Error(w.Title)
	}
	in := resolved(t, w)
	var net metallb.Network
	part := metallb.New(func(context.Context) (metallb.Network, error) { return net, nil })
	out, err := part.Apply(t.Context(), plan.Order{Input: in, Last: map[string]string{"pool": "172.18.9.0-172.18.9.20"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"bootstrap": "134.79.23.185:9094", "broker.6": "134.79.23.214:9094", "broker.9": "134.79.23.220:9094", "broker.10": "134.79.23.217:9094",
		"broker.11": "134.79.23.219:9094", "probe": "134.79.23.185", "theirs": "", "registry-front": "172.18.0.2:31280"} {
		if out[key] != want {
			t.Errorf("%s is %q", key, out[key])
		}
	}
	if n := strings.Count(out["pool"], "134.79.23."); n != 14 || !strings.HasPrefix(out["pool"], "134.79.23.185-134.79.23.185,134.79.23.214-134.79.23.214,") {
		t.Errorf("%d of %s", n, out["pool"])
	}
	if !slices.Equal(slices.Sorted(maps.Keys(out)), w.Outputs) {
		t.Errorf("promised %v", w.Outputs)
	}
	look := plan.Look{Want: w, Last: in, Outputs: out}
	drift := func() string {
		o, err := part.Observe(t.Context(), look)
		if err != nil || o.State != plan.Present {
			t.Errorf("%+v, %v", o, err)
		}
		return o.Drift
	}
	if got := drift(); got != "" {
		t.Error(got)
	}

	for name, tc := range map[string]struct {
		others []metallb.Others
		why    string
	}{
		"the real system is there": {others(t, "the Service alert-broker-kafka-6 in namespace sasquatch", "", "134.79.23.214/32"),
			"it has 134.79.23.214, which is that of the Service alert-broker-kafka-6 in namespace sasquatch"},
		"another pool has one": {others(t, "the IPAddressPool web in namespace lb", "web", "134.79.23.216/30"),
			"it overlaps 134.79.23.216-134.79.23.219, which is that of the IPAddressPool web in namespace lb"},
		"a namesake without them": {others(t, "the IPAddressPool sdf-dmz in namespace lb", "sdf-dmz", "192.0.2.0/28"),
			"the cluster has an IPAddressPool sdf-dmz that does not have all of them"},
		"a namesake with some": {others(t, "the IPAddressPool sdf-dmz in namespace lb", "sdf-dmz", "134.79.23.214-134.79.23.220"),
			"the cluster has an IPAddressPool sdf-dmz that does not have all of them"},
		"a node": {others(t, "the node a", "", "134.79.23.185/32"), "it has 134.79.23.185, which is that of the node a"},
	} {
		net.Others = tc.others
		_, err := part.Apply(t.Context(), plan.Order{Input: in})
		var refused *metallb.PoolError
		if !errors.As(err, &refused) || refused.Why != tc.why {
			t.Errorf("%s: %v", name, err)
		}
		if err := net.RefusedReal(p); err == nil || !strings.HasSuffix(err.Error(), tc.why) {
			t.Errorf("%s, looked at before: %v", name, err)
		}
	}
	net.Others = others(t, "the node a", "", "134.79.23.185/32")
	if got := drift(); got == "" {
		t.Error("a node that took one of them is not seen")
	}

	// The site's own pool of that name gives them out, as long as it has them all.
	net.Others = others(t, "the IPAddressPool sdf-dmz in namespace lb", "sdf-dmz", "134.79.23.180-134.79.23.200", "134.79.23.210-134.79.23.230")
	if err := net.RefusedReal(p); err != nil {
		t.Error(err)
	}
	if out, err = part.Apply(t.Context(), plan.Order{Input: in}); err != nil || out["theirs"] != "sdf-dmz" || out["broker.6"] != "134.79.23.214:9094" {
		t.Errorf("%v, %v", out, err)
	}
	look.Outputs = out
	if got := drift(); got != "" {
		t.Error(got)
	}
	net.Others = nil
	if got := drift(); got != "the cluster's pool sdf-dmz has them no more" {
		t.Errorf("%q", got)
	}
	net.Others = append(others(t, "the IPAddressPool sdf-dmz in namespace lb", "sdf-dmz", "134.79.23.0/24"), others(t, "the Service web in namespace n", "", "134.79.23.219/32")...)
	if got := drift(); got != "it has 134.79.23.219, which is that of the Service web in namespace n" {
		t.Errorf("%q", got)
	}
}

// Fewer brokers than the source had have the first of its addresses, and the pool has no other.
func TestRealScaled(t *testing.T) {
	t.Parallel()
	p, err := profiles.Override(load(t, "usdfdev"), nil, "kafka.brokers.count=3")
	if err != nil {
		t.Fatal(err)
	}
	part := metallb.New(func(context.Context) (metallb.Network, error) { return metallb.Network{}, nil })
	out, err := part.Apply(t.Context(), plan.Order{Input: resolved(t, metallb.WantReal(p))})
	if err != nil || out["pool"] != "134.79.23.185-134.79.23.185,134.79.23.214-134.79.23.214,134.79.23.216-134.79.23.216,134.79.23.218-134.79.23.218" || out["broker.7"] != "134.79.23.216:9094" {
		t.Errorf("%v, %v", out, err)
	}
}

// The pool is called as the source's, and a lab that announces nothing real is as before.
func TestRealPool(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lab  component.Lab
		want string
	}{
		"usdfdev": {component.Lab{Name: "x", Guest: true, RealAddresses: true}, "sdf-dmz"},
		"idfint":  {component.Lab{Name: "x", Guest: true, RealAddresses: true}, "alertlab-x"},
	} {
		p := load(t, name)
		if got := metallb.PoolName(p, tc.lab); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
		r, err := component.Read(metallb.WantPool(p, tc.lab).Input)
		if err != nil || r.Values["theirs"] != "${addresses.theirs}" || r.Values["share"] != metallb.ShareKey(tc.lab) || r.Namespace != "alert-stream-broker" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if got := metallb.ShareKey(component.Lab{Guest: true}); got != "" {
		t.Error(got)
	}
}
