// Command runc stands in front of the real runc where CAP_SYS_RESOURCE is
// missing: it edits what a container asks for (package hack/rig/runc) and
// becomes runc. It is the engine's runtime and, inside a node, containerd's
// BinaryName.
//
// The real one is named by the environment variable ALERTLAB_RIG_RUNC, else by
// the first line of the file runc.path beside the program, else it is the first
// of /usr/sbin/runc, /usr/bin/runc and /usr/local/bin/runc that is not this
// program.
//
// As `runc rig-privileged`, the first process of an otherwise empty container,
// it says by its exit code whether the container may do what a node has to do.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/hack/rig/runc"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "rig-privileged" {
		os.Exit(privileged())
	}
	call, err := runc.Read(os.Args[1:])
	if err == nil {
		err = call.Apply()
	}
	if err != nil {
		fail(call, fmt.Errorf("the edit for a machine without %s failed, so that runc was not started: %w", runc.Denied, err))
	}
	path, err := find()
	if err == nil {
		err = syscall.Exec(path, append([]string{"runc"}, os.Args[1:]...), os.Environ())
		err = fmt.Errorf("%s: %w", path, err)
	}
	fail(call, err)
}

// fail says the error where runc's caller looks for one: on standard error and
// in the log that it named. It returns the exit code that runc has for its own.
func fail(call runc.Call, cause error) {
	fmt.Fprintln(os.Stderr, "runc in front of runc:", cause)
	if call.Log != "" {
		if f, err := os.OpenFile(call.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err == nil {
			entry := map[string]string{"level": "error", "msg": cause.Error(), "time": time.Now().UTC().Format(time.RFC3339)}
			if line, err := json.Marshal(entry); err == nil && call.LogFormat == "json" {
				fmt.Fprintf(f, "%s\n", line)
			} else {
				fmt.Fprintf(f, "time=%q level=error msg=%q\n", entry["time"], entry["msg"])
			}
			f.Close()
		}
	}
	os.Exit(1)
}

func find() (string, error) {
	if path := os.Getenv("ALERTLAB_RIG_RUNC"); path != "" {
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	named := filepath.Join(filepath.Dir(self), "runc.path")
	if b, err := os.ReadFile(named); err == nil {
		line, _, _ := strings.Cut(string(b), "\n")
		if line = strings.TrimSpace(line); line == "" {
			return "", fmt.Errorf("%s names no program", named)
		}
		return line, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	own, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	places := []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/bin/runc"}
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && !os.SameFile(info, own) {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no runc at %s; ALERTLAB_RIG_RUNC or %s can name one", strings.Join(places, ", "), named)
}

// privileged tries what a node does first and what an unprivileged container may
// not: mount, and write to the kernel's settings of its network. Its exit codes
// are read by package hack/rig/engine.
func privileged() int {
	if err := syscall.Mount("none", "/", "tmpfs", 0, "size=64k"); err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		return 11
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		return 12
	}
	return 0
}
