package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capability says whether this process, and so a container that it starts, may
// use CAP_SYS_RESOURCE: err nil and true, or false with the reason in words. The
// kernel is asked and then tried, because a security module may deny what the
// sets promise. Limits that are changed for the trial are put back.
func Capability() (ok bool, why string, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, "", err
	}
	for _, set := range []string{"CapBnd", "CapEff"} {
		has, err := inSet(status, set, unix.CAP_SYS_RESOURCE)
		if err != nil {
			return false, "", err
		}
		if !has {
			return false, "it is not in " + set + " of /proc/self/status", nil
		}
	}
	if err := raiseLimit(); errors.Is(err, unix.EPERM) {
		return false, "the sets have it, but raising a limit of open files is denied", nil
	} else if err != nil {
		return false, "", err
	}
	if err := lowerScore(); errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return false, "the sets have it, but lowering oom_score_adj is denied", nil
	} else if err != nil {
		return false, "", err
	}
	return true, "", nil
}

// inSet reads one capability out of a set of /proc/PID/status.
func inSet(status []byte, set string, capability uint) (bool, error) {
	for line := range bytes.Lines(status) {
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || name != set {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return false, fmt.Errorf("%s in /proc/self/status: %w", set, err)
		}
		return mask&(1<<capability) != 0, nil
	}
	return false, errors.New("/proc/self/status has no " + set)
}

func raiseLimit() error {
	// One of them is usually finite.
	for _, resource := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_MEMLOCK, unix.RLIMIT_NPROC} {
		var old unix.Rlimit
		if err := unix.Prlimit(0, resource, nil, &old); err != nil {
			return err
		}
		if old.Max == unix.RLIM_INFINITY {
			continue
		}
		raised := unix.Rlimit{Cur: old.Cur, Max: old.Max + 1}
		err := unix.Prlimit(0, resource, &raised, nil)
		if err == nil {
			return unix.Prlimit(0, resource, &old, nil)
		}
		if resource == unix.RLIMIT_NOFILE && old.Max >= openFilesCeiling() {
			continue // beyond fs.nr_open nobody may go
		}
		return err
	}
	return nil // nothing is limited: there is nothing to raise
}

func openFilesCeiling() uint64 {
	b, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func lowerScore() error {
	const path = "/proc/self/oom_score_adj"
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	if n <= -1000 { // the kernel's lowest
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(n-1)), 0); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0)
}
