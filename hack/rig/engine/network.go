package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/lab/fault"
)

// What clusters use inside their nodes: k3d's and kind's ranges for pods, and
// those of Kubernetes for services (10.43 is k3s's).
var (
	podRanges    = []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16"), netip.MustParsePrefix("10.244.0.0/16")}
	insideRanges = append(slices.Clone(podRanges), netip.MustParsePrefix("10.43.0.0/16"), netip.MustParsePrefix("10.96.0.0/12"))
)

// ranges are where the own engine's networks may lie, in order: those that
// Docker itself prefers least come first, so that another engine does not want
// the same later. The last two are for tests of network devices (RFC 2544).
func ranges() []netip.Prefix {
	var list []netip.Prefix
	for i := 30; i >= 16; i-- {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i)}), 16))
	}
	for i := 219; i >= 200; i-- {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16))
	}
	return append(list, netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("198.18.0.0/16"), netip.MustParsePrefix("198.19.0.0/16"))
}

// networkBits is the size of one network: 1022 addresses, 64 networks in a range.
const networkBits = 22

// choose takes the first range that touches none of those taken; preferred, when
// valid, comes first, because the engine's networks already lie in it.
func choose(taken []netip.Prefix, preferred netip.Prefix) (netip.Prefix, error) {
	list := ranges()
	if preferred.IsValid() {
		list = append([]netip.Prefix{preferred}, list...)
	}
	taken = append(slices.Clone(taken), insideRanges...)
	for _, r := range list {
		if !slices.ContainsFunc(taken, r.Overlaps) {
			return r, nil
		}
	}
	return netip.Prefix{}, fault.New(fault.StepFailed, "no range of addresses is free for the rig's networks",
		"routes or interfaces of this machine have a part of each of the ranges tried, in 172.16.0.0/12, 10.0.0.0/8, 192.168.0.0/16 and 198.18.0.0/15",
		"look at: ip route show table all")
}

// taken lists the IPv4 ranges that this machine's interfaces have and that its
// routes, of any table, lead to. A route to (nearly) everywhere takes nothing.
func taken() ([]netip.Prefix, error) {
	rib, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	var list []netip.Prefix
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg {
			continue
		}
		const everywhere = 4 // bits; OpenVPN, say, routes two halves of all addresses
		bits := int(m.Data[1])
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, fmt.Errorf("reading routes: %w", err)
		}
		for _, a := range attrs {
			if a.Attr.Type == syscall.RTA_DST && bits > everywhere {
				if addr, ok := netip.AddrFromSlice(a.Value); ok {
					list = append(list, netip.PrefixFrom(addr, bits).Masked())
				}
			}
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			list = append(list, p.Masked())
		}
	}
	return list, nil
}

// former is the range that an earlier start chose, out of its daemon.json.
func (h home) former() netip.Prefix {
	b, err := os.ReadFile(h.settings())
	if err != nil {
		return netip.Prefix{}
	}
	var s settings
	if json.Unmarshal(b, &s) != nil || len(s.AddressPools) != 1 {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s.AddressPools[0].Base)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// chainRules is the input of iptables-restore that makes the own chain, anew if
// it is there, and hooks it in first.
//
// A packet between two nodes of one network crosses a bridge, and reaches the
// chain where br_netfilter is on: it is let through although another engine's
// policy may be to drop. It may have a pod's address at either end. What leaves
// the range otherwise, or comes into it, is rejected. Where the machine forwarded
// nothing before (closed), it forwards nothing but the rig's either.
//
// A pod's address that leaves a bridge is rejected only where no other engine
// could mean it (alone): the bridges' names do not tell whose they are.
func chainRules(chain string, own netip.Prefix, bridged, closed, alone bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*filter\n:%s - [0:0]\n", chain)
	rule := func(format string, a ...any) { fmt.Fprintf(&b, "-A "+chain+" "+format+"\n", a...) }
	rule("-s %s -d %s -j ACCEPT", own, own)
	for _, pods := range podRanges {
		if bridged {
			rule("-i br-+ -s %s -m physdev --physdev-is-bridged -j ACCEPT", pods)
			rule("-i br-+ -d %s -m physdev --physdev-is-bridged -j ACCEPT", pods)
		}
		if alone {
			rule("-i br-+ ! -o br-+ -s %s -j REJECT --reject-with icmp-net-prohibited", pods)
		}
	}
	rule("-s %s -j REJECT --reject-with icmp-net-prohibited", own)
	rule("-d %s -j REJECT --reject-with icmp-net-prohibited", own)
	if closed {
		rule("%s-j DROP", map[bool]string{true: "-m physdev ! --physdev-is-bridged "}[bridged])
	}
	fmt.Fprintf(&b, "-I FORWARD 1 -j %s\nCOMMIT\n", chain)
	return b.String()
}

// chainRules6 is the same for IPv6. kind gives its network an fc00::/8 address,
// a range that RFC 4193 leaves unused, so that nobody else's is meant.
func chainRules6(chain string, bridged, closed bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*filter\n:%s - [0:0]\n", chain)
	if bridged {
		fmt.Fprintf(&b, "-A %s -i br-+ -s fc00::/8 -m physdev --physdev-is-bridged -j ACCEPT\n", chain)
	}
	fmt.Fprintf(&b, "-A %s -i br-+ ! -o br-+ -s fc00::/8 -j REJECT --reject-with icmp6-adm-prohibited\n", chain)
	if closed {
		fmt.Fprintf(&b, "-A %s %s-j DROP\n", chain, map[bool]string{true: "-m physdev ! --physdev-is-bridged "}[bridged])
	}
	fmt.Fprintf(&b, "-I FORWARD 1 -j %s\nCOMMIT\n", chain)
	return b.String()
}

// unhook is the input of iptables-restore that takes the chain away; hooks is how
// often it is hooked in.
func unhook(chain string, hooks int) string {
	return "*filter\n" + strings.Repeat("-D FORWARD -j "+chain+"\n", hooks) + "-F " + chain + "\n-X " + chain + "\nCOMMIT\n"
}

// table is one of the kernel's two places for iptables rules, for IPv4 or IPv6.
type table struct {
	v6      bool
	kind    string // "nft" or "legacy"
	program string // path without -save or -restore
}

// tables lists those whose programs are there.
func tables() []table {
	var list []table
	for _, v6 := range []bool{false, true} {
		name := map[bool]string{false: "iptables", true: "ip6tables"}[v6]
		for _, kind := range []string{"nft", "legacy"} {
			if path, err := lookPath(name + "-" + kind + "-save"); err == nil {
				list = append(list, table{v6, kind, strings.TrimSuffix(path, "-save")})
			}
		}
	}
	return list
}

// save lists the rules of all tables, without counters and comments.
func (t table) save(ctx context.Context) (string, error) {
	out, err := run(ctx, "", t.program+"-save")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(counters.ReplaceAllString(line, ""))
		}
	}
	return b.String(), nil
}

var counters = regexp.MustCompile(` ?\[\d+:\d+\]`)

// inUse says whether a table's rules decide anything: a chain of someone's, a
// rule, or a policy to drop.
func inUse(saved string) bool {
	for line := range strings.Lines(saved) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, ":") && !strings.HasSuffix(strings.TrimSpace(line), " ACCEPT") {
			return true
		}
	}
	return false
}

// hookIn makes the chain in the table that the machine's iptables uses and in
// the other one too where that has rules: each of them can drop on its own.
func hookIn(ctx context.Context, h home, own netip.Prefix, was before) ([]string, error) {
	version, err := run(ctx, "", "iptables", "--version")
	if err != nil {
		return nil, err
	}
	_, err = os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables")
	bridged := err == nil
	_, err = os.Stat("/proc/net/if_inet6")
	ipv6 := err == nil
	var made []string
	for _, t := range tables() {
		saved, err := t.save(ctx)
		if err != nil {
			return made, err
		}
		usual := t.kind == "legacy" && strings.Contains(version, "legacy") || t.kind == "nft" && strings.Contains(version, "nf_tables")
		if t.v6 && !ipv6 || !usual && !inUse(saved) {
			continue
		}
		rules := chainRules(h.chain(), own, bridged, was.Sysctls["net/ipv4/ip_forward"] == "0", len(was.Engines) == 0)
		if t.v6 {
			rules = chainRules6(h.chain(), bridged, was.Sysctls["net/ipv6/conf/all/forwarding"] == "0")
		}
		if hooks(saved, h.chain()) > 0 {
			rules = strings.Replace(rules, "-I FORWARD 1 -j "+h.chain()+"\n", "", 1)
		}
		if _, err := run(ctx, rules, t.program+"-restore", "--noflush", "--wait"); err != nil {
			return made, err
		}
		made = append(made, filepath.Base(t.program))
	}
	if len(made) == 0 {
		return nil, errors.New("neither iptables-nft nor iptables-legacy is there")
	}
	return made, nil
}

func hooks(saved, chain string) int {
	return strings.Count(saved, "-A FORWARD -j "+chain+"\n")
}

// takeOut removes the chain wherever it is.
func takeOut(ctx context.Context, chain string) (from []string, err error) {
	for _, t := range tables() {
		saved, saveErr := t.save(ctx)
		if saveErr != nil {
			err = errors.Join(err, saveErr)
			continue
		}
		if !strings.Contains(saved, ":"+chain+" ") {
			continue
		}
		if _, runErr := run(ctx, unhook(chain, hooks(saved, chain)), t.program+"-restore", "--noflush", "--wait"); runErr != nil {
			err = errors.Join(err, runErr)
			continue
		}
		from = append(from, filepath.Base(t.program))
	}
	return from, err
}

// bridges lists the interfaces that Docker made for networks in the range. Only
// the own engine's are there: it was nobody's when it was chosen.
func bridges(own netip.Prefix) ([]string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		if _, err := os.Stat(filepath.Join("/sys/class/net", l.Name, "bridge")); err != nil {
			continue
		}
		addrs, err := l.Addrs()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && own.Contains(p.Addr())
		}) {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

// removeBridge takes a bridge down and away, as brctl delbr does.
func removeBridge(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	req.SetUint16(req.Uint16() &^ unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCBRDELBR, uintptr(unsafe.Pointer(text))); errno != 0 {
		return fmt.Errorf("interface %s: %w", name, errno)
	}
	return nil
}

// makeBridge makes the bridge of the engine's default network, with the first
// address of the range. dockerd makes one only under the name docker0, which may
// be another engine's, and, told to have none, removes that one.
func makeBridge(name string, own netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCBRADDBR, uintptr(unsafe.Pointer(text))); errno != 0 {
		return fmt.Errorf("making the interface %s: %w", name, errno)
	}
	set := func(request uint, change func(*unix.Ifreq) error) error {
		req, err := unix.NewIfreq(name)
		if err == nil {
			err = change(req)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, request, req)
		}
		if err != nil {
			return fmt.Errorf("setting up the interface %s: %w", name, err)
		}
		return nil
	}
	address := own.Addr().Next().As4()
	mask := net.CIDRMask(networkBits, 32)
	return errors.Join(
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address[:]) }),
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask) }),
		set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }))
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return strings.TrimSpace(string(b)), err
}

func writeSysctl(name, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0)
}

// lookPath finds a program also where a user's PATH lacks the folders of
// administration.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range sbin {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

var sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// run gives the standard output of a program. Its error has what the program
// said.
func run(ctx context.Context, input, name string, args ...string) (string, error) {
	cmd, err := command(ctx, name, args...)
	if err != nil {
		return "", err
	}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return out.String(), failed(cmd, err, said.String()+out.String())
	}
	return out.String(), nil
}

// command is a program of this machine that answers in English and asks nothing.
func command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	path, err := lookPath(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = name
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd, nil
}

// failed is the end of a program with the last words that it said.
func failed(cmd *exec.Cmd, err error, said string) error {
	return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.Join(strings.Fields(lastLines(said, 4)), " "))
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
