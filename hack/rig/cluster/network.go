package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/alertlab/alertlab/lab/fault"
)

// Range is a range of addresses, both ends included.
type Range struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// String writes it as MetalLB's IPAddressPool takes it: FIRST-LAST.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// Contains tells whether an address lies in the range.
func (r Range) Contains(a netip.Addr) bool { return a.Compare(r.First) >= 0 && a.Compare(r.Last) <= 0 }

// ChooseRange picks size addresses in a row for a load balancer, out of an IPv4
// subnet of a container engine: the highest that touch no used address. The
// engine hands out addresses from the low end, so the lower half of the subnet is
// never taken; neither are its first address and its last, the broadcast.
func ChooseRange(subnet netip.Prefix, used []netip.Addr, size int) (Range, error) {
	if !subnet.IsValid() || !subnet.Addr().Is4() {
		return Range{}, fmt.Errorf("%s is no IPv4 subnet", subnet)
	}
	if size < 1 {
		return Range{}, fmt.Errorf("a range of %d addresses", size)
	}
	subnet = subnet.Masked()
	total := uint64(1) << (32 - subnet.Bits())
	base := uint64(number(subnet.Addr()))
	low, high := base+max(total/2, 1), base+total-2
	taken := map[uint64]bool{}
	for _, a := range used {
		if a = a.Unmap(); a.Is4() {
			taken[uint64(number(a))] = true
		}
	}
	run := 0
	if total >= 4 {
		for a := high; a >= low; a-- {
			if taken[a] {
				run = 0
				continue
			}
			if run++; run == size {
				return Range{First: address(a), Last: address(a + uint64(size) - 1)}, nil
			}
		}
	}
	return Range{}, fmt.Errorf("the upper half of %s has no %d free addresses in a row (%d addresses are used)", subnet, size, len(used))
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func address(n uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// LoadBalancerRange picks addresses for the load balancer of a cluster, out of
// the network that its nodes are in, and remembers them: a second call returns
// the same range, and no other cluster of the rig gets it.
func (c *Clusters) LoadBalancerRange(ctx context.Context, name string, size int) (Range, error) {
	cl, err := c.Get(ctx, name)
	if err != nil {
		return Range{}, err
	}
	rec, err := c.recordOf(ctx, name)
	if errors.Is(err, os.ErrNotExist) {
		rec = record{Name: name, Maker: cl.Maker}
	} else if err != nil {
		return Range{}, err
	}
	if rec.Pool != nil {
		return *rec.Pool, nil
	}
	subnet, used, err := c.addresses(ctx, cl.Network)
	if err != nil {
		return Range{}, err
	}
	others, _, err := c.recorded(ctx)
	if err != nil {
		return Range{}, err
	}
	for _, o := range others {
		if o.Pool != nil && subnet.Contains(o.Pool.First) {
			for a := o.Pool.First; o.Pool.Contains(a); a = a.Next() {
				used = append(used, a)
			}
		}
	}
	r, err := ChooseRange(subnet, used, size)
	if err != nil {
		return Range{}, fault.Wrap(fault.StepFailed, fmt.Sprintf("cluster %q has no addresses for load balancers", name), err, "give the network "+cl.Network+" a larger subnet")
	}
	rec.Pool = &r
	return r, c.state.write(rec)
}

// addresses returns the IPv4 subnet of a network, and every address in it that is
// in use or reserved: the gateway, containers, and containers that do not run but
// have an address of their own.
func (c *Clusters) addresses(ctx context.Context, name string) (netip.Prefix, []netip.Addr, error) {
	n, err := c.docker.NetworkInspect(ctx, name, network.InspectOptions{})
	if err != nil {
		return netip.Prefix{}, nil, err
	}
	list, err := c.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("network", n.ID))})
	if err != nil {
		return netip.Prefix{}, nil, err
	}
	return usedAddresses(n, list)
}

// usedAddresses reads what the engine says of a network and its containers.
func usedAddresses(n network.Inspect, list []container.Summary) (netip.Prefix, []netip.Addr, error) {
	var subnet netip.Prefix
	var used []netip.Addr
	add := func(text string) {
		if p, err := netip.ParsePrefix(text); err == nil {
			used = append(used, p.Addr())
		} else if a, err := netip.ParseAddr(text); err == nil {
			used = append(used, a)
		}
	}
	for _, c := range n.IPAM.Config {
		p, err := netip.ParsePrefix(c.Subnet)
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if !subnet.IsValid() {
			subnet = p.Masked()
		}
		add(c.Gateway)
		for _, a := range c.AuxAddress {
			add(a)
		}
	}
	if !subnet.IsValid() {
		return subnet, nil, fmt.Errorf("network %s has no IPv4 subnet", n.Name)
	}
	for _, c := range n.Containers {
		add(c.IPv4Address)
	}
	for _, c := range list {
		if c.NetworkSettings == nil {
			continue
		}
		for _, e := range c.NetworkSettings.Networks {
			add(e.IPAddress)
			if e.IPAMConfig != nil {
				add(e.IPAMConfig.IPv4Address)
			}
		}
	}
	used = slices.DeleteFunc(used, func(a netip.Addr) bool { return !subnet.Contains(a) })
	slices.SortFunc(used, func(a, b netip.Addr) int { return cmp.Compare(number(a), number(b)) })
	return subnet, slices.Compact(used), nil
}
