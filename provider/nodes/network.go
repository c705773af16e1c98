package nodes

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// Network is the network of a cluster's nodes.
type Network struct {
	Name   string
	Subnet netip.Prefix // IPv4
	// Used are the addresses that are somebody's: the gateway's, and those of
	// containers, also of stopped ones that keep theirs.
	Used []netip.Addr
}

// Network looks at a network of the engine.
func (d *Connection) Network(ctx context.Context, name string) (Network, error) {
	api, err := d.Client(ctx)
	if err != nil {
		return Network{}, err
	}
	n, err := api.NetworkInspect(ctx, name, network.InspectOptions{})
	if err != nil {
		return Network{}, err
	}
	list, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("network", n.ID))})
	if err != nil {
		return Network{}, err
	}
	return networkOf(n, list)
}

// networkOf reads what the engine says.
func networkOf(n network.Inspect, list []container.Summary) (Network, error) {
	out := Network{Name: n.Name}
	use := func(text string) {
		if p, err := netip.ParsePrefix(text); err == nil {
			out.Used = append(out.Used, p.Addr())
		} else if a, err := netip.ParseAddr(text); err == nil {
			out.Used = append(out.Used, a)
		}
	}
	for _, c := range n.IPAM.Config {
		use(c.Gateway)
		for _, reserved := range c.AuxAddress {
			use(reserved)
		}
		if p, err := netip.ParsePrefix(c.Subnet); err == nil && p.Addr().Is4() {
			out.Subnet = p.Masked()
		}
	}
	for _, c := range n.Containers {
		use(c.IPv4Address)
	}
	for _, c := range list {
		if c.NetworkSettings == nil {
			continue
		}
		for _, e := range c.NetworkSettings.Networks {
			if e.NetworkID != n.ID {
				continue
			}
			use(e.IPAddress)
			if e.IPAMConfig != nil {
				use(e.IPAMConfig.IPv4Address)
			}
		}
	}
	if !out.Subnet.IsValid() {
		return out, fmt.Errorf("the network %s has no IPv4 subnet", n.Name)
	}
	return out, nil
}
