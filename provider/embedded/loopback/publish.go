package loopback

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/alertlab/alertlab/internal/ports"
)

// A lab in a container whose ports are published is advertised at an address of the
// container's host, as a rule 127.0.0.1, so that the lab listens at its own 127.0.0.1;
// but what is published arrives at the container's address. There each port is taken
// too, and handed on.

// own gives the address of this machine that is advertised. Where ports are published a
// name may stand for the loopback network: it is the name of the container's host, and
// the container was told (docker run --add-host NAME:127.0.0.1) to stay with itself.
func (a advertised) own(ctx context.Context, published bool) (netip.Addr, error) {
	own, err := ports.Own(ctx, a.host)
	if err == nil || !published {
		return own, err
	}
	found, unknown := net.DefaultResolver.LookupNetIP(ctx, "ip", a.host)
	if unknown != nil || len(found) == 0 || !found[0].Unmap().IsLoopback() {
		return own, err
	}
	return found[0].Unmap(), nil
}

// gates hand connections on from the addresses at which other machines reach this one
// to the loopback network.
type gates struct {
	listeners []net.Listener
	over      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once they are closed
}

// openGates listens at each port of each address in from, and hands on to the same port
// of to. The error names every address that cannot be listened at; then none is open.
func openGates(ctx context.Context, from []netip.Addr, to netip.Addr, numbers []int) (*gates, error) {
	g := &gates{conns: map[net.Conn]bool{}}
	var problems []error
	for _, address := range from {
		for _, port := range numbers {
			ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
			if err != nil {
				problems = append(problems, err)
				continue
			}
			g.listeners = append(g.listeners, ln)
			g.over.Go(func() { g.serve(ln, net.JoinHostPort(to.String(), strconv.Itoa(port))) })
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(append(problems, g.close())...)
	}
	return g, nil
}

func (g *gates) serve(ln net.Listener, to string) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		g.over.Go(func() {
			out, err := net.Dial("tcp", to)
			if err != nil { // nothing of the lab listens there now
				in.Close()
				return
			}
			if !g.keep(in, out) {
				in.Close()
				out.Close()
				return
			}
			defer g.forget(in, out)
			var both sync.WaitGroup
			both.Go(func() { hand(out, in) })
			both.Go(func() { hand(in, out) })
			both.Wait()
		})
	}
}

// hand copies until one side ends, and tells the other.
func hand(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		to.Close()
		from.Close()
	}
}

func (g *gates) keep(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return false
	}
	for _, c := range conns {
		g.conns[c] = true
	}
	return true
}

func (g *gates) forget(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(g.conns, c)
	}
}

// close ends all listening and every connection, and waits for it. On nil it does
// nothing.
func (g *gates) close() error {
	if g == nil {
		return nil
	}
	var errs []error
	for _, ln := range g.listeners {
		errs = append(errs, ln.Close())
	}
	g.mu.Lock()
	for c := range g.conns {
		c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.over.Wait()
	return errors.Join(errs...)
}

// publish opens the gates of what is advertised, where there is anything to hand on:
// at an address that others reach anyway there is not.
func publish(ctx context.Context, a advertised, in input) (*gates, error) {
	own, err := a.own(ctx, true)
	if err != nil || !own.IsLoopback() {
		return nil, err
	}
	from, err := ports.Reachable()
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, address := range a.addresses(in) {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return openGates(ctx, from, own, numbers)
}
