package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// DNSChain is the name of the chain that leads to the engine's name server.
const DNSChain = "RIG-DNS"

// EngineAddress is where Docker's name server is found inside a container.
const EngineAddress = "127.0.0.11"

var dnsRule = regexp.MustCompile(`^-A \S+ .*-p (udp|tcp) .*--dport 53 .*-j DNAT --to-destination 127\.0\.0\.11:(\d+)$`)

// EnginePorts reads, from the text of iptables-save, the ports at which the
// engine's name server listens, by protocol. It is empty where the engine has
// none (the default bridge) or keeps its rules elsewhere.
func EnginePorts(saved string) map[string]string {
	ports := map[string]string{}
	for _, line := range strings.Split(saved, "\n") {
		if m := dnsRule.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			ports[m[1]] = m[2]
		}
	}
	return ports
}

// EngineDNS gives the rules by which port 53 of the gateway's address is the
// engine's name server. The engine's own rules stay.
func EngineDNS(ports map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*nat\n:%s - [0:0]\n", DNSChain)
	for _, protocol := range []string{"tcp", "udp"} {
		if port, ok := ports[protocol]; ok {
			fmt.Fprintf(&b, "-A %s -p %s --dport 53 -j DNAT --to-destination %s:%s\n", DNSChain, protocol, EngineAddress, port)
		}
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// dnsJumps are the places where packets to the gateway are looked at: those of
// the node's own processes, and those of its pods.
func dnsJumps(gateway netip.Addr) []jump {
	return []jump{
		{"nat", []string{"OUTPUT", "-d", gateway.String() + "/32", "-j", DNSChain}},
		{"nat", []string{"PREROUTING", "-d", gateway.String() + "/32", "-j", DNSChain}},
	}
}

// Resolv gives a resolv.conf that asks the gateway in place of the engine's
// loopback address, which in a pod is the pod itself.
func Resolv(text string, gateway netip.Addr) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if f := strings.Fields(l); len(f) == 2 && f[0] == "nameserver" && f[1] == EngineAddress {
			lines[i] = "nameserver " + gateway.String()
		}
	}
	return strings.Join(lines, "\n")
}

// DefaultGateway reads the IPv4 gateway from the text of /proc/net/route, whose
// addresses are hexadecimal in the machine's byte order, little-endian here.
func DefaultGateway(routes string) (netip.Addr, bool) {
	for _, line := range strings.Split(routes, "\n") {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		var b [4]byte
		if _, err := fmt.Sscanf(f[2], "%02X%02X%02X%02X", &b[3], &b[2], &b[1], &b[0]); err != nil {
			continue
		}
		if a := netip.AddrFrom4(b); !a.IsUnspecified() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
