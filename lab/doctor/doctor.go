// Package doctor looks at what a lab needs of this machine, and changes nothing. Each
// thing that it finds wrong comes with its remedy. What a provider needs beside that,
// its own room looks at.
package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Grade says how bad a finding is.
type Grade string

// What is Bad keeps a lab from coming up; what is Warn may.
const (
	OK   Grade = "ok"
	Warn Grade = "warn"
	Bad  Grade = "bad"
)

// Finding is one thing that was looked at.
type Finding struct {
	Name  string `json:"name"`
	Grade Grade  `json:"grade"`
	Seen  string `json:"seen"`
	Next  string `json:"next,omitempty"` // the remedy, empty when it is well
}

// Good is a finding with nothing to do about it.
func Good(name, format string, args ...any) Finding {
	return Finding{Name: name, Grade: OK, Seen: fmt.Sprintf(format, args...)}
}

// Failed says that any of some findings is Bad.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Grade == Bad {
			return true
		}
	}
	return false
}

// Needs are what a lab wants of the machine.
type Needs struct {
	Memory  int64 // bytes
	Disk    int64 // bytes, below Dir
	Dir     string
	Inotify int  // instances that root may have: each kubelet and containerd takes some
	Nodes   bool // nodes of Kubernetes run on this machine's kernel
	Maps    int  // memory maps of a process; a JVM's brokers take many
}

// Machine is where the kernel shows itself; "/" but in tests.
type Machine struct{ Root string }

// Look checks the machine against needs.
func (m Machine) Look(n Needs) []Finding {
	var out []Finding
	out = append(out, m.memory(n.Memory), disk(n.Dir, n.Disk))
	if n.Nodes {
		out = append(out,
			m.atLeast("inotify instances", "/proc/sys/fs/inotify/max_user_instances", n.Inotify, "fs.inotify.max_user_instances"),
			m.atLeast("inotify watches", "/proc/sys/fs/inotify/max_user_watches", 65536, "fs.inotify.max_user_watches"),
			m.atLeast("process ids", "/proc/sys/kernel/pid_max", 32768, "kernel.pid_max"),
			m.atLeast("memory maps", "/proc/sys/vm/max_map_count", n.Maps, "vm.max_map_count"),
			m.route())
	}
	return append(out, openFiles())
}

func (m Machine) read(path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(m.Root, path))
	return strings.TrimSpace(string(b)), err
}

func (m Machine) memory(need int64) Finding {
	text, err := m.read("/proc/meminfo")
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			break
		}
		f := Good("memory", "%s are free, a lab of this profile takes about %s", gib(kib<<10), gib(need))
		if kib<<10 < need {
			f.Grade, f.Next = Bad, "end other programs, or take a smaller profile: alertlab up --profile ci"
		}
		return f
	}
	return unknown("memory", err)
}

func unknown(name string, err error) Finding {
	why := "this system does not tell"
	if err != nil {
		why += ": " + err.Error()
	}
	return Finding{Name: name, Grade: Warn, Seen: why}
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// disk looks at the file system of a directory, or of the nearest above that is there.
func disk(dir string, need int64) Finding {
	const name = "disk"
	for {
		var s unix.Statfs_t
		err := unix.Statfs(dir, &s)
		if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return unknown(name, err)
		}
		free := int64(s.Bavail) * int64(s.Bsize)
		f := Good(name, "%s are free at %s, a lab of this profile takes about %s", gib(free), dir, gib(need))
		if free < need {
			f.Grade, f.Next = Bad, "free disk space, or keep labs elsewhere: export ALERTLAB_STATE_DIR=DIRECTORY"
		}
		return f
	}
}

func (m Machine) atLeast(name, path string, need int, key string) Finding {
	text, err := m.read(path)
	if err != nil {
		return unknown(name, err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return unknown(name, err)
	}
	f := Good(name, "%d, a lab of this profile takes about %d", n, need)
	if n < need {
		f.Grade, f.Next = Bad, fmt.Sprintf("sudo sysctl -w %s=%d", key, 4*need)
	}
	return f
}

// route looks for a default route: kubelets do not start without one.
func (m Machine) route() Finding {
	text, err := m.read("/proc/net/route")
	if err != nil {
		return unknown("default route", err)
	}
	for _, line := range strings.Split(text, "\n")[1:] {
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return Good("default route", "by %s", f[0])
		}
	}
	return Finding{"default route", Warn, "there is none: nodes have one of their own, and pods reach nothing outside", "ip route add default via ADDRESS"}
}

func openFiles() Finding {
	const least = 4096
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return unknown("open files", err)
	}
	f := Good("open files", "a process may have %d", l.Max)
	if l.Max < least {
		f.Grade, f.Next = Bad, fmt.Sprintf("ulimit -n %d", 4*least)
	}
	return f
}

// Table is findings for people.
func Table(findings []Finding) string {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Name))
	}
	var b bytes.Buffer
	for _, f := range findings {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", f.Grade, width, f.Name, f.Seen)
		if f.Next != "" {
			fmt.Fprintf(&b, "%-4s  %-*s  next: %s\n", "", width, "", strings.ReplaceAll(f.Next, "\n", "\n"+strings.Repeat(" ", width+14)))
		}
	}
	return b.String()
}
