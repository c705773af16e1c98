// Package metallb gives Services of type LoadBalancer addresses of their own: MetalLB
// in layer 2, its pool under the name that the profile has, and the choice of the
// addresses for bootstrap and each broker.
//
// Addresses are of the cluster's own network, or of a range that the user gives. What
// the profile's source announces is announced by no lab that was not told to.
package metallb

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is MetalLB's own.
const Namespace = "metallb-system"

// Chart is the name of upstream's chart.
const Chart = "metallb"

// OutputNamespace is the output of MetalLB on a cluster that others use too: the namespace
// in which it runs, and looks for pools.
const OutputNamespace = "namespace"

// Oldest is the first release that knows the annotations metallb.io/* of Services
// (MetalLB's release notes, 0.14.9).
const Oldest = "0.14.9"

// Pool gives the name of a profile's pool.
func Pool(p *profiles.Profile) string {
	if p.Kafka.Listener.AddressPool != "" {
		return p.Kafka.Listener.AddressPool
	}
	return own
}

// own is the pool of a profile that names none.
const own = "alertlab"

// PoolName is what MetalLB's pool is called: as the profile says, but on a cluster that
// others use too, where that one may be theirs. With the source's addresses it is the
// source's pool, whoever makes it.
func PoolName(p *profiles.Profile, lab component.Lab) string {
	pool := Pool(p)
	if !lab.Guest || lab.RealAddresses && pool != own {
		return pool
	}
	if pool == own {
		return own + "-" + lab.Name
	}
	return own + "-" + lab.Name + "-" + pool
}

// Wanted says whether a profile's brokers have addresses of their own.
func Wanted(p *profiles.Profile) bool { return p.Kafka.Listener.Type != "nodeport" }

// Want describes MetalLB itself: in layer 2 only, its speakers on every node, that of
// a pool of nodes that is kept for brokers too.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	u := lab.Upstream(Chart)
	r := component.Release{Name: Chart, Namespace: Namespace, Values: map[string]any{
		"speaker": map[string]any{"frr": map[string]any{"enabled": false}, "tolerations": []any{map[string]any{"operator": "Exists"}}},
		"frrk8s":  map[string]any{"enabled": false},
	}}.From(u)
	return r.Want("MetalLB "+u.AppVersion+" in layer 2", component.Rollout(3*time.Minute))
}

// gateAddress opens when the pool gave an address.
const gateAddress = "address-assigned"

// WantPool describes the pool.
func WantPool(p *profiles.Profile, lab component.Lab) plan.Want {
	name := PoolName(p, lab)
	r := component.Release{Name: "address-pool", Namespace: Namespace, Chart: "address-pool", Values: map[string]any{
		"lab": lab.Name, "name": name, "range": "${addresses.pool}", "probe": "${addresses.probe}"}}
	if lab.Guest {
		// MetalLB looks for pools in its own namespace alone, and that may be somebody's:
		// the release is in the lab's. What asks for no pool gets no address of this one.
		r.Namespace = component.Namespace
		r.Values["namespace"], r.Values["autoAssign"] = "${metallb."+OutputNamespace+"}", false
	}
	title := "pool " + name + " for load balancers"
	if lab.RealAddresses {
		r.Values["share"], r.Values["theirs"] = shareKey, "${addresses."+outputTheirs+"}"
		title += ", of these addresses and no other, where the cluster has none of that name with all of them"
	}
	return r.Want(title,
		plan.Gate{Name: gateAddress, What: "a Service is given an address of the pool", Deadline: time.Minute})
}

// Watched gives what the pool's gates watch.
func Watched() map[string]component.Objects {
	return map[string]component.Objects{gateAddress: func(r component.Release) []kube.Expected {
		address, _ := r.Values["probe"].(string)
		return []kube.Expected{{Ref: kube.Object("v1", "Service", r.Namespace, "alertlab-address-probe"), Cond: kube.AddressAssigned(address)}}
	}}
}
