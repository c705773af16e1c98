package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// State is what the machine and an engine have at one moment: by kind, a line in
// words for every thing. It can be kept as JSON.
type State map[string][]string

// The kinds of things in a State, in the order in which Left tells them.
const (
	Containers = "container"
	Networks   = "network"
	Volumes    = "volume"
	Links      = "interface"
	Rules      = "firewall rule"
	Settings   = "kernel setting"
	Mounts     = "mount"
	Processes  = "process"
	Cgroups    = "cgroup"
	Files      = "file"
)

var kinds = []string{Containers, Networks, Volumes, Links, Rules, Settings, Mounts, Processes, Cgroups, Files}

// Snapshot looks at the machine, and at what an engine has; e may be nil. Of the
// processes it sees those of engines and the first of each container; of the files, the
// folders outside of the cache that engines and nodes use. Without root rules are
// not readable and are left out.
func Snapshot(ctx context.Context, e *Engine) (State, error) {
	s := State{}
	if e != nil {
		if err := s.engine(ctx, e); err != nil {
			return nil, fmt.Errorf("what %s has: %w", e, err)
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		s.add(Links, l.Name)
	}
	if os.Geteuid() == 0 {
		for _, t := range tables() {
			saved, err := t.save(ctx)
			if err != nil {
				return nil, err
			}
			s.rules(filepath.Base(t.program), saved)
		}
	}
	for _, name := range append(slices.Clone(sysctls), "net/bridge/bridge-nf-call-iptables") {
		if v, err := readSysctl(name); err == nil {
			s.add(Settings, strings.ReplaceAll(name, "/", ".")+" = "+v)
		}
	}
	points, err := mountPoints()
	if err != nil {
		return nil, err
	}
	for _, p := range points {
		s.add(Mounts, p)
	}
	if err := errors.Join(s.processes(), s.cgroups(), s.files()); err != nil {
		return nil, err
	}
	for _, list := range s {
		slices.Sort(list)
	}
	return s, nil
}

// Left tells what is there and was not before, a line each, e.g. "interface
// br-0123456789ab". A thing of which there were two and are three is told once.
func (s State) Left(before State) []string {
	var left []string
	for _, kind := range kinds {
		had := map[string]int{}
		for _, thing := range before[kind] {
			had[thing]++
		}
		for _, thing := range s[kind] {
			if had[thing]--; had[thing] < 0 {
				left = append(left, kind+" "+thing)
			}
		}
	}
	return left
}

func (s State) add(kind, thing string) { s[kind] = append(s[kind], thing) }

func (s State) engine(ctx context.Context, e *Engine) error {
	all, err := e.client.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, c := range all {
		s.add(Containers, fmt.Sprintf("%s (%.12s)", strings.TrimPrefix(strings.Join(c.Names, " "), "/"), c.ID))
	}
	networks, err := e.client.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range networks {
		s.add(Networks, fmt.Sprintf("%s (%.12s)", n.Name, n.ID))
	}
	volumes, err := e.client.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Volumes {
		s.add(Volumes, v.Name)
	}
	return nil
}

// rules takes rules, chains of someone's and policies other than ACCEPT, which
// is what a table has that nobody ever used.
func (s State) rules(program, saved string) {
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, "-"), strings.HasPrefix(line, ":") && !strings.HasSuffix(line, " ACCEPT"):
			s.add(Rules, program+" -t "+table+" "+line)
		}
	}
}

// daemons are the programs of engines that run outside of containers.
var daemons = []string{"dockerd", "docker-proxy", "containerd", "containerd-shim-runc-v2", "runc"}

func (s State) processes() error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := inspect(pid)
		if err != nil {
			continue // gone, a thread of the kernel, or another user's
		}
		ns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid"))
		if err != nil {
			continue
		}
		if ns == own && slices.Contains(daemons, filepath.Base(p.Exe)) || ns != own && first(pid) {
			s.add(Processes, fmt.Sprintf("%d (%s)", pid, p.Exe))
		}
	}
	return nil
}

// first says whether a process is number 1 of a container: those after it come
// and go, and end with it. Containers in containers are the outer one's.
func first(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(numbers)
			return len(f) == 2 && f[1] == "1"
		}
	}
	return false
}

// cgroups lists those that engines make at the top of a hierarchy, and what is
// in them.
func (s State) cgroups() error {
	var roots []string
	for _, name := range []string{"docker", "alertlab-rig-*", "kubepods", "kubelet", "k8s.io"} {
		for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				return err
			}
			roots = append(roots, found...)
		}
	}
	for _, root := range roots {
		s.add(Cgroups, root)
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				s.add(Cgroups, filepath.Join(root, e.Name()))
			}
		}
	}
	return nil
}

func (s State) files() error {
	places := append(slices.Clone(outside), "/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cni",
		"/var/lib/rancher", "/etc/cni", "/etc/rancher", "/opt/cni", "/opt/containerd", policy)
	for _, path := range places {
		if _, err := os.Lstat(path); err == nil {
			s.add(Files, path)
		}
	}
	sockets, err := filepath.Glob("/run/containerd/s/*")
	for _, path := range sockets {
		s.add(Files, path)
	}
	return err
}
