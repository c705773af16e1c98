package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestEgress(t *testing.T) {
	v4, v6 := Allowed(prefixes("172.18.0.5/16", "fc00:f853:ccd:e793::7/64"), prefixes("10.42.0.0/16", "172.18.0.0/16"))
	const want4 = `*filter
:RIG-EGRESS - [0:0]
-A RIG-EGRESS -d 10.42.0.0/16 -j RETURN
-A RIG-EGRESS -d 127.0.0.0/8 -j RETURN
-A RIG-EGRESS -d 172.18.0.0/16 -j RETURN
-A RIG-EGRESS -m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j RETURN
-A RIG-EGRESS -p tcp -j REJECT --reject-with tcp-reset
-A RIG-EGRESS -j REJECT
COMMIT
*mangle
:RIG-EGRESS - [0:0]
-A RIG-EGRESS -d 10.42.0.0/16 -j RETURN
-A RIG-EGRESS -d 127.0.0.0/8 -j RETURN
-A RIG-EGRESS -d 172.18.0.0/16 -j RETURN
-A RIG-EGRESS -m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j RETURN
-A RIG-EGRESS -j DROP
COMMIT
`
	if got := Egress(v4); got != want4 {
		t.Errorf("got\n%s", got)
	}
	got := Egress(v6)
	for _, line := range []string{
		"-A RIG-EGRESS -d ::1/128 -j RETURN", "-A RIG-EGRESS -d fe80::/10 -j RETURN",
		"-A RIG-EGRESS -d fc00:f853:ccd:e793::/64 -j RETURN", "-A RIG-EGRESS -j REJECT",
	} {
		if strings.Count(got, line+"\n") == 0 {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "10.42") {
		t.Errorf("IPv4 among IPv6:\n%s", got)
	}
	if none := Egress(nil); strings.Contains(none, " -d ") || strings.Count(none, "REJECT") != 2 {
		t.Errorf("nothing allowed:\n%s", none)
	}
}

func TestOwn(t *testing.T) {
	lo := Link{Name: "lo"}
	tunnel := Link{Name: "tunl0"}
	eth := Link{Name: "eth0", Paired: true}
	for _, c := range []struct {
		name  string
		links []Link
		own   bool
		says  string
	}{
		{"container", []Link{eth, lo, tunnel}, true, "eth0"},
		{"container in two networks", []Link{eth, {Name: "eth1", Paired: true}, lo}, true, "eth0, eth1"},
		{"container whose pods are back already", []Link{eth, lo, {Name: "veth12", Paired: true}}, true, "eth0"},
		{"host with a card", []Link{{Name: "docker0", Bridge: true}, {Name: "eth0", Device: true}, lo}, false, "bridge"},
		{"host without an engine's bridge", []Link{{Name: "eth0", Device: true}, lo}, false, "device"},
		{"host with another name for its card", []Link{{Name: "enp1s0", Device: true}, lo}, false, "device"},
		{"container that is the engine's host", []Link{{Name: "br-12", Bridge: true}, eth, lo}, false, "bridge"},
		{"host whose card is not told", []Link{{Name: "eth0"}, lo}, false, "not one"},
		{"no network", []Link{lo}, false, "no interface"},
		{"nothing", nil, false, "no interface"},
	} {
		own, why := Own(c.links)
		if own != c.own || !strings.Contains(why, c.says) {
			t.Errorf("%s: %v, %s", c.name, own, why)
		}
	}
}

func TestLinks(t *testing.T) {
	sys := t.TempDir()
	for file, text := range map[string]string{
		"eth0/ifindex": "12\n", "eth0/iflink": "13\n",
		"docker0/ifindex": "3\n", "docker0/iflink": "3\n", "docker0/bridge/bridge_id": "x",
		"wan/ifindex": "2\n", "wan/iflink": "2\n", "wan/device/vendor": "x",
		"bonding_masters": "",
	} {
		f := filepath.Join(sys, file)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Links(sys)
	want := []Link{{Name: "docker0", Bridge: true}, {Name: "eth0", Paired: true}, {Name: "wan", Device: true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Links(filepath.Join(sys, "none")); err == nil {
		t.Error("a missing folder is no error")
	}
}

// As Docker 20.10 leaves them in a node, and as k3d's own change of them does.
const saved = `*nat
:DOCKER_OUTPUT - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:34491
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:49091
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 34491 -j SNAT --to-source :53
COMMIT
`

func TestEngineDNS(t *testing.T) {
	want := map[string]string{"tcp": "34491", "udp": "49091"}
	for name, text := range map[string]string{
		"docker": saved,
		"k3d":    strings.ReplaceAll(saved, "-d 127.0.0.11/32", "-d 172.21.0.1/32"),
		"after us": saved + "-A RIG-DNS -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:49091\n" +
			"-A KUBE-SEP-X -p udp -m udp --dport 53 -j DNAT --to-destination 10.42.0.2:53\n",
	} {
		if got := EnginePorts(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := EnginePorts("*nat\nCOMMIT\n"); len(got) != 0 {
		t.Errorf("no engine: %v", got)
	}
	const rules = `*nat
:RIG-DNS - [0:0]
-A RIG-DNS -p tcp --dport 53 -j DNAT --to-destination 127.0.0.11:34491
-A RIG-DNS -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:49091
COMMIT
`
	if got := EngineDNS(want); got != rules {
		t.Errorf("got\n%s", got)
	}
}

func TestResolv(t *testing.T) {
	gateway := netip.MustParseAddr("172.18.0.1")
	in := "search lab.example\nnameserver 127.0.0.11\nnameserver 127.0.0.111\n# nameserver 127.0.0.11\noptions ndots:0\n"
	want := "search lab.example\nnameserver 172.18.0.1\nnameserver 127.0.0.111\n# nameserver 127.0.0.11\noptions ndots:0\n"
	if got := Resolv(in, gateway); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestDefaultGateway(t *testing.T) {
	const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
	got, ok := DefaultGateway(head + "eth0\t000015AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\neth0\t00000000\t010015AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
	if !ok || got.String() != "172.21.0.1" {
		t.Errorf("%v %v", got, ok)
	}
	for _, text := range []string{"", head, head + "eth0\t00000000\tzz\t3\t0\t0\t0\t00000000\n", head + "eth0\t00000000\t00000000\t1\t0\t0\t0\t00000000\n"} {
		if got, ok := DefaultGateway(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// FuzzParsers holds that text from the kernel and from iptables, whatever it
// is, brings nothing down and yields only what can be written back.
func FuzzParsers(f *testing.F) {
	f.Add(saved)
	f.Add("eth0\t00000000\t010015AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
	f.Fuzz(func(t *testing.T, text string) {
		for protocol, port := range EnginePorts(text) {
			if protocol != "tcp" && protocol != "udp" || strings.Trim(port, "0123456789") != "" {
				t.Errorf("%q %q", protocol, port)
			}
		}
		if a, ok := DefaultGateway(text); ok && !a.Is4() {
			t.Errorf("%v", a)
		}
	})
}
