package main

import (
	"fmt"
	"net/netip"
	"sort"

	v1 "k8s.io/api/core/v1"
)

// network is what one node's pod network should look like.
type network struct {
	own    netip.Prefix                // the node's own range; invalid until the API server gave it one
	routes map[netip.Prefix]netip.Addr // range of each other node -> its address
}

// plan reads the wanted network of node me out of all nodes. Nodes that have
// no range or no IPv4 address yet are left out; two nodes that claim one range
// are an error, because either route would be wrong.
func plan(nodes []*v1.Node, me string) (network, error) {
	n := network{routes: map[netip.Prefix]netip.Addr{}}
	sorted := append([]*v1.Node(nil), nodes...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	owner := map[netip.Prefix]string{}
	for _, node := range sorted {
		cidr, ok, err := podRange(node)
		if err != nil {
			return network{}, err
		}
		if !ok {
			continue
		}
		if other, taken := owner[cidr]; taken {
			return network{}, fmt.Errorf("nodes %s and %s both have the pod range %s", other, node.Name, cidr)
		}
		owner[cidr] = node.Name
		if node.Name == me {
			n.own = cidr
			continue
		}
		if via, ok := address(node); ok {
			n.routes[cidr] = via
		}
	}
	return n, nil
}

// podRange gives a node's IPv4 range, the first one in a dual-stack cluster.
func podRange(node *v1.Node) (netip.Prefix, bool, error) {
	cidrs := node.Spec.PodCIDRs
	if len(cidrs) == 0 && node.Spec.PodCIDR != "" {
		cidrs = []string{node.Spec.PodCIDR}
	}
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return netip.Prefix{}, false, fmt.Errorf("node %s: pod range %q: %w", node.Name, c, err)
		}
		if p.Addr().Is4() {
			return p.Masked(), true, nil
		}
	}
	return netip.Prefix{}, false, nil
}

// address gives a node's first internal IPv4 address.
func address(node *v1.Node) (netip.Addr, bool) {
	for _, a := range node.Status.Addresses {
		if a.Type != v1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Is4() {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// conflist is the CNI configuration for a range, in the format of the CNI
// specification 0.3.1: a veth pair per pod with a route on the node (ptp), and
// host ports (portmap). Leases lie under /run, which a restart of the node
// empties together with the pods' network namespaces.
func conflist(own netip.Prefix) string {
	return fmt.Sprintf(`{
  "cniVersion": "0.3.1",
  "name": "rig",
  "plugins": [
    {
      "type": "ptp",
      "mtu": 1500,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "%s"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, own)
}
