package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// sharedEntries lists what a cluster that was there may have for everybody already, and a
// lab brings where it has not.
func sharedEntries() map[string]entry {
	return map[string]entry{
		"metallb/found-or-helm": {want: brought(released(metallb.Want)), inCluster: shared("metallb", nil), choose: withLoadBalancer("found-or-helm")},
		"cert-manager/found-or-helm": {want: brought(released(certmanager.Want)), inCluster: shared("cert-manager", nil),
			choose: withCertificates("found-or-helm")},
	}
}

// brought is a release of others' chart as a lab brings it to a cluster that was there,
// where there is none. It is looked for before the lab has a place there.
func brought(want func(*profiles.Profile, state.Description) plan.Want) func(*profiles.Profile, state.Description) plan.Want {
	return func(p *profiles.Profile, desc state.Description) plan.Want {
		outputs := map[string]string{}
		w := revised(want(p, desc), func(r *component.Release) {
			r.Owner, r.Registry = desc.Name, desc.Cluster.Registry
			outputs[metallb.OutputNamespace] = r.Namespace
			maps.Copy(outputs, r.Outputs)
			r.Outputs = outputs
		})
		w.Outputs, w.Behind = slices.Sorted(maps.Keys(outputs)), ""
		w.Title += unlessThere
		return w
	}
}

// revised is what is wanted as a release, with a change to that release.
func revised(w plan.Want, change func(*component.Release)) plan.Want {
	r, err := component.Read(w.Input)
	if err != nil {
		panic(err) // only a mistake in a component can want what is no release
	}
	change(&r)
	w.Input = plan.Input(r)
	return w
}

// unlessThere ends the title of what is brought where it is missing, and foundOr begins
// the names of its implementations.
const (
	unlessThere = ", where the cluster has none"
	foundOr     = "found-or-"
)

// shared makes the part of something of which a cluster has one for everybody. objects
// open the gates of the lab's own, if any do.
func shared(key string, objects map[string]component.Objects) func(*cluster) plan.Part {
	return func(c *cluster) plan.Part {
		p := c.byHelm(key, nil)
		p.Watched = objects
		p.Open = func() (helm.Target, error) {
			client, err := c.reach()
			return helm.Cluster{Client: client}, err
		}
		return &existing.Brought{Release: p, Lab: c.Dir.Lab(), Adopt: c.adopt, Open: c.reach,
			Shared: func(input json.RawMessage) (existing.Shared, error) { return sharedOf(key, "", input) }}
	}
}

// reach gives the cluster's API before the lab has a place there, too.
func (c *cluster) reach() (*kube.Client, error) {
	client, err := c.api()
	if os.IsNotExist(err) {
		kubeconfig, err := c.source.Kubeconfig()
		if err != nil {
			return nil, err
		}
		return kube.New(kubeconfig)
	}
	return client, err
}

// sharedOf says how something shared is told in a cluster, and what it must be able to do,
// given what is wanted of it.
func sharedOf(key, title string, input json.RawMessage) (existing.Shared, error) {
	r, err := component.Read(input)
	if err != nil {
		return existing.Shared{}, err
	}
	s := existing.Shared{Key: key, Namespace: r.Namespace, Brings: strings.TrimSuffix(title, unlessThere), Release: r.Name}
	switch r.Chart {
	case metallb.Chart:
		s.Name, s.Image = "MetalLB", "metallb/controller"
		s.Definitions = []string{"ipaddresspools.metallb.io", "l2advertisements.metallb.io"}
		s.Suits = suitsPools
	case certmanager.Chart:
		s.Name, s.Image = "cert-manager", "cert-manager-controller"
		s.Definitions = []string{"certificates.cert-manager.io", "issuers.cert-manager.io"}
		s.Suits = suitsIssuers
	case strimzi.Chart:
		s.Name, s.Image, s.Is = "Strimzi", "strimzi/operator", operatesClusters
		s.Definitions, s.Suits = ofStrimzi, suitsKafka(r.Runs)
	case confluentregistry.Chart:
		s.Name, s.Image, s.Definitions = confluentregistry.Chart, "strimzi-registry-operator", ofRegistries
		kafka, _ := r.Values["clusterName"].(string)
		s.Suits = suitsRegistries(kafka) // "" of its definitions
	case ingress.ChartNginx, ingress.ChartTraefik:
		s.Name, s.Class = r.Chart, ingressClassOf(r)
	default:
		return s, fmt.Errorf("nobody knows how %s is told in a cluster", key)
	}
	return s, nil
}

// suitsPools looks whether a MetalLB gives the addresses that Services name.
func suitsPools(c existing.Controller) (why, next string) {
	if !slices.Contains(c.Served["ipaddresspools.metallb.io"], "v1beta1") || !slices.Contains(c.Served["l2advertisements.metallb.io"], "v1beta1") {
		return "does not serve metallb.io/v1beta1", "upgrade it to " + metallb.Oldest + " or newer, or: alertlab up --address-pool auto   # node ports"
	}
	if c.Older(metallb.Oldest) {
		return "does not know the annotation metallb.io/loadBalancerIPs, which " + metallb.Oldest + " was the first to know",
			"upgrade it to " + metallb.Oldest + " or newer, or: alertlab up --address-pool auto   # node ports"
	}
	return "", ""
}

// suitsIssuers looks whether a cert-manager sees the lab's issuer and certificate.
func suitsIssuers(c existing.Controller) (why, next string) {
	if !slices.Contains(c.Served["certificates.cert-manager.io"], "v1") {
		return "does not serve cert-manager.io/v1", "upgrade it to 1.0 or newer"
	}
	if only, given := flagOf(c.Args, "namespace"); given && only != component.Namespace {
		return "looks at the namespace " + only + " alone", "have it look at " + component.Namespace + " too: its flag --namespace"
	}
	return "", ""
}

// flagOf gives the value of a flag of a command line.
func flagOf(args []string, name string) (value string, given bool) {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			return v, v != ""
		}
		if a == "--"+name && i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}

// sharedBy lists what a lab uses of which its cluster has one for everybody, in the order
// in which it would be brought.
func sharedBy(parts []plan.Want) ([]existing.Shared, error) {
	var out []existing.Shared
	for _, w := range parts {
		if !strings.HasPrefix(w.Implementation, foundOr) {
			continue
		}
		s, err := sharedOf(w.Key, w.Title, w.Input)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// homes are the namespaces of what a lab may have brought for its whole cluster, the last
// brought first.
func homes(desc state.Description) []string {
	w, err := Wanted(desc)
	if err != nil {
		return nil // it was checked before the lab was made; labels say what there is
	}
	all, err := sharedBy(w.Parts)
	if err != nil {
		return nil
	}
	var out []string
	for _, s := range slices.Backward(all) {
		if !slices.Contains(out, s.Namespace) && s.Namespace != component.Namespace {
			out = append(out, s.Namespace)
		}
	}
	return out
}

// taken is the network of a cluster that was there, as far as it knows it.
func taken(ctx context.Context, client *kube.Client, lab string) (metallb.Network, error) {
	list, err := existing.TakenAddresses(ctx, client, lab)
	return networkOf(list), err
}

func networkOf(list []existing.Taken) metallb.Network {
	n := metallb.Network{Name: "the cluster's"}
	for _, t := range list {
		n.Others = append(n.Others, metallb.Others(t))
	}
	return n
}

// announcedAs are the addresses that a lab's authority has to sign for beside private
// ones: the given pool or real addresses, or a given address of the nodes.
func announcedAs(desc state.Description) string {
	if given := givenTo(desc); given != "" {
		return given
	}
	if a, err := netip.ParseAddr(desc.Cluster.NodeAddress); err == nil && a.Is4() {
		return a.String() + "-" + a.String()
	}
	return ""
}
