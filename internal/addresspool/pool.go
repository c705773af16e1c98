// Package addresspool chooses and checks ranges of IPv4 addresses for load balancers.
// It is pure: who has which address is for its callers to find out.
package addresspool

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Range is a range of IPv4 addresses, both ends included.
type Range struct{ First, Last netip.Addr }

// Parse reads FIRST-LAST, or a prefix such as 192.0.2.32/28, of which all addresses
// count.
func Parse(text string) (Range, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if !prefix.Addr().Is4() {
			return Range{}, fmt.Errorf("%q is no range of IPv4 addresses", text)
		}
		if prefix != prefix.Masked() {
			return Range{}, fmt.Errorf("%q begins in the middle of its prefix; %s is the whole of it", text, prefix.Masked())
		}
		first := number(prefix.Addr())
		return Range{prefix.Addr(), address(first + 1<<(32-prefix.Bits()) - 1)}, nil
	}
	from, to, _ := strings.Cut(text, "-")
	first, err1 := netip.ParseAddr(strings.TrimSpace(from))
	last, err2 := netip.ParseAddr(strings.TrimSpace(to))
	if err1 != nil || err2 != nil || !first.Is4() || !last.Is4() {
		return Range{}, fmt.Errorf("%q is no range of IPv4 addresses: write FIRST-LAST or a prefix", text)
	}
	if last.Less(first) {
		return Range{}, fmt.Errorf("%q ends before it begins", text)
	}
	return Range{first, last}, nil
}

// String is FIRST-LAST.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// Contains says whether an address is in the range.
func (r Range) Contains(a netip.Addr) bool {
	return a.Is4() && !a.Less(r.First) && !r.Last.Less(a)
}

// Overlaps says whether two ranges share an address.
func (r Range) Overlaps(o Range) bool { return !r.Last.Less(o.First) && !o.Last.Less(r.First) }

// Size is the number of its addresses.
func (r Range) Size() int { return int(number(r.Last)-number(r.First)) + 1 }

// At gives the i-th address, from 0.
func (r Range) At(i int) netip.Addr { return address(uint64(number(r.First)) + uint64(i)) }

// Hosts is what a subnet has for hosts: neither its first address nor its last one.
func Hosts(subnet netip.Prefix) (Range, error) {
	if !subnet.Addr().Is4() || subnet.Bits() > 30 {
		return Range{}, fmt.Errorf("the subnet %s has no IPv4 addresses for hosts", subnet)
	}
	whole, err := Parse(subnet.Masked().String())
	if err != nil {
		return Range{}, err
	}
	return Range{whole.First.Next(), whole.Last.Prev()}, nil
}

// Choose picks as many addresses in a row as are asked for, free of all that are used:
// the last such row of a subnet, since engines hand addresses out from its beginning.
func Choose(subnet netip.Prefix, used []netip.Addr, size int) (Range, error) {
	hosts, err := Hosts(subnet)
	if err != nil {
		return Range{}, err
	}
	taken := map[netip.Addr]bool{}
	for _, a := range used {
		taken[a] = true
	}
	row, last := 0, hosts.Last
	for a := hosts.Last; hosts.Contains(a); a = a.Prev() {
		if taken[a] {
			row, last = 0, a.Prev()
			continue
		}
		if row++; row == size {
			return Range{a, last}, nil
		}
	}
	return Range{}, fmt.Errorf("the network %s has no %d free addresses in a row (%d of its %d are used)", subnet, size, len(taken), hosts.Size())
}

// Taken lists the used addresses that are in the range, sorted, each once.
func (r Range) Taken(used []netip.Addr) []netip.Addr {
	var in []netip.Addr
	for _, a := range used {
		if r.Contains(a) {
			in = append(in, a)
		}
	}
	slices.SortFunc(in, netip.Addr.Compare)
	return slices.Compact(in)
}

func number(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

func address(n uint64) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b)
}
