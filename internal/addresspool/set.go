package addresspool

import (
	"net/netip"
	"slices"
	"strings"
)

// Set is several ranges, in the order in which their addresses are given out.
type Set []Range

// ParseSet reads ranges with commas between them.
func ParseSet(text string) (Set, error) {
	var out Set
	for one := range strings.SplitSeq(text, ",") {
		r, err := Parse(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Singles writes single addresses as a set, each as ADDRESS/32.
func Singles(addresses []string) string {
	var out []string
	for _, a := range addresses {
		out = append(out, a+"/32")
	}
	return strings.Join(out, ",")
}

// String is FIRST-LAST of each range, with commas between them.
func (s Set) String() string {
	var out []string
	for _, r := range s {
		out = append(out, r.String())
	}
	return strings.Join(out, ",")
}

// Size is the number of its addresses.
func (s Set) Size() int {
	n := 0
	for _, r := range s {
		n += r.Size()
	}
	return n
}

// At gives the i-th address, from 0; no valid one where there is none.
func (s Set) At(i int) netip.Addr {
	for _, r := range s {
		if i < r.Size() {
			return r.At(i)
		}
		i -= r.Size()
	}
	return netip.Addr{}
}

// Overlaps says whether a range has an address of the set.
func (s Set) Overlaps(o Range) bool { return slices.ContainsFunc(s, o.Overlaps) }

// Within says whether every range of the set lies in one of the others.
func (s Set) Within(others []Range) bool {
	return !slices.ContainsFunc(s, func(r Range) bool {
		return !slices.ContainsFunc(others, func(o Range) bool { return o.Contains(r.First) && o.Contains(r.Last) })
	})
}
