// Package nodeports gives a lab on Kubernetes its addresses where nothing gives out
// addresses of their own: one port of a node for bootstrap, for each broker and for
// each service. What MetalLB's part gives has the same names.
//
// A node's address is that of its container, so that it is reached from the machine
// that runs the engine.
package nodeports

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Ports of the nodes. The services' end as the ports that they have at the real
// site: 8080, 8081, 3000, 9000.
const (
	Bootstrap   = 31200
	Front       = 31280
	Registry    = 31281
	AlertDB     = 31230
	ObjectStore = 31290
	ArgoCD      = 31443 // its API and pages; the port behind it is that without TLS
	KafkaUI     = 31282
	// HTTP and HTTPS are the ingress controller's.
	HTTP  = 30080
	HTTPS = 30443
	// FirstBroker is the port of the first broker where the profile names none; it is
	// the summit's.
	FirstBroker = 31090

	lowest, highest = 30000, 32767 // what Kubernetes gives out by default
)

type input struct {
	Host    string  `json:"host"`
	First   int     `json:"first"` // port of the first broker
	Brokers []int32 `json:"brokers"`
}

// Broker gives the port of the i-th broker of a profile.
func Broker(p *profiles.Profile, i int) int {
	if n := p.Kafka.Listener.NodePort; n != 0 {
		return n + i
	}
	return FirstBroker + i
}

// Fit says why a profile's brokers find no ports, nil when they do.
func Fit(p *profiles.Profile) error {
	first, last := Broker(p, 0), Broker(p, p.Kafka.Brokers.Count-1)
	if first < lowest || last > highest {
		return fmt.Errorf("the brokers would have the ports %d to %d of the nodes, and Kubernetes gives out %d to %d", first, last, lowest, highest)
	}
	for _, port := range []int{Bootstrap, Front, Registry, AlertDB, ObjectStore, ArgoCD, ArgoCD + 1, KafkaUI, HTTP, HTTPS} {
		if port >= first && port <= last {
			return fmt.Errorf("the brokers would have the ports %d to %d of the nodes, and %d is another service's", first, last, port)
		}
	}
	return nil
}

// Want describes the addresses of a profile.
func Want(p *profiles.Profile) plan.Want {
	in := input{Host: "${cluster.address}", First: Broker(p, 0)}
	for i := range p.Kafka.Brokers.Count {
		in.Brokers = append(in.Brokers, p.Kafka.Brokers.FirstID+int32(i))
	}
	return plan.Want{
		Title: fmt.Sprintf("%d ports of the nodes, for bootstrap and each broker, and one for each service", len(in.Brokers)+1),
		Input: plan.Input(in), Outputs: slices.Sorted(maps.Keys(in.addresses())), Behind: "cluster",
	}
}

func (in input) addresses() map[string]string {
	at := func(port int) string { return net.JoinHostPort(in.Host, strconv.Itoa(port)) }
	out := map[string]string{"bootstrap": at(Bootstrap), "registry": at(Registry), "registry-front": at(Front), "alertdb": at(AlertDB), "object-store": at(ObjectStore)}
	for i, id := range in.Brokers {
		out[fmt.Sprintf("broker.%d", id)] = at(in.First + i)
	}
	return out
}

// New makes the part.
func New() plan.Part { return part{} }

// part has nothing to do: ports are taken by the Services that name them. It is a
// step so that what uses an address says so.
type part struct{}

// Observe implements plan.Part.
func (part) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "no address is given out yet"}, nil
	}
	var in input
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	return plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d addresses at %s are given out", len(in.addresses()), in.Host)}, nil
}

// Apply implements plan.Part.
func (part) Apply(_ context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	return in.addresses(), nil
}
