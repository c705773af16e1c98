package metallb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Network is what a cluster's nodes are in.
type Network struct {
	Name   string
	Subnet netip.Prefix
	// Used are the addresses that somebody has or keeps: the gateway, every container,
	// stopped ones too.
	Used []netip.Addr
	// Others are ranges that are not the lab's, with whose they are, in a network of which
	// no more is known: that of a cluster that was there, whose Subnet is not valid.
	Others []Others

	theirs bool // a pool of the cluster's own has what a lab announces
}

// Others is a range of addresses of somebody else.
type Others struct {
	addresspool.Range
	Who  string // as: the IPAddressPool dmz in namespace metallb-system
	Pool string // its name, where it is a pool of MetalLB
}

// input says which addresses are wanted.
type input struct {
	// Pool is the name of MetalLB's pool.
	Pool string `json:"pool"`
	// Range is what the user gives, FIRST-LAST or a prefix; empty: it is chosen.
	Range string `json:"range,omitempty"`
	// Real says that Range are the addresses of the profile's source: bootstrap's, then
	// each broker's, as ADDRESS/32 with commas between them.
	Real bool `json:"real,omitempty"`
	// Node is a node's address, where services other than Kafka have ports.
	Node    string  `json:"node"`
	Port    int     `json:"port"` // of the external listener
	Brokers []int32 `json:"brokers"`
}

// spare are addresses of a chosen pool that a user's own Services may have.
const spare = 4

// need is how many addresses a lab takes: bootstrap, each broker, and the proving
// Service, which has the bootstrap's where no other address is the lab's to announce.
func (in input) need() int {
	if in.Real {
		return len(in.Brokers) + 1
	}
	return len(in.Brokers) + 2
}

// PoolError says why a range cannot be a lab's pool.
type PoolError struct {
	Range string
	Why   string
}

func (e *PoolError) Error() string { return fmt.Sprintf("the address pool %s: %s", e.Range, e.Why) }

func inputOf(p *profiles.Profile, given string) input {
	in := input{Pool: Pool(p), Range: given, Node: "${cluster.address}", Port: p.Kafka.Listener.Port}
	for i := range p.Kafka.Brokers.Count {
		in.Brokers = append(in.Brokers, p.Kafka.Brokers.FirstID+int32(i))
	}
	return in
}

// Refused says why addresses that a user gives cannot be announced in a network, nil when
// they can, or none are given. The error is a *PoolError.
func (n Network) Refused(given string) error {
	if given == "" {
		return nil
	}
	s, err := addresspool.ParseSet(given)
	if err != nil {
		return &PoolError{Range: given, Why: err.Error()}
	}
	if why := n.refuses(s); why != "" {
		return &PoolError{Range: given, Why: why}
	}
	return nil
}

// Fit says why a range that a user gives cannot be a profile's pool, whatever network
// there is; nil when it can, or none is given. The error is a *PoolError.
func Fit(p *profiles.Profile, given string) error {
	if given == "" {
		return nil
	}
	r, err := addresspool.Parse(given)
	if err != nil {
		return &PoolError{Range: given, Why: err.Error()}
	}
	if n := inputOf(p, given).need(); r.Size() < n {
		return &PoolError{Range: given, Why: fmt.Sprintf("it has %d addresses, and this lab needs %d: one for bootstrap, one for each of %d brokers and one to prove it with",
			r.Size(), n, p.Kafka.Brokers.Count)}
	}
	return nil
}

// WantAddresses describes the addresses of a profile; given is the range that the user
// gives, if any.
func WantAddresses(p *profiles.Profile, given string) plan.Want {
	return wantAddresses(inputOf(p, given))
}

func wantAddresses(in input) plan.Want {
	from := "of the cluster's network"
	if in.Range != "" {
		from = "of " + in.Range
	}
	return plan.Want{
		Title: fmt.Sprintf("%d addresses %s for bootstrap and each broker, and a port of the nodes for each service", len(in.Brokers)+1, from),
		Input: plan.Input(in), Outputs: slices.Sorted(maps.Keys(in.outputs(nil))), Behind: "cluster",
	}
}

// outputs are the addresses of a pool: its first is the bootstrap's, its last the
// proving Service's.
func (in input) outputs(s addresspool.Set) map[string]string {
	at := func(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	out := map[string]string{"pool": "", "probe": "", "bootstrap": "",
		"registry": at(in.Node, nodeports.Registry), "registry-front": at(in.Node, nodeports.Front),
		"alertdb": at(in.Node, nodeports.AlertDB), "object-store": at(in.Node, nodeports.ObjectStore)}
	if len(s) > 0 {
		out["pool"], out["probe"], out["bootstrap"] = s.String(), s.At(s.Size()-1).String(), at(s.At(0).String(), in.Port)
	}
	for i, id := range in.Brokers {
		key := fmt.Sprintf("broker.%d", id)
		if out[key] = ""; len(s) > 0 {
			out[key] = at(s.At(i+1).String(), in.Port)
		}
	}
	if in.Real {
		out[outputTheirs] = ""
		if len(s) > 0 {
			out["probe"] = s.At(0).String()
		}
	}
	return out
}

// New makes the part that chooses addresses; network looks at the cluster's.
func New(network func(ctx context.Context) (Network, error)) plan.Part { return &part{network} }

type part struct {
	network func(ctx context.Context) (Network, error)
}

// Observe implements plan.Part.
func (p *part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil || look.Outputs["pool"] == "" {
		return plan.Observation{State: plan.Absent, Why: "no address is given out yet"}, nil
	}
	s, err := addresspool.ParseSet(look.Outputs["pool"])
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: "addresses of " + s.String() + " are given out"}
	n, err := p.network(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	if look.Outputs[outputTheirs] != "" {
		n, o.Drift = n.beside(look.Outputs[outputTheirs], s)
		if o.Drift == "" && !n.theirs {
			o.Drift = "the cluster's pool " + look.Outputs[outputTheirs] + " has them no more"
		}
	}
	if why := n.refuses(s); why != "" {
		o.Drift = why
	}
	return o, nil
}

// refuses says why a range cannot be announced in a network, "" when it can.
func (n Network) refuses(s addresspool.Set) string {
	var who []string
	for _, o := range n.Others {
		if !s.Overlaps(o.Range) {
			continue
		}
		what := "overlaps " + o.String() + ", which is that of " + o.Who
		if o.First == o.Last {
			what = "has " + o.First.String() + ", which is that of " + o.Who
		}
		if !slices.Contains(who, what) {
			who = append(who, what)
		}
	}
	if len(who) > 0 {
		return "it " + strings.Join(who, ", and ")
	}
	if !n.Subnet.IsValid() {
		return ""
	}
	hosts, err := addresspool.Hosts(n.Subnet)
	if err != nil {
		return err.Error()
	}
	if !s.Within([]addresspool.Range{hosts}) {
		return fmt.Sprintf("it is not of the nodes' network %s, whose hosts are %s", n.Name, hosts)
	}
	var words []string
	for _, r := range s {
		for _, a := range r.Taken(n.Used) {
			words = append(words, a.String())
		}
	}
	if len(words) > 0 {
		return "somebody else in the network " + n.Name + " has " + strings.Join(words, ", ") + " of it"
	}
	return ""
}

// Apply implements plan.Part. Addresses that the lab has it keeps, for as long as
// nobody else has them.
func (p *part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	n, err := p.network(ctx)
	if err != nil {
		return nil, err
	}
	if in.Real {
		return in.real(n)
	}
	if in.Range != "" {
		s, err := addresspool.ParseSet(in.Range)
		if err != nil {
			return nil, &PoolError{Range: in.Range, Why: err.Error()}
		}
		if why := n.refuses(s); why != "" {
			return nil, &PoolError{Range: in.Range, Why: why}
		}
		return in.outputs(s), nil
	}
	// Those that it has may be others than it is given now: real ones, or of another range.
	if s, err := addresspool.ParseSet(order.Last["pool"]); err == nil && len(s) == 1 && s.Size() >= in.need() && n.refuses(s) == "" {
		return in.outputs(s), nil
	}
	r, err := addresspool.Choose(n.Subnet, n.Used, in.need()+spare)
	if err != nil {
		return nil, &PoolError{Range: "of " + n.Name, Why: err.Error()}
	}
	return in.outputs(addresspool.Set{r}), nil
}
