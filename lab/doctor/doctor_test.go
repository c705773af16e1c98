package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a kernel that shows some files.
func machine(t *testing.T, files map[string]string) Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Machine{Root: root}
}

// Each thing has its grade, and its remedy where it is not well.
func TestLook(t *testing.T) {
	t.Parallel()
	m := machine(t, map[string]string{
		"proc/meminfo":                           "MemTotal: 9 kB\nMemAvailable:    1048576 kB\n",
		"proc/sys/fs/inotify/max_user_instances": "8\n",
		"proc/sys/fs/inotify/max_user_watches":   "70000\n",
		"proc/sys/kernel/pid_max":                "4194304\n",
		"proc/net/route":                         "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t0011AC\t0\t1\t0\t0\t0\tFFFF\n",
	})
	got := map[string]Finding{}
	for _, f := range m.Look(Needs{Memory: 2 << 30, Disk: 1, Dir: filepath.Join(m.Root, "not", "there"), Nodes: true, Inotify: 24, Maps: 65530}) {
		got[f.Name] = f
	}
	for name, want := range map[string]struct {
		grade Grade
		next  string
	}{
		"memory":            {Bad, "alertlab up --profile ci"},
		"disk":              {OK, ""},
		"inotify instances": {Bad, "sudo sysctl -w fs.inotify.max_user_instances=96"},
		"inotify watches":   {OK, ""},
		"process ids":       {OK, ""},
		"memory maps":       {Warn, ""}, // not told
		"default route":     {Warn, "ip route add default"},
	} {
		f, ok := got[name]
		if !ok || f.Grade != want.grade || !strings.Contains(f.Next, want.next) || (want.grade == OK) != (f.Next == "" && f.Grade == OK) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if !Failed([]Finding{got["disk"], got["memory"]}) || Failed([]Finding{got["disk"], got["default route"]}) {
		t.Error("what is bad fails, what may be does not")
	}
	if text := Table([]Finding{got["disk"], got["inotify instances"]}); !strings.Contains(text, "bad   inotify instances  8, a lab") || strings.Count(text, "next: ") != 1 {
		t.Errorf("\n%s", text)
	}
}
