package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// As k3d v5.8.3 wrote it for one server with -p 8080:80@loadbalancer.
const values = `ports:
  80.tcp:
  - k3d-ne-server-0
  - k3d-ne-agent-0
  6443.tcp:
  - k3d-ne-server-0
settings:
  workerConnections: 1026
`

func TestParse(t *testing.T) {
	got, skipped, err := parse([]byte(values))
	want := []forward{{80, []string{"k3d-ne-server-0", "k3d-ne-agent-0"}}, {6443, []string{"k3d-ne-server-0"}}}
	if err != nil || !reflect.DeepEqual(got, want) || len(skipped) != 0 {
		t.Errorf("%v %v %v", got, skipped, err)
	}
	got, skipped, err = parse([]byte("ports:\n  53.udp: [a]\n  \"70.tcp\": []\n  1.tcp: [b]\n"))
	if err != nil || len(got) != 1 || len(skipped) != 2 || !strings.HasPrefix(skipped[0], "53.udp") {
		t.Errorf("%v %v %v", got, skipped, err)
	}
	for _, bad := range []string{"ports: [1]", "ports:\n  x.tcp: [a]", "ports:\n  0.tcp: [a]", "ports:\n  65536.tcp: [a]", "\t"} {
		if _, _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(values))
	f.Fuzz(func(t *testing.T, text []byte) {
		tcp, _, err := parse(text)
		for _, x := range tcp {
			if err != nil || x.port < 1 || x.port > 65535 || len(x.backends) == 0 {
				t.Errorf("%+v %v", x, err)
			}
		}
	})
}

// node is a server that says its name, then answers what it reads until the
// client has said everything.
func node(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c)
				fmt.Fprintf(c, "%s:%s", name, all)
			}()
		}
	}()
	return l.Addr().String()
}

// safe is a buffer that one goroutine writes and another reads.
type safe struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *safe) count(of string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.buf.String(), of)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// setup gives a balancer whose node names stand for the given addresses.
func setup(t *testing.T, nodes map[string]string) (*balancer, *safe) {
	t.Helper()
	log := &safe{}
	return &balancer{
		log: slog.New(slog.NewTextHandler(log, nil)), host: "127.0.0.1",
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			name, _, _ := net.SplitHostPort(address)
			where, ok := nodes[name]
			if !ok {
				return nil, errors.New("no such host")
			}
			return new(net.Dialer).DialContext(ctx, network, where)
		},
	}, log
}

func ask(t *testing.T, port int, say string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestForward(t *testing.T) {
	b, log := setup(t, map[string]string{"a": node(t, "a"), "b": node(t, "b")})
	ctx, cancel := context.WithCancel(t.Context())
	port, other := freePort(t), freePort(t)
	if err := b.set(ctx, []forward{{port, []string{"a", "gone", "b"}}}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 9 {
		seen[ask(t, port, "hello")]++
	}
	// Each of the three comes first in turn; the one that is gone passes on.
	if seen["a:hello"] < 3 || seen["b:hello"] < 3 || len(seen) != 2 {
		t.Errorf("%v", seen)
	}
	if err := b.set(ctx, []forward{{port, []string{"b"}}, {other, []string{"gone"}}}); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, port, ""); got != "b:" {
		t.Errorf("after a change: %q", got)
	}
	if got := ask(t, other, ""); got != "" || log.count("no node answers") != 1 {
		t.Errorf("nobody there: %q, %d lines", got, log.count("no node answers"))
	}
	if err := b.set(ctx, []forward{{other, []string{"a"}}}); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		t.Error("a port that is not wanted any more is open")
	}
	// An open connection does not outlive the balancer.
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", other))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	b.close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := bufio.NewReader(c).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestFollow(t *testing.T) {
	b, log := setup(t, map[string]string{"a": node(t, "a"), "b": node(t, "b")})
	file := filepath.Join(t.TempDir(), "values.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { follow(ctx, file, 2*time.Millisecond, b); close(done) }()
	wait := func(text string, n int) {
		t.Helper()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); log.count(text) != n; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%q came %d times, not %d", text, log.count(text), n)
			}
		}
	}
	write := func(text string) {
		t.Helper()
		tmp := file + ".new"
		if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, file); err != nil {
			t.Fatal(err)
		}
	}
	wait("cannot be used yet", 1) // not there
	port := freePort(t)
	text := fmt.Sprintf("ports:\n  %d.tcp: [a]\n", port)
	write(text)
	wait(ready, 1)
	if got := ask(t, port, "x"); got != "a:x" {
		t.Errorf("%q", got)
	}
	write("ports: {half") // keeps what is
	wait("cannot be used yet", 2)
	if got := ask(t, port, "x"); got != "a:x" {
		t.Errorf("%q", got)
	}
	write(text) // k3d waits for the line also when nothing changed
	wait(ready, 2)
	write(strings.ReplaceAll(text, "[a]", "[b]"))
	wait(ready, 3)
	if got := ask(t, port, "x"); got != "b:x" {
		t.Errorf("%q", got)
	}
	cancel()
	<-done
	b.close()
}
