package loopback

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What arrives at another address of the machine is handed on to the lab's, both ways
// and to its end, until the gates are closed.
func TestGates(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more loopback addresses than 127.0.0.1 without being told")
	}
	const outside, inside = "127.77.0.1", "127.77.0.2"
	lab, err := net.Listen("tcp", inside+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	go func() {
		for {
			c, err := lab.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, err := io.ReadAll(c) // which ends because the client's end is handed on
				if err == nil {
					_, err = c.Write([]byte(strings.ToUpper(string(all))))
				}
				if err != nil && !errors.Is(err, net.ErrClosed) {
					t.Log(err)
				}
			}()
		}
	}()
	port := lab.Addr().(*net.TCPAddr).Port
	g, err := openGates(t.Context(), []netip.Addr{netip.MustParseAddr(outside)}, netip.MustParseAddr(inside), []int{port})
	if err != nil {
		t.Fatal(err)
	}
	dial := func() *net.TCPConn {
		t.Helper()
		bound, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, err := (&net.Dialer{}).DialContext(bound, "tcp", net.JoinHostPort(outside, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		return c.(*net.TCPConn)
	}
	c := dial()
	if _, err := c.Write([]byte("an alert")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "AN ALERT" {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()

	// A port that somebody has is named, and nothing stays open.
	if _, err := openGates(t.Context(), []netip.Addr{netip.MustParseAddr(outside)}, netip.MustParseAddr(inside), []int{port}); err == nil ||
		!strings.Contains(err.Error(), net.JoinHostPort(outside, strconv.Itoa(port))) {
		t.Errorf("a taken port: %v", err)
	}

	idle := dial()
	if err := g.close(); err != nil {
		t.Error(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives the gates")
	}
	idle.Close()
	if c, err := net.Dial("tcp", net.JoinHostPort(outside, strconv.Itoa(port))); err == nil {
		c.Close()
		t.Error("the gates are closed, and somebody listens there")
	}
}

// A name of the container's host stands for the container itself where ports are
// published, and nowhere else.
func TestOwnPublished(t *testing.T) {
	t.Parallel()
	if own, err := (advertised{host: "localhost"}).own(t.Context(), true); err != nil || !own.IsLoopback() {
		t.Errorf("%v, %v", own, err)
	}
	for _, published := range []bool{false, true} {
		if _, err := (advertised{host: "203.0.113.77"}).own(t.Context(), published); err == nil {
			t.Errorf("published %v: another machine's address is taken", published)
		}
	}
}
