package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// Tool is iptables or ip6tables, in the backend that the node uses.
type Tool struct{ name string }

// The two families.
var (
	IPv4 = Tool{"iptables"}
	IPv6 = Tool{"ip6tables"}
)

// ApplyEgress puts the rules for allow in place, or replaces those that are.
func (t Tool) ApplyEgress(ctx context.Context, allow []netip.Prefix) error {
	return t.apply(ctx, Egress(allow), egressJumps)
}

// ApplyEngineDNS makes the engine's name server answer at gateway, if the
// engine has one. It reports whether it has.
func ApplyEngineDNS(ctx context.Context, gateway netip.Addr) (bool, error) {
	saved, err := IPv4.run(ctx, "", "-save", "-t", "nat")
	if err != nil {
		return false, err
	}
	ports := EnginePorts(saved)
	tool := IPv4
	if len(ports) == 0 {
		// An engine whose own iptables is the older one keeps its rules there.
		if saved, err := (Tool{"iptables-legacy"}).run(ctx, "", "-save", "-t", "nat"); err == nil {
			ports = EnginePorts(saved)
		}
		if len(ports) == 0 {
			return false, nil
		}
	}
	// Without it the kernel takes a pod's packet to a loopback address for forged.
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0o644); err != nil {
		return true, err
	}
	return true, tool.apply(ctx, EngineDNS(ports), dnsJumps(gateway))
}

func (t Tool) apply(ctx context.Context, rules string, jumps []jump) error {
	if _, err := t.run(ctx, rules, "-restore", "-w", "--noflush"); err != nil {
		return err
	}
	for _, j := range jumps {
		_, err := t.run(ctx, "", "", append([]string{"-w", "-t", j.table, "-C"}, j.rule...)...)
		if err == nil {
			continue
		}
		insert := append([]string{"-w", "-t", j.table, "-I"}, j.rule...)
		if _, err := t.run(ctx, "", "", insert...); err != nil {
			return err
		}
	}
	return nil
}

func (t Tool) run(ctx context.Context, input, suffix string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.name+suffix, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", err
		}
		return "", fmt.Errorf("%s%s %s: %w: %s", t.name, suffix, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
