package cmd_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alertlab/alertlab/internal/chaos"
)

// outsideKey names what a script knows of its outside.
type outsideKey struct{}

// outside stands for another host: a network namespace of its own, joined to this
// machine by a pair of interfaces.
type outside struct {
	namespace string // empty where none could be made: then this machine itself stands for it
	host      netip.Addr
	first     int
}

// outsideCmd makes another host, once for a script.
//
//	outside HOST FIRST        makes it, and puts the address at which it reaches this
//	                          machine into HOST, and the first of many free ports into FIRST
//	outside exits N CMD...    runs a program there, as exits does here
//
// Without root or ip(8) this machine's own address that is not a loopback one stands
// for the way in, or else a loopback address.
func outsideCmd(ts *testscript.TestScript, neg bool, args []string) {
	env := ts.Value(environKey{}).(*testscript.Env)
	switch {
	case !neg && len(args) == 2:
		o, remove, err := newOutside()
		ts.Check(err)
		ts.Defer(remove)
		ts.Logf("the outside is %+v", *o)
		env.Values[outsideKey{}] = o
		ts.Setenv(args[0], o.host.String())
		ts.Setenv(args[1], fmt.Sprint(o.first))
	case !neg && len(args) > 2 && args[0] == "exits":
		o, ok := env.Values[outsideKey{}].(*outside)
		if !ok {
			ts.Fatalf("there is no outside yet")
		}
		if o.namespace != "" {
			args = append([]string{args[0], args[1], "ip", "netns", "exec", o.namespace}, args[2:]...)
		}
		exits(ts, false, args[1:])
	default:
		ts.Fatalf("usage: outside HOST FIRST | outside exits N CMD...")
	}
}

func newOutside() (*outside, func(), error) {
	pid := os.Getpid()
	o := &outside{first: 20000 + pid%110*100} // below the ports that the system gives out
	ip := func(words ...string) error {
		if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(words, " "), err, out)
		}
		return nil
	}
	if _, err := exec.LookPath("ip"); err == nil && os.Geteuid() == 0 {
		name := fmt.Sprintf("alertlab-%d", pid)
		if ip("netns", "add", name) == nil {
			remove := func() {
				ip("netns", "del", name) // takes both interfaces along
			}
			// Addresses that are set aside for tests of networks (RFC 2544).
			net := func(last int) string { return fmt.Sprintf("198.%d.%d.%d", 18+pid/64%2, pid%64*4, last) }
			near, far := fmt.Sprintf("al%dn", pid), fmt.Sprintf("al%df", pid)
			err := errors.Join(
				ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name),
				ip("addr", "add", net(1)+"/30", "dev", near), ip("link", "set", near, "up"),
				ip("-n", name, "addr", "add", net(2)+"/30", "dev", far), ip("-n", name, "link", "set", far, "up"))
			if err != nil {
				remove()
				return nil, nil, err
			}
			o.namespace, o.host = name, netip.MustParseAddr(net(1))
			return o, remove, nil
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, err
	}
	o.host = netip.MustParseAddr("127.0.0.1")
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			o.host = p.Addr()
			break
		}
	}
	return o, func() {}, nil
}

// listens HOST... asserts that the processes of the script's labs listen at each of
// the hosts, "loopback" standing for 127.0.0.0/8, and nowhere else.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: listens HOST...")
	}
	seen := map[string][]string{}
	for _, p := range chaos.Processes(ts.Getenv("ALERTLAB_STATE_DIR")) {
		at, err := listeners(p.PID)
		ts.Check(err)
		for _, a := range at {
			host := a.Addr().String()
			if a.Addr().IsLoopback() {
				host = "loopback"
			}
			seen[host] = append(seen[host], a.String())
		}
	}
	for _, host := range args {
		if len(seen[host]) == 0 {
			ts.Fatalf("nothing listens at %s, but there is %v", host, seen)
		}
		delete(seen, host)
	}
	if len(seen) > 0 {
		ts.Fatalf("the lab listens elsewhere, too: %v", seen)
	}
}

// listeners lists where a process listens for TCP.
func listeners(pid int) ([]netip.AddrPort, error) {
	var sockets []string
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil {
			sockets = append(sockets, target)
		}
	}
	var out []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the heading
		for lines.Scan() {
			// Local address, state (0A is LISTEN) and inode: proc(5).
			col := strings.Fields(lines.Text())
			if len(col) < 10 || col[3] != "0A" || !slices.Contains(sockets, "socket:["+col[9]+"]") {
				continue
			}
			host, port, _ := strings.Cut(col[1], ":")
			raw, err := hex.DecodeString(host)
			if err != nil {
				return nil, err
			}
			for i := 0; i+4 <= len(raw); i += 4 { // words in the order of the host, little endian wherever this runs
				slices.Reverse(raw[i : i+4])
			}
			address, ok := netip.AddrFromSlice(raw)
			var number uint16
			if _, err := fmt.Sscanf(port, "%X", &number); err != nil || !ok {
				return nil, fmt.Errorf("%s: %v", col[1], err)
			}
			out = append(out, netip.AddrPortFrom(address.Unmap(), number))
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// occupiedKey names the listeners that a script holds.
type occupiedKey struct{}

// occupy ADDRESS listens at an address until release, or the end of the script.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy ADDRESS")
	}
	ln, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Value(environKey{}).(*testscript.Env).Values[occupiedKey{}] = ln
}

// release lets go of what occupy holds.
func release(ts *testscript.TestScript, neg bool, args []string) {
	ln, ok := ts.Value(environKey{}).(*testscript.Env).Values[occupiedKey{}].(net.Listener)
	if neg || len(args) != 0 || !ok {
		ts.Fatalf("usage: release, behind occupy")
	}
	ts.Check(ln.Close())
}
