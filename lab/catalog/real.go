package catalog

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
)

// givenTo are the addresses that a lab was told to take: its pool, or those of its
// profile's source; "" for none.
func givenTo(desc state.Description) string {
	if !desc.Cluster.RealAddresses {
		return desc.Cluster.AddressPool
	}
	p, err := inprocess.Resolved(desc)
	if err != nil {
		return "" // what is wrong with a profile is said where it is used
	}
	return metallb.RealPool(p)
}

// CheckReal says why a lab cannot announce the addresses of its profile's source, nil when
// it can or is not to.
func CheckReal(desc state.Description) error {
	if !desc.Cluster.RealAddresses {
		return nil
	}
	p, err := inprocess.Resolved(desc)
	if err != nil {
		return err
	}
	const what = "the real system's addresses cannot be announced"
	l := p.Kafka.Listener
	switch have := len(l.Source.Brokers); {
	case l.Source.Bootstrap == "":
		having := haveReal()
		return fault.New(fault.BadInput, what, fmt.Sprintf("the profile %s holds none (kafka.listener.source); these do: %s", p.Name, strings.Join(having, ", ")),
			"alertlab up --provider existing --profile "+first(having, "FILE")+" --real-addresses   # or without --real-addresses")
	case !metallb.Wanted(p):
		return fault.New(fault.BadInput, what, "kafka.listener.type is nodeport: brokers have ports of a node, and take no address",
			"alertlab up --provider existing --real-addresses=false   # or --set kafka.listener.type=loadbalancer")
	case have < p.Kafka.Brokers.Count:
		return fault.New(fault.BadInput, what, fmt.Sprintf("the source of profile %s has them for %d brokers, and this lab has %d", p.Name, have, p.Kafka.Brokers.Count),
			fmt.Sprintf("alertlab up --provider existing --real-addresses --set kafka.brokers.count=%d", have))
	}
	return nil
}

// CheckMove says why a lab's addresses cannot become real ones, or others than real ones, in
// one step: its pools have other names then, and MetalLB refuses two that share an address.
func CheckMove(before, after state.Description) error {
	if before.Cluster.RealAddresses == after.Cluster.RealAddresses {
		return nil
	}
	p, _, err := profileOf(after)
	if err != nil {
		return err
	}
	was, err1 := addresspool.ParseSet(givenTo(before))
	is, err2 := addresspool.ParseSet(givenTo(after))
	if err1 != nil || err2 != nil || metallb.PoolName(p, labOf(before)) == metallb.PoolName(p, labOf(after)) {
		return nil // it had none, has none, or keeps its pool
	}
	for _, r := range is {
		if was.Overlaps(r) {
			return fault.New(fault.BadInput, "the lab's addresses cannot change so in one step", fmt.Sprintf("%s would be of two pools for a while, %s and %s, and MetalLB refuses that", r, metallb.PoolName(p, labOf(before)), metallb.PoolName(p, labOf(after))),
				"alertlab up --provider existing --address-pool FIRST-LAST   # others, then again")
		}
	}
	return nil
}

// haveReal lists the profiles that hold addresses of their source.
func haveReal() []string {
	var out []string
	for _, info := range profiles.List() {
		if p, err := profiles.Load(info.Name); err == nil && p.Kafka.Listener.Source.Bootstrap != "" {
			out = append(out, info.Name)
		}
	}
	return out
}

// realAddresses looks whether the real addresses of a lab are free on its cluster and, but
// for those that it holds, answered at by nobody; and notes what would be announced.
func realAddresses(ctx context.Context, desc state.Description, s *existing.Survey, n metallb.Network, held []string, answers func(context.Context, string) bool) error {
	p, _, err := profileOf(desc)
	if err != nil {
		return err
	}
	if CheckReal(desc) != nil {
		return nil // what stands against the profile is said elsewhere
	}
	s.Announces = metallb.RealWords(p)
	const next = "see that nobody announces them, the real system above all; or: alertlab up --provider existing --address-pool FIRST-LAST   # addresses that nobody has; or auto, for ports of the nodes"
	if err := n.RefusedReal(p); err != nil {
		s.Against(err, next)
		return nil // who has them may well answer
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	var alive []string
	for _, a := range p.RealAddresses() {
		if slices.Contains(held, a) {
			continue
		}
		wait.Go(func() {
			if at := net.JoinHostPort(a, strconv.Itoa(p.Kafka.Listener.Port)); answers(ctx, at) {
				mu.Lock()
				defer mu.Unlock()
				alive = append(alive, at)
			}
		})
	}
	if wait.Wait(); len(alive) > 0 {
		slices.Sort(alive)
		s.Against(fmt.Errorf("somebody answers at %s: the real system is there", strings.Join(alive, ", ")), next)
	}
	return nil
}

// answerTime is how long somebody has to answer at an address of the network.
const answerTime = 2 * time.Second

// answers says whether anybody takes connections at an address.
func answers(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: answerTime}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close() // nothing was said
	return true
}

// realConceded says what a lab announces that is the real system's, and what of it not.
func realConceded(p *profiles.Profile, desc state.Description) []string {
	out := []string{fmt.Sprintf("THE REAL SYSTEM'S ADDRESSES are announced on the network of the cluster's nodes by L2 (ARP), in a pool called %s: %s; who speaks to the real system there speaks to the lab",
		metallb.PoolName(p, labOf(desc)), metallb.RealWords(p))}
	if all, run := p.Kafka.Listener.Source.Brokers, p.Kafka.Brokers.Count; run < len(all) {
		out = append(out, fmt.Sprintf("of the source's %d brokers the first %d are there, and have its first addresses: %s announced by nobody here", len(all), run, notAnnounced(all[run:])))
	}
	return append(out, "registry, alert database and object store have ports of a node")
}

func notAnnounced(rest []string) string {
	if len(rest) == 1 {
		return rest[0] + " is"
	}
	return strings.Join(rest, ", ") + " are"
}
