package loopback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/internal/ports"
	"github.com/alertlab/alertlab/profiles"
)

// AdvertiseError says why a lab cannot be advertised at an address.
type AdvertiseError struct {
	Address string // as it was given
	Why     string
	Err     error // may be nil
}

func (e *AdvertiseError) Error() string {
	return fmt.Sprintf("the lab cannot be advertised at %q: %s", e.Address, e.Why)
}

// Unwrap gives the reason, if there is one below.
func (e *AdvertiseError) Unwrap() error { return e.Err }

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// advertised is an address at which containers and other hosts reach a lab.
type advertised struct {
	host string // an IP address or a name
	// first is the port from which on everything has its place; 0 for the usual
	// ports of the services, and the listener's from which on the brokers have
	// theirs.
	first int
}

// parseAdvertised reads ADDRESS or ADDRESS:PORT.
func parseAdvertised(text string) (advertised, error) {
	const neither = "it is neither an IP address nor a host name, alone or with :PORT"
	fail := func(format string, args ...any) (advertised, error) {
		return advertised{}, &AdvertiseError{Address: text, Why: fmt.Sprintf(format, args...)}
	}
	a := advertised{host: text}
	plain := net.ParseIP(text) != nil // an IPv6 address has colons of its own
	if host, port, err := net.SplitHostPort(text); err == nil && !plain {
		n, err := strconv.Atoi(port)
		if err != nil {
			return fail(neither)
		}
		if n < 1 || n > 65535 {
			return fail("%d is no port", n)
		}
		a = advertised{host: host, first: n}
	}
	a.host = strings.TrimSuffix(strings.TrimPrefix(a.host, "["), "]")
	if net.ParseIP(a.host) == nil && (len(a.host) > 253 || !hostName.MatchString(a.host)) {
		return fail(neither)
	}
	return a, nil
}

// Places of the services behind the first port, where one is given; brokers follow.
const (
	placeBootstrap = iota
	placeFront
	placeAlertDB
	placeObjectStore
	placeBrokers
)

// addresses gives what is advertised, by output.
func (a advertised) addresses(in input) map[string]string {
	port := func(usual, place int) string {
		if a.first != 0 {
			usual = a.first + place
		}
		return net.JoinHostPort(a.host, strconv.Itoa(usual))
	}
	out := map[string]string{
		"bootstrap":      port(in.Port, placeBootstrap),
		"registry-front": port(frontPort, placeFront),
		"alertdb":        port(alertDBPort, placeAlertDB),
		"object-store":   port(objectStorePort, placeObjectStore),
	}
	for i, id := range in.Brokers {
		out[brokerOutput(id)] = port(in.Port+1+i, placeBrokers+i)
	}
	return out
}

// FitAdvertised says why a profile's brokers find no place at an advertised address,
// "" being none; nil when they do. The error is an *AdvertiseError.
func FitAdvertised(p *profiles.Profile, address string) error {
	if address == "" {
		return nil
	}
	a, err := parseAdvertised(address)
	if err != nil {
		return err
	}
	in := inputOf(p, address)
	last := in.Port + len(in.Brokers)
	if a.first != 0 {
		last = a.first + placeBrokers + len(in.Brokers) - 1
	}
	if last > 65535 {
		return &AdvertiseError{Address: address, Why: fmt.Sprintf("the ports of %d brokers would end at %d, above 65535", len(in.Brokers), last)}
	}
	seen := map[string]string{}
	all := a.addresses(in)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if other, dup := seen[all[name]]; dup {
			return &AdvertiseError{Address: address, Why: fmt.Sprintf("%s and %s would both be at %s: kafka.listener.port is %d", other, name, all[name], in.Port)}
		}
		seen[all[name]] = name
	}
	return nil
}

// CheckAdvertised says why a lab cannot listen at an address on this machine, nil
// when it can; published is as in Want. Ports are not looked at. The error is an
// *AdvertiseError.
func CheckAdvertised(ctx context.Context, address string, published bool) error {
	a, err := parseAdvertised(address)
	if err != nil {
		return err
	}
	if _, err := a.own(ctx, published); err != nil {
		return &AdvertiseError{Address: address, Why: err.Error(), Err: err}
	}
	return nil
}

// free says which advertised addresses cannot be listened at, all of them. Those in
// have are the lab's own already.
func (a advertised) free(ctx context.Context, in input, have map[string]string) error {
	own, err := a.own(ctx, in.Published)
	if err != nil {
		return err
	}
	ours := slices.Collect(maps.Values(have))
	all := a.addresses(in)
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(ours, all[name]) {
			continue
		}
		_, port, err := net.SplitHostPort(all[name])
		if err == nil {
			err = ports.Check(ctx, net.JoinHostPort(own.String(), port)) // by the number, which tells who has it
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
