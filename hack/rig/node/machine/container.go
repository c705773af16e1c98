package machine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MakeShared lets mounts made inside pods' volumes be seen by the node and by
// other pods (mount --make-rshared /).
func MakeShared() error {
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("the root mount cannot be shared: %w", err)
	}
	return nil
}

// MountRun puts an empty tmpfs at /run unless one is there: sockets and pods'
// namespaces of the life before must not be found after a restart.
func MountRun() error {
	var s unix.Statfs_t
	if err := unix.Statfs("/run", &s); err != nil {
		return err
	}
	if s.Type == unix.TMPFS_MAGIC {
		return nil
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run cannot be made a tmpfs: %w", err)
	}
	return nil
}

// WriteID gives the node an identity of its own, once: containers of one image
// would otherwise share it.
func WriteID(file string) error {
	if old, err := os.ReadFile(file); err == nil && len(bytes.TrimSpace(old)) == 32 {
		return nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(hex.EncodeToString(id[:])+"\n"), 0o444)
}

// Address gives the node's IPv4 address and the networks that it is attached
// to, from its interfaces ethN in ascending order.
func Address() (netip.Addr, []netip.Prefix, error) {
	all, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, nil, err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	var first netip.Addr
	var attached []netip.Prefix
	for _, i := range all {
		if !strings.HasPrefix(i.Name, "eth") {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return netip.Addr{}, nil, err
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			attached = append(attached, p.Masked())
			if !first.IsValid() && p.Addr().Is4() {
				first = p.Addr()
			}
		}
	}
	if !first.IsValid() {
		return netip.Addr{}, nil, errors.New("no interface ethN has an IPv4 address: is the node in a network of the engine?")
	}
	return first, attached, nil
}

// capSysResource is the number of CAP_SYS_RESOURCE in linux/capability.h.
const capSysResource = 24

// MayRaiseLimits tells from the text of /proc/self/status whether processes of
// this container can have CAP_SYS_RESOURCE: without it runc can neither raise
// limits nor lower OOM scores.
func MayRaiseLimits(status string) (bool, error) {
	for _, line := range strings.Split(status, "\n") {
		if hexa, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hexa), 16, 64)
			if err != nil {
				return false, fmt.Errorf("CapBnd of /proc/self/status: %w", err)
			}
			return set&(1<<capSysResource) != 0, nil
		}
	}
	return false, errors.New("/proc/self/status has no line CapBnd")
}

// ReadyCgroups prepares control groups of version 2 (root is /sys/fs/cgroup):
// processes move from the container's own group to a leaf, because a group
// that holds processes cannot hand controllers to groups below it. With
// version 1 there is nothing to do. It returns the version.
func ReadyCgroups(root string) (version int, err error) {
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	leaf := filepath.Join(root, "init")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return 2, err
	}
	procs, err := os.ReadFile(filepath.Join(root, "cgroup.procs"))
	if err != nil {
		return 2, err
	}
	for _, pid := range strings.Fields(string(procs)) {
		err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(pid), 0o644)
		if err != nil && !errors.Is(err, unix.ESRCH) { // it ended meanwhile
			return 2, fmt.Errorf("process %s cannot be moved to %s: %w", pid, leaf, err)
		}
	}
	for _, c := range strings.Fields(string(controllers)) {
		err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+c), 0o644)
		if err != nil {
			return 2, fmt.Errorf("the controller %s cannot be handed to pods: %w", c, err)
		}
	}
	return 2, nil
}

// What a node takes of the kernel's inotify instances, of which one user has
// fs.inotify.max_user_instances (128 where nobody raised it): counted in running
// clusters of Kubernetes 1.35. A kubelet that gets none ends, again and again.
const (
	ServerWatchers = 22  // kubelet and controller-manager 7 each, API server 6, containerd, kube-proxy
	AgentWatchers  = 9   // kubelet 7, containerd, kube-proxy
	ManyWatchers   = 512 // a dozen clusters of a server and two agents
)

// Watchers tells whether the machine has n more inotify instances to give.
// Their number is bounded for all of a user's processes together
// (fs.inotify.max_user_instances, 128 by default), containers included.
func Watchers(n int) error {
	return watchers(n, func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC) }, unix.Close)
}

func watchers(n int, open func() (int, error), shut func(int) error) error {
	for i := range n {
		fd, err := open()
		if err != nil {
			return fmt.Errorf("only %d of %d inotify instances can be had: %w", i, n, err)
		}
		defer shut(fd) // all of them at the end: they must be open side by side
	}
	return nil
}
