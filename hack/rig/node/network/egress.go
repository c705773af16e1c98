package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// EgressChain is the name of the chains that keep traffic inside.
const EgressChain = "RIG-EGRESS"

// outward matches the interfaces to the engine's networks: ethN.
const outward = "eth+"

// Egress gives the rules that let packets leave by an engine's network only
// for the destinations in allow, and as answers to connections that somebody
// outside began (a published port). All of allow must be of one family, IPv4
// or IPv6; allow may be empty, then nothing leaves.
//
// What is refused is refused at once (filter). Rules of kube-proxy may come
// before that chain and accept a packet, and destinations change on the way:
// the same list therefore stands once more where packets go out (mangle),
// behind every such rule, and drops what came through.
//
// Service addresses are never in the list: kube-proxy has replaced them by then,
// and where it has not yet, the packet must not go to the gateway.
func Egress(allow []netip.Prefix) string {
	sorted := slices.Clone(allow)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	sorted = slices.Compact(sorted)

	var b strings.Builder
	table := func(name string, last ...string) {
		fmt.Fprintf(&b, "*%s\n:%s - [0:0]\n", name, EgressChain)
		for _, p := range sorted {
			fmt.Fprintf(&b, "-A %s -d %s -j RETURN\n", EgressChain, p)
		}
		fmt.Fprintf(&b, "-A %s -m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j RETURN\n", EgressChain)
		for _, l := range last {
			fmt.Fprintf(&b, "-A %s %s\n", EgressChain, l)
		}
		b.WriteString("COMMIT\n")
	}
	table("filter", "-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT")
	table("mangle", "-j DROP")
	return b.String()
}

// egressJumps are the places that send packets through the chains.
var egressJumps = []jump{
	{"filter", []string{"OUTPUT", "-o", outward, "-j", EgressChain}},
	{"filter", []string{"FORWARD", "-o", outward, "-j", EgressChain}},
	{"mangle", []string{"POSTROUTING", "-o", outward, "-j", EgressChain}},
}

// jump is a rule that is put first in its chain unless it is there.
type jump struct {
	table string
	rule  []string
}

// Allowed splits the destinations that a node may reach into those of IPv4 and
// IPv6: the networks it is attached to, the pods of all nodes, its own
// loopback (the engine's name server has its address there, and is reached
// by rules that change the destination after the way out was chosen), and for
// IPv6 what neighbours need to find each other.
func Allowed(attached, pods []netip.Prefix) (v4, v6 []netip.Prefix) {
	v4 = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	v6 = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff02::/16")}
	for _, p := range append(slices.Clone(attached), pods...) {
		p = p.Masked()
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return v4, v6
}
