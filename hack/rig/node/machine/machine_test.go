package machine

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMayRaiseLimits(t *testing.T) {
	for _, c := range []struct {
		status string
		may    bool
		bad    bool
	}{
		{"CapEff:\t0\nCapBnd:\t000001ffffffffff\n", true, false},
		{"CapBnd:\t000001fffeffffff\n", false, false},
		{"CapBnd:\tzz\n", false, true},
		{"Name:\tnode\n", false, true},
	} {
		may, err := MayRaiseLimits(c.status)
		if may != c.may || (err != nil) != c.bad {
			t.Errorf("%q: %v %v", c.status, may, err)
		}
	}
}

func TestContainerd(t *testing.T) {
	with, without := Containerd("registry.k8s.io/pause:3.10.1", true), Containerd("registry.k8s.io/pause:3.10.1", false)
	for text, wants := range map[string][]string{
		with:    {`BinaryName = "/usr/sbin/runc"`, "restrict_oom_score_adj = false", `sandbox_image = "registry.k8s.io/pause:3.10.1"`},
		without: {`BinaryName = "/rig/bin/runc"`, "restrict_oom_score_adj = true"},
	} {
		for _, w := range wants {
			if !strings.Contains(text, w+"\n") {
				t.Errorf("no %q in\n%s", w, text)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "etc", "config.toml")
	if err := WriteContainerd(file, with); err != nil || read(t, file) != with {
		t.Fatal(err)
	}
	patched := with + "# kind's user wants this\n"
	write(t, file, patched)
	if err := WriteContainerd(file, with); err != nil || read(t, file) != patched {
		t.Errorf("a patch is gone: %v", err)
	}
	write(t, file, "version = 2 # Debian's\n")
	if err := WriteContainerd(file, with); err != nil || read(t, file) != with {
		t.Errorf("Debian's file stayed: %v", err)
	}
}

func TestWriteID(t *testing.T) {
	file := filepath.Join(t.TempDir(), "machine-id")
	if err := WriteID(file); err != nil {
		t.Fatal(err)
	}
	first := read(t, file)
	if !regexp.MustCompile(`^[0-9a-f]{32}\n$`).MatchString(first) {
		t.Errorf("%q", first)
	}
	if err := WriteID(file); err != nil || read(t, file) != first {
		t.Errorf("a second start changed it: %v", err)
	}
}

func TestReadyCgroups(t *testing.T) {
	root := t.TempDir()
	if v, err := ReadyCgroups(root); v != 1 || err != nil {
		t.Errorf("version 1: %d %v", v, err)
	}
	write(t, filepath.Join(root, "cgroup.controllers"), "cpuset cpu memory\n")
	write(t, filepath.Join(root, "cgroup.procs"), "1\n17\n")
	if v, err := ReadyCgroups(root); v != 2 || err != nil {
		t.Fatalf("version 2: %d %v", v, err)
	}
	// Plain files keep the last of several writes: the kernel takes each.
	if got := read(t, filepath.Join(root, "init", "cgroup.procs")); got != "17" {
		t.Errorf("moved %q", got)
	}
	if got := read(t, filepath.Join(root, "cgroup.subtree_control")); got != "+memory" {
		t.Errorf("handed down %q", got)
	}
}

func TestPick(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "names.txt"), "# made by images\nregistry.k8s.io/pause-amd64:1\n\n registry.k8s.io/pause:3.10.1 \nrig.local/net@sha256:00\n")
	names, err := Images{dir}.Names()
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]string{
		"registry.k8s.io/pause": "registry.k8s.io/pause:3.10.1",
		"rig.local/net":         "rig.local/net@sha256:00",
		"rig.local/ne":          "",
		"coredns":               "",
	} {
		if got, ok := Pick(names, repository); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v", repository, got, ok)
		}
	}
	if _, err := (Images{filepath.Join(dir, "none")}).Names(); err == nil {
		t.Error("a missing list is no error")
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	write(t, filepath.Join(dir, "bin", "ctr"), "#!/bin/sh\necho \"$@\" >> "+calls+"\ncase $* in *bad*) echo no space >&2; exit 1;; esac\necho unpacking\n")
	if err := os.Chmod(filepath.Join(dir, "bin", "ctr"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	mark := filepath.Join(dir, "mark")
	var log bytes.Buffer
	if _, err := (Images{"/bad"}).Import(context.Background(), false, mark, &log); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("a failure: %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("a failed import is marked as done")
	}
	if took, err := (Images{"/rig"}).Import(context.Background(), true, mark, &log); err != nil || took <= 0 {
		t.Fatalf("%v %v", took, err)
	}
	text := read(t, calls)
	for _, a := range []string{"/rig/common.tar", "/rig/server.tar"} {
		if strings.Count(text, a) != 1 {
			t.Errorf("%s in %q", a, text)
		}
	}
	if took, err := (Images{"/rig"}).Import(context.Background(), true, mark, &log); err != nil || took != 0 || read(t, calls) != text {
		t.Errorf("imported twice: %v %v", took, err)
	}
	if !strings.Contains(log.String(), "unpacking") {
		t.Errorf("log %q", log.String())
	}
}

func TestReplace(t *testing.T) {
	old, now := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.7")
	for in, want := range map[string]string{
		"10.0.0.1":                       "10.0.0.7",
		"https://10.0.0.1:6443":          "https://10.0.0.7:6443",
		"--a=10.0.0.1,10.0.0.1 10.0.0.1": "--a=10.0.0.7,10.0.0.7 10.0.0.7",
		"10.0.0.10 110.0.0.1 10.0.0.1.2": "10.0.0.10 110.0.0.1 10.0.0.1.2",
		"1.10.0.0.1":                     "1.10.0.0.1",
		"at 10.0.0.1. And":               "at 10.0.0.7. And",
		"10x0.0.1":                       "10x0.0.1",
		"":                               "",
	} {
		if got := Replace(in, old, now); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Replace("10.0.0.1", old, old); got != "10.0.0.1" {
		t.Errorf("to itself: %q", got)
	}
}

func TestReaddress(t *testing.T) {
	dir := t.TempDir()
	record := filepath.Join(dir, "r", "address")
	first, second := netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("172.18.0.3")
	if _, moved, err := Moved(record, first); moved || err != nil {
		t.Fatalf("first start: %v %v", moved, err)
	}
	if err := Record(record, first); err != nil {
		t.Fatal(err)
	}
	if _, moved, err := Moved(record, first); moved || err != nil {
		t.Fatalf("same address: %v %v", moved, err)
	}
	old, moved, err := Moved(record, second)
	if !moved || old != first || err != nil {
		t.Fatalf("%v %v %v", old, moved, err)
	}
	named, other := filepath.Join(dir, "kubelet.conf"), filepath.Join(dir, "admin.conf")
	write(t, named, "server: https://172.18.0.2:6443\n")
	write(t, other, "server: https://172.18.0.20:6443\n")
	if err := os.Chmod(named, 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := Readdress([]string{filepath.Join(dir, "*.conf"), filepath.Join(dir, "none")}, first, second)
	if err != nil || !slices.Equal(changed, []string{named}) || read(t, named) != "server: https://172.18.0.3:6443\n" {
		t.Errorf("%q %v %q", changed, err, read(t, named))
	}
	if info, err := os.Stat(named); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	write(t, record, "nonsense")
	if _, _, err := Moved(record, first); err == nil {
		t.Error("a broken record is no error")
	}
}

func FuzzReplace(f *testing.F) {
	f.Add("https://10.0.0.1:6443 10.0.0.1.1 10.0.0.11")
	old, now := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.7")
	f.Fuzz(func(t *testing.T, text string) {
		once := Replace(text, old, now)
		if len(once) != len(text) {
			t.Errorf("%q became %q", text, once)
		}
		if again := Replace(once, old, now); again != once {
			t.Errorf("%q is not done after one call: %q", once, again)
		}
	})
}

func TestWatchers(t *testing.T) {
	left, open := 3, 0
	get := func() (int, error) {
		if open == left {
			return -1, errors.New("too many open files")
		}
		open++
		return open, nil
	}
	put := func(int) error { open--; return nil }
	if err := watchers(3, get, put); err != nil || open != 0 {
		t.Errorf("%v, %d left open", err, open)
	}
	if err := watchers(4, get, put); err == nil || !strings.Contains(err.Error(), "only 3 of 4") || open != 0 {
		t.Errorf("%v, %d left open", err, open)
	}
}
