package broker

import (
	"context"
	"net"
	"sync"
)

// door is the listener that kfake holds for one broker. Its connections come
// from elsewhere (a socket, the bootstrap address, this process itself), so
// that kfake's idea of a broker and the socket can live and die apart.
type door struct {
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
	// hidden doors outlive being closed by kfake; see forward.go.
	hidden bool
}

func newDoor(address string) *door {
	return &door{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// enter hands a connection to kfake and reports whether it was taken.
func (d *door) enter(c net.Conn) bool {
	select {
	case d.conns <- c:
		return true
	case <-d.closed:
		return false
	}
}

// Close is called by kfake when it drops the broker.
func (d *door) Close() error {
	if !d.hidden {
		d.shut()
	}
	return nil
}

func (d *door) shut() { d.once.Do(func() { close(d.closed) }) }

// Addr is what kfake tells clients.
func (d *door) Addr() net.Addr { return address(d.address) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// node is one broker of ours: a socket while it lives, a door into kfake, and
// the connections that came in.
type node struct {
	id      int32
	address string

	mu     sync.Mutex
	socket net.Listener // nil while the broker is dead
	door   *door        // nil while kfake does not have the broker
	conns  map[*conn]struct{}
}

func listen(ctx context.Context, id int32, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &ListenError{Node: id, Address: address, Err: err}
	}
	return l, nil
}

func (n *node) alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.socket != nil
}

// admit takes a connection in, unless the broker died meanwhile.
func (n *node) admit(c *conn) bool {
	n.mu.Lock()
	if n.socket == nil || n.door == nil {
		n.mu.Unlock()
		return false
	}
	n.conns[c] = struct{}{}
	d := n.door
	n.mu.Unlock()
	if !d.enter(c) {
		n.forget(c)
		return false
	}
	return true
}

func (n *node) forget(c *conn) {
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
}

// die closes the socket and every connection, and reports whether the broker
// was alive.
func (n *node) die() bool {
	n.mu.Lock()
	was := n.socket != nil
	if was {
		n.socket.Close()
		n.socket = nil
	}
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	return was
}
