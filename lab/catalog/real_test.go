package catalog

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// real is a lab on a cluster that was there that announces what its profile's source does.
func real(t *testing.T, name string, set ...string) state.Description {
	t.Helper()
	desc := on(t, Existing, name)
	desc.Cluster.RealAddresses, desc.Cluster.ImagesLoaded = true, true
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = profiles.Override(p, nil, set...); err != nil {
		t.Fatal(err)
	}
	desc.Resolved = string(p.Source())
	return desc
}

// The plan names every address, whose they are and what becomes of them; and what is
// rendered has them, and no other.
func TestRealPlan(t *testing.T) {
	t.Parallel()
	desc := real(t, "usdfdev", "kafka.brokers.count=3")
	w := wanted(t, desc)
	fresh, _ := freshPlan(t, w)
	golden(t, filepath.Join(Existing, "usdfdev-real.txt"), fresh.String())

	for name, theirs := range map[string]string{"real": "", "real-theirs": "sdf-dmz"} {
		outputs := map[string]map[string]string{"cluster": {"address": "192.0.2.7"}, "metallb": {metallb.OutputNamespace: "metallb-system"}}
		in, err := plan.Resolve(inputOf(w, "addresses"), outputs)
		if err != nil {
			t.Fatal(err)
		}
		part := metallb.New(func(context.Context) (metallb.Network, error) {
			n := metallb.Network{}
			if theirs != "" {
				n.Others = []metallb.Others{{Range: ranged(t, "134.79.23.0/24"), Who: "theirs", Pool: theirs}}
			}
			return n, nil
		})
		if outputs["addresses"], err = part.Apply(t.Context(), plan.Order{Input: in}); err != nil {
			t.Fatal(err)
		}
		if in, err = plan.Resolve(inputOf(w, "address-pool"), outputs); err != nil {
			t.Fatal(err)
		}
		text, err := helm.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(Existing, "usdfdev-address-pool-"+name+".yaml"), text)
		strictly(t, "address-pool", text)
		outputs["kafka-certificates"] = map[string]string{"issued": "once"}
		if in, err = plan.Resolve(inputOf(w, "kafka"), outputs); err != nil {
			t.Fatal(err)
		}
		if text, err = helm.Render(in); err != nil {
			t.Fatal(err)
		}
		announces(t, text)
	}
}

// announces looks what the Services and the settings of three brokers of usdfdev have.
func announces(t *testing.T, text string) {
	t.Helper()
	if n := strings.Count(text, "metallb.io/allow-shared-ip: alertlab-bootstrap"); n != 1 {
		t.Errorf("%d Services share their address", n)
	}
	for _, want := range []string{"metallb.io/address-pool: sdf-dmz", `metallb.io/loadBalancerIPs: "134.79.23.185"`, `metallb.io/loadBalancerIPs: "134.79.23.214"`, "EXTERNAL-9094://134.79.23.218:9094"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "134.79.23.220") {
		t.Error("an address of a broker that there is none of")
	}
}

func ranged(t *testing.T, text string) addresspool.Range {
	t.Helper()
	r, err := addresspool.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What cannot be announced is refused with the reason and a way on.
func TestCheckReal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		desc      state.Description
		why, next string
	}{
		"all":     {real(t, "usdfdev"), "", ""},
		"some":    {real(t, "usdfdev", "kafka.brokers.count=3"), "", ""},
		"not now": {on(t, Existing, "ci"), "", ""},
		"none":    {real(t, "ci"), "the profile ci holds none (kafka.listener.source); these do: idfint, usdfdev, usdfprod", "--profile idfint --real-addresses"},
		"ports":   {real(t, "idfint", "kafka.listener.type=nodeport"), "kafka.listener.type is nodeport", "--real-addresses=false"},
		"more": {func() state.Description {
			d := real(t, "usdfdev")
			d.Resolved = strings.Replace(d.Resolved, "brokers: [134.79.23.214, ", "brokers: [", 1)
			return d
		}(), "the source of profile usdfdev has them for 5 brokers, and this lab has 6", "--set kafka.brokers.count=5"},
	} {
		err := CheckReal(tc.desc)
		if tc.why == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || fault.CodeOf(err) != fault.BadInput || !strings.Contains(err.Error(), tc.why) || !strings.Contains(fault.Text(err), tc.next) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Wanted(tc.desc); err == nil || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s, planned all the same: %v", name, err)
		}
	}
}

// Labs do not take real addresses of each other, and the authority signs for these alone.
func TestRealLeases(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := state.At(root, "first")
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	first := real(t, "usdfdev")
	first.Name = "first"
	if err := dir.SetDescription(first); err != nil {
		t.Fatal(err)
	}
	second := real(t, "usdfdev", "kafka.brokers.count=3")
	second.Name = "second"
	if err := CheckPool(root, second); err == nil || !strings.Contains(err.Error(), "lab first has 134.79.23.185/32,") {
		t.Errorf("%v", err)
	}
	pool := guest(t)
	pool.Name, pool.Cluster.AddressPool = "third", "134.79.23.216-134.79.23.240"
	if err := CheckPool(root, pool); err == nil || !strings.Contains(err.Error(), "lab first has") {
		t.Errorf("%v", err)
	}
	other := real(t, "idfint")
	other.Name = "other"
	if err := CheckPool(root, other); err != nil {
		t.Error(err)
	}
	if got := announcedAs(other); got != "35.188.169.31/32,35.239.64.164/32,34.122.165.155/32,35.238.120.127/32" {
		t.Error(got)
	}
	text := string(inputOf(wanted(t, other), "authority"))
	for _, want := range []string{`"35.188.169.31/32"`, `"34.122.165.155/32"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// Two pools with one address are nothing that MetalLB takes, so that some moves need two steps.
func TestCheckMove(t *testing.T) {
	t.Parallel()
	given := func(name, pool string) state.Description {
		d := on(t, Existing, name)
		d.Cluster.AddressPool = pool
		return d
	}
	for name, tc := range map[string]struct {
		before, after state.Description
		why           string
	}{
		"to others":         {given("usdfdev", "192.0.2.0/28"), real(t, "usdfdev"), ""},
		"from ports":        {given("usdfdev", ""), real(t, "usdfdev"), ""},
		"to ports":          {real(t, "usdfdev"), given("usdfdev", ""), ""},
		"as it was":         {real(t, "usdfdev"), real(t, "usdfdev"), ""},
		"the pool's name":   {given("idfint", "35.188.169.0/24"), real(t, "idfint"), ""},
		"to some of them":   {given("usdfdev", "134.79.23.0/24"), real(t, "usdfdev"), "134.79.23.185-134.79.23.185 would be of two pools for a while, alertlab-default-sdf-dmz and sdf-dmz"},
		"from some of them": {real(t, "usdfdev"), given("usdfdev", "134.79.23.214-134.79.23.230"), "would be of two pools for a while, sdf-dmz and alertlab-default-sdf-dmz"},
	} {
		err := CheckMove(tc.before, tc.after)
		if (err == nil) != (tc.why == "") || err != nil && !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What would be announced is seen before anything is made, by survey and doctor.
func TestRealSurvey(t *testing.T) {
	t.Parallel()
	desc := real(t, "usdfdev", "kafka.brokers.count=3")
	s := &existing.Survey{Context: "site"}
	nobody := func(context.Context, string) bool { return false }
	if err := realAddresses(t.Context(), desc, s, metallb.Network{}, nil, nobody); err != nil || s.Err() != nil {
		t.Fatalf("%v, %v", err, s.Err())
	}
	const want = "bootstrap 134.79.23.185, broker 6 134.79.23.214, broker 7 134.79.23.216, broker 8 134.79.23.218"
	if text := s.Text(); !strings.Contains(text, "ANNOUNCES   "+want+": the real system's addresses, announced by L2 (ARP) on the network of the nodes") {
		t.Error(text)
	}
	found := existing.Findings(s)
	if last := found[len(found)-1]; last.Name != "real addresses" || !strings.Contains(last.Seen, want) || !strings.Contains(last.Next, "--real-addresses=false") {
		t.Errorf("%+v", last)
	}
	if err := realAddresses(t.Context(), desc, s, metallb.Network{Others: []metallb.Others{{Range: ranged(t, "134.79.23.214/32"), Who: "the Service kafka in namespace sasquatch"}}}, nil, nobody); err != nil {
		t.Fatal(err)
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "which is that of the Service kafka in namespace sasquatch") {
		t.Errorf("%v", err)
	}
	// Who answers at one of them is the real system, or the lab itself.
	there := &existing.Survey{Context: "site"}
	two := func(_ context.Context, at string) bool {
		return at == "134.79.23.216:9094" || at == "134.79.23.185:9094"
	}
	if err := realAddresses(t.Context(), desc, there, metallb.Network{}, []string{"134.79.23.185"}, two); err != nil {
		t.Fatal(err)
	}
	if err := there.Err(); err == nil || !strings.Contains(err.Error(), "somebody answers at 134.79.23.216:9094: the real system is there") || strings.Contains(err.Error(), ".185") {
		t.Errorf("%v", err)
	}
	if conceded := wanted(t, desc).Concessions; !slices.ContainsFunc(conceded, func(c string) bool { return strings.Contains(c, "of the source's 6 brokers the first 3 are there") }) {
		t.Errorf("%q", conceded)
	}
}
