package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// dialTimeout bounds one attempt to reach a node, so that a stopped node costs
// a client no more than this before the next one is tried.
const dialTimeout = 2 * time.Second

// balancer holds the listeners. Its methods are not for concurrent use; the
// connections run beside it.
type balancer struct {
	log  *slog.Logger
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	host string // address to listen on; empty is every address

	ports map[int]*listener
	conns sync.WaitGroup
}

type listener struct {
	net.Listener
	backends atomic.Pointer[[]string]
	next     atomic.Uint64
}

// set opens and closes listeners so that they are those of want. A port that
// stays keeps its connections and takes the new nodes for new ones. It returns
// the errors of ports that cannot be opened; the others work.
func (b *balancer) set(ctx context.Context, want []forward) error {
	if b.ports == nil {
		b.ports = map[int]*listener{}
	}
	keep := map[int]bool{}
	var errs []error
	for _, f := range want {
		keep[f.port] = true
		l := b.ports[f.port]
		if l == nil {
			in, err := net.Listen("tcp", net.JoinHostPort(b.host, strconv.Itoa(f.port)))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			l = &listener{Listener: in}
			b.ports[f.port] = l
			l.backends.Store(&f.backends)
			go b.accept(ctx, l, f.port)
			continue
		}
		l.backends.Store(&f.backends)
	}
	for port, l := range b.ports {
		if !keep[port] {
			l.Close()
			delete(b.ports, port)
		}
	}
	return errors.Join(errs...)
}

// close ends the listeners; connections end with the context given to set.
func (b *balancer) close() {
	for port, l := range b.ports {
		l.Close()
		delete(b.ports, port)
	}
	b.conns.Wait()
}

func (b *balancer) accept(ctx context.Context, l *listener, port int) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files and the like: the next one may work
			b.log.Warn("a connection was lost", "port", port, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		b.conns.Go(func() {
			defer client.Close()
			b.serve(ctx, l, client, port)
		})
	}
}

// serve connects a client to the first node that answers, beginning with
// another one each time.
func (b *balancer) serve(ctx context.Context, l *listener, client net.Conn, port int) {
	backends := *l.backends.Load()
	first := int(l.next.Add(1) % uint64(len(backends)))
	for i := range backends {
		name := backends[(first+i)%len(backends)]
		dialing, cancel := context.WithTimeout(ctx, dialTimeout)
		node, err := b.dial(dialing, "tcp", net.JoinHostPort(name, strconv.Itoa(port)))
		cancel()
		if err != nil {
			b.log.Debug("a node does not answer", "node", name, "port", port, "error", err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { client.Close(); node.Close() })
		join(client, node)
		stop()
		node.Close()
		return
	}
	b.log.Warn("no node answers", "port", port, "nodes", backends)
}

// join copies both ways until both ends are through. When one end says that it
// sends no more, the other is told so and may still answer.
func join(a, b net.Conn) {
	half := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // a broken connection and a finished one end alike
		if c, ok := to.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		} else {
			_ = to.Close()
		}
	}
	var both sync.WaitGroup
	both.Go(func() { half(a, b) })
	half(b, a)
	both.Wait()
}
