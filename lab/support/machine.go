package support

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine writes what of this machine bears on a lab: system, processors, memory,
// limits of a process, and the disks under the directories named. What a system
// does not tell is said to be unknown.
func Machine(directories ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "platform        %s/%s\n", runtime.GOOS, runtime.GOARCH)
	line := func(name, value string) {
		if value == "" {
			value = "unknown"
		}
		fmt.Fprintf(&b, "%-15s %s\n", name, value)
	}
	line("system", field("/etc/os-release", "PRETTY_NAME="))
	line("kernel", head("/proc/version"))
	line("processors", fmt.Sprint(runtime.NumCPU()))
	line("load", head("/proc/loadavg"))
	line("uptime, s", head("/proc/uptime"))
	for _, name := range []string{"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"} {
		line(name, field("/proc/meminfo", name+":"))
	}
	// Of a control group, version 2 or 1; a machine has one or the other, or none.
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/cpu.max",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"} {
		if value := head(path); value != "" {
			line(path, value)
		}
	}
	line("ports", head("/proc/sys/net/ipv4/ip_local_port_range"))
	line("somaxconn", head("/proc/sys/net/core/somaxconn"))

	fmt.Fprintln(&b, "\nlimit           now                  at most")
	for _, l := range []struct {
		name string
		id   int
	}{{"open files", unix.RLIMIT_NOFILE}, {"processes", unix.RLIMIT_NPROC}, {"address space", unix.RLIMIT_AS}, {"locked memory", unix.RLIMIT_MEMLOCK},
		{"file size", unix.RLIMIT_FSIZE}, {"stack", unix.RLIMIT_STACK}, {"core", unix.RLIMIT_CORE}, {"CPU time, s", unix.RLIMIT_CPU}} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.id, &now); err != nil {
			fmt.Fprintf(&b, "%-15s unknown: %v\n", l.name, err)
			continue
		}
		fmt.Fprintf(&b, "%-15s %-20s %s\n", l.name, limit(now.Cur), limit(now.Max))
	}

	fmt.Fprintln(&b)
	for _, dir := range directories {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			fmt.Fprintf(&b, "disk of %s: unknown: %v\n", dir, err)
			continue
		}
		size := int64(s.Bsize)
		fmt.Fprintf(&b, "disk of %s: %d bytes, %d free, %d inodes free of %d, type 0x%x\n", dir, int64(s.Blocks)*size, int64(s.Bavail)*size, s.Ffree, s.Files, s.Type)
	}
	return b.Bytes()
}

func limit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// head is the first line of a small file, "" when it cannot be read.
func head(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}

// field is the rest of the line that begins with a prefix.
func field(path, prefix string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.Trim(strings.TrimSpace(rest), `"`)
		}
	}
	return ""
}

// Process writes how a process fares, as far as the system tells.
func Process(pid int) ([]byte, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(dir + "/fd")
	open := fmt.Sprint(len(files))
	if err != nil {
		open = "unknown: " + err.Error()
	}
	limits, err := os.ReadFile(dir + "/limits")
	if err != nil {
		limits = []byte(err.Error() + "\n")
	}
	return fmt.Appendf(nil, "open files: %s\n\n%s\n%s", open, status, limits), nil
}

// Tail reads the last bytes of a file, at most limit of them, from the beginning of
// a line on: half a line could hold half a secret.
func Tail(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	skip := info.Size() - limit
	if skip <= 0 {
		return io.ReadAll(io.LimitReader(f, limit))
	}
	// The byte before tells whether the first one begins a line.
	text, err := io.ReadAll(io.NewSectionReader(f, skip-1, limit+1))
	if err != nil {
		return nil, err
	}
	_, text, ok := bytes.Cut(text, []byte("\n"))
	if !ok {
		text = nil
	}
	return append(fmt.Appendf(nil, "(the first %d bytes are left out)\n", info.Size()-int64(len(text))), text...), nil
}

// Listing lists the files under a directory with mode, size and time of the last
// change. Of the folders in summed, which may hold any number of files, it tells
// only how many there are and what they take.
func Listing(root string, summed ...string) ([]byte, error) {
	var b bytes.Buffer
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // a lab that lives makes and drops files
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %12d  %s  %s", info.Mode(), info.Size(), info.ModTime().UTC().Format("2006-01-02T15:04:05Z"), filepath.ToSlash(name))
		if parent := filepath.ToSlash(filepath.Dir(name)); d.IsDir() && slices.Contains(summed, parent) {
			files, size := weigh(path)
			fmt.Fprintf(&b, ": %d files, %d bytes\n", files, size)
			return fs.SkipDir
		}
		fmt.Fprintln(&b)
		return nil
	})
	return b.Bytes(), err
}

// weigh counts the files under a directory and their bytes, as far as they can be
// seen.
func weigh(root string) (files int, size int64) {
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				files, size = files+1, size+info.Size()
			}
		}
		return nil
	})
	return files, size
}
