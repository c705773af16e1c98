package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// host changes the network of the node that this pod runs on.
type host interface {
	// Route sets the route to a range; Unroute removes it, and does not
	// mind when it is gone already.
	Route(ctx context.Context, to netip.Prefix, via netip.Addr) error
	Unroute(ctx context.Context, to netip.Prefix) error
	// Masquerade lets what own sends beyond all leave under the node's address.
	Masquerade(ctx context.Context, own, all netip.Prefix) error
	// Configure writes the CNI configuration that containerd waits for.
	Configure(text string) error
}

// chrooted is the node whose root file system is mounted at root.
type chrooted struct{ root string }

func (h chrooted) Route(ctx context.Context, to netip.Prefix, via netip.Addr) error {
	return h.run(ctx, "ip", "route", "replace", to.String(), "via", via.String())
}

func (h chrooted) Unroute(ctx context.Context, to netip.Prefix) error {
	err := h.run(ctx, "ip", "route", "del", to.String())
	if err != nil && strings.Contains(err.Error(), "No such process") { // ESRCH: no such route
		return nil
	}
	return err
}

func (h chrooted) Masquerade(ctx context.Context, own, all netip.Prefix) error {
	rule := []string{"POSTROUTING", "-s", own.String(), "!", "-d", all.String(), "-j", "MASQUERADE"}
	check := append([]string{"-w", "-t", "nat", "-C"}, rule...)
	err := h.run(ctx, "iptables", check...)
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 { // 1: the rule is not there
		return err
	}
	return h.run(ctx, "iptables", append([]string{"-w", "-t", "nat", "-A"}, rule...)...)
}

// Configure replaces the file by a rename, so that containerd, which watches
// the folder, never reads half of it.
func (h chrooted) Configure(text string) error {
	dir := filepath.Join(h.root, "etc/cni/net.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "10-rig.conflist")
	if err := os.WriteFile(file+".tmp", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

func (h chrooted) run(ctx context.Context, name string, args ...string) error {
	// /usr/bin/env finds the program in the node's own PATH; the path here
	// is resolved after the chroot.
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: h.root}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
