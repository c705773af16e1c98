package metallb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// outputTheirs is the output of real addresses that names the cluster's own pool, where
// that one has them and gives them out; "" where the lab makes the pool.
const outputTheirs = "theirs"

// shareKey is what Services say to MetalLB that may have one address: bootstrap and the
// proving Service, where there is no address but the source's. Their ports differ.
const shareKey = "alertlab-bootstrap"

// ShareKey gives the value of metallb.io/allow-shared-ip for a lab's bootstrap Service; ""
// where that one shares its address with nobody.
func ShareKey(lab component.Lab) string {
	if lab.RealAddresses {
		return shareKey
	}
	return ""
}

// RealPool gives the addresses of a profile's source as a pool: those of as many brokers
// as there are; "" where it has none, or too few.
func RealPool(p *profiles.Profile) string { return addresspool.Singles(p.RealAddresses()) }

// RealWords names each of the source's addresses that a lab announces.
func RealWords(p *profiles.Profile) string {
	var out []string
	for i, a := range p.RealAddresses() {
		if i == 0 {
			out = append(out, "bootstrap "+a)
			continue
		}
		out = append(out, fmt.Sprintf("broker %d %s", int(p.Kafka.Brokers.FirstID)+i-1, a))
	}
	return strings.Join(out, ", ")
}

// WantReal describes the addresses of a profile's source, as a lab's own.
func WantReal(p *profiles.Profile) plan.Want {
	w := wantAddresses(realInput(p))
	w.Title = "the real system's addresses, announced on the network of the cluster's nodes: " + RealWords(p) + "; and a port of the nodes for each service"
	return w
}

func realInput(p *profiles.Profile) input {
	in := inputOf(p, RealPool(p))
	in.Real = true
	return in
}

// RefusedReal says why a profile's real addresses cannot be announced in a network, nil
// when they can. The error is a *PoolError.
func (n Network) RefusedReal(p *profiles.Profile) error {
	_, err := realInput(p).real(n)
	return err
}

// real gives the source's addresses out, where nobody else has them. A pool of the
// cluster's own that is called as the profile says and has them all gives them to the lab.
func (in input) real(n Network) (map[string]string, error) {
	s, err := addresspool.ParseSet(in.Range)
	if err != nil {
		return nil, &PoolError{Range: in.Range, Why: err.Error()}
	}
	n, why := n.beside(in.Pool, s)
	if why == "" {
		why = n.refuses(s)
	}
	if why != "" {
		return nil, &PoolError{Range: in.Range, Why: why}
	}
	out := in.outputs(s)
	if n.theirs {
		out[outputTheirs] = in.Pool
	}
	return out, nil
}

// beside leaves the cluster's own pool of a name out of what others have, where that one
// has all of the addresses; and says why it stands in the way, where it has not. A pool
// that is the lab's own is not among what others have.
func (n Network) beside(pool string, s addresspool.Set) (Network, string) {
	var theirs []addresspool.Range
	for _, o := range n.Others {
		if o.Pool == pool {
			theirs = append(theirs, o.Range)
		}
	}
	if len(theirs) == 0 || pool == own { // of its own name a lab makes another
		return n, ""
	}
	if !s.Within(theirs) {
		return n, "the cluster has an IPAddressPool " + pool + " that does not have all of them"
	}
	n.theirs = true
	n.Others = slices.DeleteFunc(slices.Clone(n.Others), func(o Others) bool { return o.Pool == pool })
	return n, ""
}
