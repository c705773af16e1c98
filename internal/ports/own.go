package ports

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ForeignError says that a host is no address of this machine that others can reach.
type ForeignError struct {
	Host string // as it was given
	Why  string
	Own  []netip.Addr // this machine's addresses that others may reach
}

func (e *ForeignError) Error() string {
	text := fmt.Sprintf("%s is no address of this machine: %s", e.Host, e.Why)
	if len(e.Own) > 0 {
		var own []string
		for _, a := range e.Own {
			own = append(own, a.String())
		}
		text += "; it has " + strings.Join(own, ", ")
	}
	return text
}

// Own gives the address of this machine at which a server listens that is told to
// listen at host, an IP address or a name: of several it is the one that net.Listen
// takes, the first of IPv4. The error is a *ForeignError when that is another
// machine's, or one at which no other machine reaches this one. A loopback address
// that is given as such is taken as it is.
func Own(ctx context.Context, host string) (netip.Addr, error) {
	mine, err := interfaces()
	if err != nil {
		return netip.Addr{}, err
	}
	foreign := func(format string, args ...any) (netip.Addr, error) {
		return netip.Addr{}, &ForeignError{Host: host, Why: fmt.Sprintf(format, args...), Own: reachable(mine)}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		switch {
		case a.IsUnspecified():
			return foreign("it stands for all of them, and clients must be told one")
		case a.IsLoopback() || slices.Contains(mine, a.WithZone("").Unmap()):
			return a, nil
		}
		return foreign("no network interface has it")
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return foreign("%v", err)
	}
	if len(found) == 0 {
		return foreign("the name stands for no address")
	}
	chosen := found[0].Unmap()
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			chosen = a
			break
		}
	}
	switch {
	case chosen.IsLoopback() && host != "localhost":
		return foreign("the name stands for %s, which only this machine reaches", chosen)
	case chosen.IsLoopback() || slices.Contains(mine, chosen):
		return chosen, nil
	}
	return foreign("the name stands for %s, which no network interface has", chosen)
}

// Reachable lists the addresses at which other machines reach this one.
func Reachable() ([]netip.Addr, error) {
	all, err := interfaces()
	return reachable(all), err
}

func reachable(all []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return a.IsLoopback() || a.IsLinkLocalUnicast() })
}

// interfaces lists the addresses of this machine.
func interfaces() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, prefix.Addr().Unmap())
		}
	}
	return out, nil
}
