package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// Stop ends the rig's own engine and everything that runs in it, also one that
// was killed or that a reboot ended, and puts back what the machine had before.
// Images and stopped containers stay on disk for the next Start. Without such an
// engine it does nothing; other engines are never touched.
func Stop(ctx context.Context, o Options) error { return end(ctx, o, false) }

// Clean is Stop, and removes the engine's folder with its images.
func Clean(ctx context.Context, o Options) error { return end(ctx, o, true) }

func end(ctx context.Context, o Options, clean bool) error {
	h, err := o.home()
	if err != nil {
		return err
	}
	if _, err := os.Stat(h.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := h.lock(ctx, o)
	if err != nil {
		return err
	}
	defer lock.Release()
	r, err := h.record()
	if err != nil {
		o.say("%v: what the machine had before the engine is not known any more", err)
	}
	if err := h.stop(ctx, o, r); err != nil {
		return err
	}
	if clean {
		// The lock is on a file in there: whoever waits for it finds it gone, and
		// begins again.
		return os.RemoveAll(h.dir)
	}
	return nil
}

// stop does every step even when one before it failed: less is left then.
func (h home) stop(ctx context.Context, o Options, r *record) error {
	if os.Geteuid() != 0 {
		if r == nil {
			return nil
		}
		return fmt.Errorf("the engine in %s is root's: stop it as root", h.dir)
	}
	began := time.Now()
	boot, err := bootID()
	if err != nil {
		return err
	}
	rebooted := r != nil && r.Boot != boot
	own := h.former()
	if r != nil {
		if p, err := netip.ParsePrefix(r.Range); err == nil {
			own = p
		}
	}
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	ran := false
	daemons := func(name, flag, file string) {
		list, err := find(name, flag, file)
		keep(err)
		for _, p := range list {
			if !ran && name == "dockerd" {
				killContainers(ctx, h)
			}
			ran = true
			keep(p.end(ctx, 15*time.Second))
		}
	}
	daemons("dockerd", "--config-file", h.settings())
	daemons("containerd", "--config", h.containerdSettings())
	sockets := h.shimSockets()
	killed, err := h.killLeft(ctx)
	keep(err)
	mounts, err := h.unmount()
	keep(err)
	keep(h.removeCgroups(ctx))
	if own.IsValid() {
		names, err := bridges(own)
		keep(err)
		if r == nil || rebooted {
			// A bridge of another name is none of an engine that cannot have
			// run since the machine started.
			names = slices.DeleteFunc(names, func(name string) bool { return name != h.bridge() })
		}
		for _, name := range names {
			keep(removeBridge(name))
		}
		if len(names) > 0 {
			o.say("removed the engine's interfaces %s", strings.Join(names, ", "))
		}
	}
	from, err := takeOut(ctx, h.chain())
	keep(err)
	for _, path := range sockets {
		keep(ignoreAbsent(os.Remove(path)))
	}
	for _, name := range []string{"exec", "docker.sock", "docker.pid"} {
		keep(os.RemoveAll(h.file(name)))
	}
	if r != nil {
		others, err := otherEngines()
		keep(err)
		// One that ran before did so with the settings that there were; a new one
		// found them as they are.
		fresh := slices.DeleteFunc(slices.Clone(others), func(p process) bool { return slices.Contains(r.Before.Engines, p) })
		if !rebooted {
			keep(restore(o, r.Before, fresh))
		}
		if len(others) == 0 {
			for _, path := range r.Before.Absent {
				// Folders are removed only when they are empty.
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
					keep(err)
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the record stays: the next attempt needs it
	}
	if err := ignoreAbsent(os.Remove(h.file("engine.json"))); err != nil {
		return err
	}
	switch {
	case ran:
		o.say("stopped the engine in %s and removed its chain (%s) in %.1f s", h.dir, strings.Join(from, ", "), time.Since(began).Seconds())
	case killed+mounts+len(from) > 0 || r != nil:
		o.say("removed what an engine in %s left: %d processes, %d mounts, chains in %d tables", h.dir, killed, mounts, len(from))
	}
	return nil
}

// killContainers spares dockerd its polite wait for every container.
func killContainers(ctx context.Context, h home) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	e, err := connect(ctx, h.host(), "")
	if err != nil {
		return // then dockerd, or killLeft, ends them
	}
	defer e.Close()
	list, err := e.client.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	for _, c := range list {
		wg.Go(func() { _ = e.client.ContainerKill(ctx, c.ID, "KILL") })
	}
	wg.Wait()
}

// shimSockets are the sockets of the engine's shims, which containerd keeps
// outside of its folder and lists in it.
func (h home) shimSockets() []string {
	files, err := filepath.Glob(h.file("exec/containerd/io.containerd.runtime.v2.task/*/*/address"))
	if err != nil {
		return nil // of the pattern, which is right
	}
	var list []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		path := strings.TrimPrefix(strings.TrimSpace(string(b)), "unix://")
		if err == nil && filepath.Dir(path) == "/run/containerd/s" {
			list = append(list, path)
		}
	}
	return list
}

// cgroups lists the engine's cgroup in every hierarchy there is.
func (h home) cgroups() ([]string, error) {
	var list []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + h.cgroup(), "/sys/fs/cgroup/*/" + h.cgroup()} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// killLeft ends the shims and what is in the engine's cgroup, and waits until
// they are gone.
func (h home) killLeft(ctx context.Context) (killed int, err error) {
	shims, err := find("containerd-shim-runc-v2", "-address", h.containerd())
	if err != nil {
		return 0, err
	}
	roots, err := h.cgroups()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, fmt.Errorf("processes in the cgroup %s do not end", h.cgroup()))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond) // the kernel tells nobody when a cgroup is empty
	defer tick.Stop()
	for {
		left := 0
		for _, root := range roots {
			pids, err := members(root)
			if err != nil {
				return killed, err
			}
			for _, pid := range pids {
				if unix.Kill(pid, unix.SIGKILL) == nil {
					left++
				}
			}
		}
		killed = max(killed, left)
		if left == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return killed, context.Cause(ctx)
		case <-tick.C:
		}
	}
	// Shims come last: one that is alone ends by itself, or does not.
	for _, s := range shims {
		if s.alive() {
			killed++
			if err := s.end(ctx, 0); err != nil {
				return killed, err
			}
		}
	}
	return killed, nil
}

// members lists the processes in a cgroup and those below it, and thaws what is
// frozen, since a frozen process does not die.
func members(root string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.IsDir() {
			return err
		}
		for name, thawed := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
			if f, err := os.OpenFile(filepath.Join(path, name), os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteString(thawed) // if it fails, the processes stay and the deadline says so
				f.Close()
			}
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		for _, word := range bytes.Fields(b) {
			if pid, err := strconv.Atoi(string(word)); err == nil && pid > 0 && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
		return err
	})
	slices.Sort(pids)
	return slices.Compact(pids), err
}

// removeCgroups removes the engine's cgroups, innermost first. A process that
// was just killed can hold one for a moment longer.
func (h home) removeCgroups(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		roots, err := h.cgroups()
		if err != nil || len(roots) == 0 {
			return err
		}
		var failed error
		for _, root := range roots {
			var dirs []string
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return ignoreAbsent(err)
			})
			failed = errors.Join(failed, err)
			for _, dir := range slices.Backward(dirs) {
				failed = errors.Join(failed, ignoreAbsent(unix.Rmdir(dir)))
			}
		}
		if failed == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the engine's cgroups: %w", failed)
		case <-tick.C:
		}
	}
}

// unmount takes away what is mounted below the engine's folder, the last first.
func (h home) unmount() (n int, err error) {
	for range 10 { // a mount can lie over another
		points, err := mountPoints()
		if err != nil {
			return n, err
		}
		points = slices.DeleteFunc(points, func(p string) bool { return !strings.HasPrefix(p, h.dir+"/") })
		if len(points) == 0 {
			return n, nil
		}
		for _, p := range slices.Backward(points) {
			if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
				return n, fmt.Errorf("unmounting %s: %w", p, err)
			}
			n++
		}
	}
	return n, fmt.Errorf("what is mounted below %s comes back", h.dir)
}

func mountPoints() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(b), nil
}

// parseMounts gives the mount points of a mountinfo (proc_pid_mountinfo(5)), the
// fifth field, in which blanks are octal.
func parseMounts(info []byte) []string {
	var list []string
	for line := range bytes.Lines(info) {
		if f := bytes.Fields(line); len(f) > 4 {
			list = append(list, octal.Replace(string(f[4])))
		}
	}
	return list
}

var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// restore puts the kernel's settings back, unless an engine has started since that
// may count on them.
func restore(o Options, was before, fresh []process) error {
	var errs []error
	for _, name := range sysctls {
		before, known := was.Sysctls[name]
		now, err := readSysctl(name)
		if !known || err != nil || now == before {
			continue
		}
		dotted := strings.ReplaceAll(name, "/", ".")
		if len(fresh) > 0 {
			o.say("left %s at %s (it was %s): %s (process %d), which started since, may need it", dotted, now, before, fresh[0].Exe, fresh[0].PID)
			continue
		}
		o.say("set %s back from %s to %s", dotted, now, before)
		errs = append(errs, writeSysctl(name, before))
	}
	return errors.Join(errs...)
}

// otherEngines lists the programs of other engines that run in the network of
// this process. It is asked before the own engine starts and after it ended.
func otherEngines() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	var list []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := inspect(pid)
		if err != nil {
			continue // gone, or a thread of the kernel
		}
		switch filepath.Base(p.Exe) {
		case "dockerd", "containerd", "crio", "k3s", "kubelet", "libvirtd", "incusd", "lxd":
			if ns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net")); err == nil && ns == network {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
