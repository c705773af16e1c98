package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/alertlab/alertlab/hack/rig/node/machine"
)

// inotifyShort says why the kernel has too few inotify instances for so many
// nodes; "" when it has enough, or when that cannot be known here. proc is where
// the proc file system is.
func inotifyShort(proc string, uid, servers, agents int) string {
	limit, used, err := inotifyUse(proc, uid)
	need := servers*machine.ServerWatchers + agents*machine.AgentWatchers
	if err != nil || used+need <= limit {
		return ""
	}
	return fmt.Sprintf("the kernel gives one user %d inotify instances, %d are in use, and the nodes need about %d more", limit, used, need)
}

// inotifyUse counts the inotify instances of the processes of a user, those in
// containers as well.
func inotifyUse(proc string, uid int) (limit, used int, err error) {
	b, err := os.ReadFile(filepath.Join(proc, "sys/fs/inotify/max_user_instances"))
	if err != nil {
		return 0, 0, err
	}
	if limit, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return 0, 0, err
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		info, err := os.Stat(filepath.Join(proc, e.Name()))
		if err != nil {
			continue // it has ended
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != uid {
			continue
		}
		fds, err := os.ReadDir(filepath.Join(proc, e.Name(), "fd"))
		if errors.Is(err, os.ErrPermission) {
			return 0, 0, err
		}
		for _, fd := range fds {
			if to, err := os.Readlink(filepath.Join(proc, e.Name(), "fd", fd.Name())); err == nil && to == "anon_inode:inotify" {
				used++
			}
		}
	}
	return limit, used, nil
}
