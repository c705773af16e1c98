package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/confluentregistry"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/provider/kind"
	"github.com/alertlab/alertlab/provider/nodes"
	"github.com/alertlab/alertlab/stacks"
)

// loadBalancerEntries lists what gives brokers addresses of their own.
func loadBalancerEntries() map[string]entry {
	return map[string]entry{
		"metallb/helm":      {want: released(metallb.Want), inCluster: byHelm("metallb", nil), choose: withLoadBalancer("helm")},
		"address-pool/helm": {want: released(metallb.WantPool), inCluster: watched("address-pool", metallb.Watched()), choose: withLoadBalancer("helm")},
		"addresses/metallb": {
			want: func(p *profiles.Profile, desc state.Description) plan.Want {
				if desc.Cluster.RealAddresses {
					return metallb.WantReal(p)
				}
				return metallb.WantAddresses(p, desc.Cluster.AddressPool)
			},
			inCluster: func(c *cluster) plan.Part {
				return exposed{ports: nodeports.New(), pool: metallb.New(c.network)}
			},
			choose: func(p *profiles.Profile, _ state.Description) string {
				if metallb.Wanted(p) {
					return "metallb"
				}
				return "node-ports"
			},
		},
		"addresses/node-ports": {want: profile(nodeports.Want), part: func(*embedded.Host) plan.Part { return nodeports.New() }},
	}
}

// network looks at the network of a lab's nodes.
func (c *cluster) network(ctx context.Context) (metallb.Network, error) {
	if c.engine == nil && c.kind == nil {
		client, err := c.reach()
		if err != nil {
			return metallb.Network{}, err
		}
		return taken(ctx, client, c.Dir.Lab())
	}
	if c.kind == nil {
		n, err := c.engine.Network(ctx, k3d.NetworkName(nodes.Name(c.Dir.Lab())))
		return metallb.Network{Name: n.Name, Subnet: n.Subnet, Used: n.Used}, err
	}
	n, err := c.kind.Network(ctx, kind.NetworkName)
	if err != nil {
		return metallb.Network{}, err
	}
	// All clusters of kind are in one network, and no container has what the load
	// balancer of another lab announces.
	labs, err := state.Labs(c.Dir.Root())
	if err != nil {
		return metallb.Network{}, err
	}
	for _, name := range labs {
		if name != c.Dir.Lab() {
			n.Used = append(n.Used, announced(state.At(c.Dir.Root(), name))...)
		}
	}
	return metallb.Network{Name: n.Name, Subnet: n.Subnet, Used: n.Used}, nil
}

// withLoadBalancer leaves a component out where brokers have ports of a node.
func withLoadBalancer(implementation string) func(*profiles.Profile, state.Description) string {
	return func(p *profiles.Profile, _ state.Description) string {
		if metallb.Wanted(p) {
			return implementation
		}
		return ""
	}
}

// exposed is the addresses of a lab whose profile says how its brokers are reached: the
// input of a step says which of the two it is for.
type exposed struct{ ports, pool plan.Part }

func (e exposed) of(input json.RawMessage) plan.Part {
	var which struct{ Pool string }
	if json.Unmarshal(input, &which) == nil && which.Pool != "" {
		return e.pool
	}
	return e.ports
}

// Observe implements plan.Part.
func (e exposed) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last != nil {
		return e.of(look.Last).Observe(ctx, look)
	}
	return e.of(look.Want.Input).Observe(ctx, look)
}

// Apply implements plan.Part.
func (e exposed) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	return e.of(order.Input).Apply(ctx, order)
}

// chosen is a stack as a profile's lab needs it: some components have another
// implementation for it, or none.
func chosen(table map[string]entry, stack *stacks.Stack, p *profiles.Profile, desc state.Description) *stacks.Stack {
	provider := desc.Provider
	out := *stack
	out.Components = slices.Clone(stack.Components)
	for i, c := range out.Components {
		e, ok := table[c.Name+"/"+c.Implementations[provider]]
		if !ok || e.choose == nil {
			continue
		}
		out.Components[i].Implementations = maps.Clone(c.Implementations)
		out.Components[i].Implementations[provider] = e.choose(p, desc)
	}
	return &out
}

// upstreams are the charts of others that a profile's lab installs, as the lab has them.
func upstreams(p *profiles.Profile, desc state.Description) []charts.Upstream {
	lab := labOf(desc)
	var out []charts.Upstream
	if metallb.Wanted(p) {
		out = append(out, lab.Upstream(metallb.Chart))
	}
	if certified(p, desc) {
		out = append(out, lab.Upstream(certmanager.Chart))
	}
	if desc.Cluster.Deployer == ArgoCD {
		out = append(out, lab.Upstream(argocd.Chart))
	}
	if name := ingressOf(desc).Chart(); name != "" {
		out = append(out, lab.Upstream(name))
	}
	for _, name := range operatorCharts(desc.Stack) {
		switch name {
		case strimzi.Chart, confluentregistry.Chart: // solved for
			out = append(out, upstream.Operator(name, p, lab))
		default:
			out = append(out, lab.Upstream(name))
		}
	}
	return out
}

// BundledCharts lists the charts of others that the bundle of a lab has for it; none
// without a bundle.
func BundledCharts(desc state.Description) ([]state.Chart, error) {
	stack, deployer, bundle := desc.Stack, desc.Cluster.Deployer, desc.Cluster.Bundle
	if bundle == "" {
		return nil, nil
	}
	found, err := helm.InBundle(bundle)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the bundle cannot be used", err, "alertlab up --bundle FILE")
	}
	var out []state.Chart
	for _, u := range found {
		if slices.Contains(operatorCharts(FullStack), u.Name) && !slices.Contains(operatorCharts(stack), u.Name) {
			continue // as below
		}
		if (u.Name == ingress.ChartNginx || u.Name == ingress.ChartTraefik) && u.Name != ingressOf(desc).Chart() {
			continue
		}
		c := state.Chart{Name: u.Name, Version: u.Version, AppVersion: u.AppVersion}
		if u.Name == argocd.Chart {
			if deployer != ArgoCD {
				continue // it is large, and nobody asks
			}
			if c.Images, err = argoImages(bundle, u); err != nil {
				return nil, fault.Wrap(fault.BadInput, "the bundle cannot be used", fmt.Errorf("chart %s %s: %w", u.Name, u.Version, err), "alertlab up --bundle FILE")
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// missingCharts lists what a lab's bundle lacks of the charts that it installs.
func missingCharts(p *profiles.Profile, desc state.Description) []string {
	var missing []string
	for _, u := range upstreams(p, desc) {
		if !slices.ContainsFunc(desc.Cluster.Charts, func(c state.Chart) bool { return c.Name == u.Name && c.Version == u.Version }) {
			missing = append(missing, "the chart "+u.Name+" "+u.Version)
		}
	}
	return missing
}

// CheckPool looks whether another lab has addresses of the range that is given to this
// one. root is the directory of all labs.
func CheckPool(root string, desc state.Description) error {
	given := givenTo(desc)
	if given == "" {
		return nil
	}
	mine, err := addresspool.ParseSet(given)
	if err != nil {
		return &metallb.PoolError{Range: given, Why: err.Error()}
	}
	labs, err := state.Labs(root)
	if err != nil {
		return err
	}
	for _, name := range labs {
		if name == desc.Name {
			continue
		}
		if other := leased(state.At(root, name), mine); other != "" {
			return &metallb.PoolError{Range: given, Why: fmt.Sprintf("lab %s has %s of it", name, other)}
		}
	}
	return nil
}

// leased says what a lab has of a set of addresses: its own pool where that was given, or
// an address that it announces. A lab that cannot be read has nothing.
func leased(dir state.Dir, s addresspool.Set) string {
	if desc, err := dir.Describe(); err == nil {
		given := givenTo(desc)
		if own, err := addresspool.ParseSet(given); err == nil && slices.ContainsFunc(own, s.Overlaps) {
			return given
		}
	}
	var has []string
	for _, a := range announced(dir) {
		if s.Overlaps(addresspool.Range{First: a, Last: a}) {
			has = append(has, a.String())
		}
	}
	return strings.Join(has, ", ")
}

// announced lists the addresses at which a lab's brokers are reached; none of a lab
// that cannot be read.
func announced(dir state.Dir) []netip.Addr {
	card, err := dir.Endpoints()
	if err != nil {
		return nil
	}
	all := []string{card.Kafka.Bootstrap}
	for _, b := range card.Kafka.Brokers {
		all = append(all, b.Address)
	}
	var has []netip.Addr
	for _, text := range all {
		host, _, err := net.SplitHostPort(text)
		if err != nil {
			continue
		}
		if a, err := netip.ParseAddr(host); err == nil && !slices.Contains(has, a) {
			has = append(has, a)
		}
	}
	return has
}
