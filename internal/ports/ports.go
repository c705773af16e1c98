// Package ports looks at TCP addresses of this machine: whether one can be
// listened at, and if not, who has it.
package ports

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// TakenError says that an address cannot be listened at.
type TakenError struct {
	Address string // host:port
	Holder  string // e.g. `process 4711 (java)`; empty when that cannot be seen
	PID     int    // of the holder; 0 when that cannot be seen
	Err     error
}

func (e *TakenError) Error() string {
	if e.Holder != "" {
		return fmt.Sprintf("%s is taken by %s", e.Address, e.Holder)
	}
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("%s is taken by another process", e.Address)
	}
	return fmt.Sprintf("%s cannot be listened at: %v", e.Address, e.Err)
}

// Unwrap returns what the system answered.
func (e *TakenError) Unwrap() error { return e.Err }

// Check tries to listen at address (host:port) and lets go of it again; a
// *TakenError when it cannot.
func Check(ctx context.Context, address string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		taken := &TakenError{Address: address, Err: err}
		taken.Holder, taken.PID = holder(address)
		return taken
	}
	return ln.Close()
}

// holder finds the process that listens at address through /proc, on Linux and
// for processes that this user may look at; else "" and 0.
func holder(address string) (string, int) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", 0
	}
	inode := listeningInode(want)
	if inode == "" {
		return "", 0
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "", 0
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == "socket:["+inode+"]" {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			if err != nil {
				return "", 0
			}
			name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			if err != nil {
				return fmt.Sprintf("process %d", pid), pid
			}
			return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name))), pid
		}
	}
	return "", 0
}

// listeningInode gives the inode of the socket that listens at want, or at every
// address with want's port.
func listeningInode(want netip.AddrPort) string {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan() // the heading
	for lines.Scan() {
		// Columns: number, local address, remote address, state (0A is
		// LISTEN), …, inode as the tenth.
		col := strings.Fields(lines.Text())
		if len(col) < 10 || col[3] != "0A" {
			continue
		}
		local, err := parseLocal(col[1])
		if err == nil && local.Port() == want.Port() && (local.Addr() == want.Addr() || local.Addr().IsUnspecified()) {
			return col[9]
		}
	}
	return ""
}

// parseLocal reads 0B00007F:2386, an IPv4 address in host byte order and a port.
func parseLocal(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 {
		return netip.AddrPort{}, fmt.Errorf("not an address: %q", s)
	}
	p, err := strconv.ParseUint(port, 16, 16)
	var a [4]byte
	binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(raw))
	return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(p)), err
}
