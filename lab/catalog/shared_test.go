package catalog

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// guest is a lab of idfint on a cluster that was there, with addresses that are given.
func guest(t *testing.T) state.Description {
	t.Helper()
	desc := on(t, Existing, "idfint")
	desc.Cluster.AddressPool = "172.18.9.0-172.18.9.15"
	return desc
}

// What a guest wants as text: MetalLB and cert-manager where the cluster has none, a pool
// and an issuer of its own beside others'.
func TestGuestPlan(t *testing.T) {
	t.Parallel()
	w := wanted(t, guest(t))
	fresh, seen := freshPlan(t, w)
	golden(t, filepath.Join(Existing, "idfint-fresh.txt"), fresh.String())
	for _, key := range []string{"metallb", "cert-manager"} {
		seen[key] = plan.Observation{State: plan.Present, Why: "was there", Applied: inputOf(w, key), Resolved: inputOf(w, key), Outputs: map[string]string{metallb.OutputNamespace: "theirs"}}
	}
	beside, err := plan.Make(w, seen)
	if err != nil || len(beside.Steps) != len(fresh.Steps)-2 || beside.Known["metallb"][metallb.OutputNamespace] != "theirs" {
		t.Errorf("%d steps of %d, %v, %v", len(beside.Steps), len(fresh.Steps), beside.Known, err)
	}
	releases := resolvedReleases(t, w)
	for _, key := range []string{"address-pool", "certificates"} {
		text, err := helm.Render(releases[key])
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(Existing, "idfint-"+key+".yaml"), text)
		strictly(t, key, text)
	}
	if got := homes(guest(t)); !slices.Equal(got, []string{"cert-manager", "metallb-system"}) {
		t.Errorf("homes %q", got)
	}
	if got := homes(on(t, Existing, "ci")); len(got) > 0 {
		t.Errorf("homes of a lab that brings nothing: %q", got)
	}
	// Without addresses that are given brokers have ports of a node, encrypted all the same.
	desc := on(t, Existing, "idfint")
	if got := homes(desc); !slices.Equal(got, []string{"cert-manager"}) {
		t.Errorf("homes %q", got)
	}
}

func inputOf(w plan.Wanted, key string) []byte {
	for _, p := range w.Parts {
		if p.Key == key {
			return p.Input
		}
	}
	return nil
}

// What others brought is of use, or is not, and then it is said why.
func TestSuits(t *testing.T) {
	t.Parallel()
	pools := func(version string, served ...string) existing.Controller {
		return existing.Controller{Version: version, Served: map[string][]string{"ipaddresspools.metallb.io": served, "l2advertisements.metallb.io": served}}
	}
	issuers := func(served string, args ...string) existing.Controller {
		return existing.Controller{Served: map[string][]string{"certificates.cert-manager.io": {served}}, Args: args}
	}
	for name, tc := range map[string]struct {
		suits func(existing.Controller) (string, string)
		of    existing.Controller
		why   string
	}{
		"a new MetalLB":           {suitsPools, pools("v0.15.2", "v1beta1"), ""},
		"the first that will do":  {suitsPools, pools("v0.14.9", "v1beta1"), ""},
		"of a version of its own": {suitsPools, pools("main", "v1beta1"), ""},
		"an old MetalLB":          {suitsPools, pools("v0.13.12", "v1beta1"), "does not know the annotation metallb.io/loadBalancerIPs, which 0.14.9 was the first to know"},
		"another API":             {suitsPools, pools("v0.20.0", "v1"), "does not serve metallb.io/v1beta1"},
		"a cert-manager":          {suitsIssuers, issuers("v1", "--v=2"), ""},
		"an old cert-manager":     {suitsIssuers, issuers("v1alpha2"), "does not serve cert-manager.io/v1"},
		"of all namespaces":       {suitsIssuers, issuers("v1", "--namespace="), ""},
		"of another namespace":    {suitsIssuers, issuers("v1", "--namespace=web"), "looks at the namespace web alone"},
		"of another, said apart":  {suitsIssuers, issuers("v1", "--namespace", "web"), "looks at the namespace web alone"},
		"of ours":                 {suitsIssuers, issuers("v1", "--namespace=alert-stream-broker"), ""},
	} {
		why, next := tc.suits(tc.of)
		if (why == "") != (tc.why == "") || !strings.Contains(why, tc.why) || (next == "") != (why == "") {
			t.Errorf("%s: because %q, next %q", name, why, next)
		}
	}
}

// A pool that overlaps what somebody has is refused, and whose it is is said.
func TestPoolBesideOthers(t *testing.T) {
	t.Parallel()
	r := func(text string) addresspool.Range {
		r, err := addresspool.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	n := networkOf([]existing.Taken{{Range: r("192.0.2.64/28"), Who: "the IPAddressPool dmz in namespace lb"}, {Range: r("192.0.2.7-192.0.2.7"), Who: "the node a"}})
	for given, why := range map[string]string{
		"": "", "192.0.2.10-192.0.2.20": "",
		"192.0.2.60-192.0.2.70": "it overlaps 192.0.2.64-192.0.2.79, which is that of the IPAddressPool dmz in namespace lb",
		"192.0.2.0/28":          "it has 192.0.2.7, which is that of the node a",
		"nonsense":              "write FIRST-LAST or a prefix",
	} {
		if err := n.Refused(given); (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

// Addresses that the authority has to sign for beyond private ones are those that are given.
func TestAnnouncedAs(t *testing.T) {
	t.Parallel()
	desc := guest(t)
	if got := announcedAs(desc); got != "172.18.9.0-172.18.9.15" {
		t.Error(got)
	}
	desc.Cluster.AddressPool = ""
	for given, want := range map[string]string{"": "", "203.0.113.7": "203.0.113.7-203.0.113.7", "node.example.org": ""} {
		desc.Cluster.NodeAddress = given
		if got := announcedAs(desc); got != want {
			t.Errorf("%q: %q", given, got)
		}
	}
	desc.Cluster.NodeAddress, desc.Cluster.ImagesLoaded = "node.example.org", true
	if err := guestAddress(desc); err == nil || !strings.Contains(err.Error(), "the listener is encrypted, and node.example.org is a name") {
		t.Errorf("%v", err)
	}
}
