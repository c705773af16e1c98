package engine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIsDebian(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"ID=debian\n": true,
		"NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n":  true,
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n": true,
		"ID=fedora\n":                         false,
		"ID=rocky\nID_LIKE=\"rhel centos\"\n": false,
		"":                                    false,
	} {
		if got := isDebian(release); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

func TestInSet(t *testing.T) {
	t.Parallel()
	status := []byte("Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t000001ffffffffff\n")
	for set, want := range map[string]bool{"CapEff": false, "CapBnd": true} {
		if got, err := inSet(status, set, 24); err != nil || got != want {
			t.Errorf("%s: %v, %v", set, got, err)
		}
	}
	if _, err := inSet(status, "CapPrm", 24); err == nil {
		t.Error("a set that is not there was read")
	}
	if _, err := inSet([]byte("CapEff:\tx\n"), "CapEff", 24); err == nil {
		t.Error("a set that is no number was read")
	}
}

// Whatever the answer is here, the trial leaves the limits as they were.
func TestCapability(t *testing.T) {
	before, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	ok, why, err := Capability()
	if err != nil || ok != (why == "") {
		t.Errorf("%v, %q, %v", ok, why, err)
	}
	if after, err := os.ReadFile("/proc/self/limits"); err != nil || string(after) != string(before) {
		t.Errorf("the limits became\n%s", after)
	}
}

func TestCgroupFinding(t *testing.T) {
	t.Parallel()
	const v2 = "cpuset cpu io memory hugetlb pids rdma misc\n"
	for name, test := range map[string]struct {
		files []string // name=content; a folder ends in a slash
		grade Grade
		word  string
	}{
		"version 1":                 {[]string{"cpu/", "memory/", "pids/", "devices/", "freezer/"}, OK, "version 1"},
		"version 1 without memory":  {[]string{"cpu/", "pids/", "devices/", "freezer/"}, Bad, "memory"},
		"nothing":                   {nil, Bad, "not mounted"},
		"version 2":                 {[]string{"cgroup.controllers=" + v2, "cgroup.subtree_control="}, OK, "version 2"},
		"version 2 without memory":  {[]string{"cgroup.controllers=cpu pids\n"}, Bad, "without the controllers memory"},
		"version 2 in a container":  {[]string{"cgroup.controllers=" + v2, "cgroup.type=domain\n", "cgroup.subtree_control=\n"}, Warn, "does not pass"},
		"version 2, passing all on": {[]string{"cgroup.controllers=" + v2, "cgroup.type=domain\n", "cgroup.subtree_control=" + v2}, OK, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range test.files {
				if folder, ok := strings.CutSuffix(f, "/"); ok {
					if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
						t.Fatal(err)
					}
					continue
				}
				file, content, _ := strings.Cut(f, "=")
				write(t, filepath.Join(dir, file), content)
			}
			if got := cgroupFinding(dir); got.Grade != test.grade || !strings.Contains(got.What, test.word) || (got.Grade == OK) != (got.Next == "") {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	config := parseConfig([]byte("# CONFIG_X is not set\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=\"y\"\n"))
	for f, want := range map[string][2]bool{
		"CONFIG_A": {true, true},
		"CONFIG_B": {false, true}, // a module of a kernel that has none here
		"CONFIG_C": {false, true},
		"CONFIG_X": {false, true},
	} {
		has, known := feature{config: f, module: "no-such-module"}.there(config, "0.0.0-none")
		if has != want[0] || known != want[1] {
			t.Errorf("%s: %v, %v", f, has, known)
		}
	}
	if _, known := (feature{config: "CONFIG_A", module: "no-such-module"}).there(nil, "0.0.0-none"); known {
		t.Error("without any source a feature is known")
	}
	if has, known := (feature{module: "no-such-module", signs: []string{"/proc/self"}}).there(nil, "0.0.0-none"); !has || !known {
		t.Error("a sign was not seen")
	}
}

// The registries' troubles are told apart.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	good := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer good.Close()
	for address, want := range map[string]string{
		closed:     "refuses the connection",
		gone.URL:   "answers with HTTP status 404",
		silent.URL: "did not answer within",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := head(ctx, http.DefaultClient, address)
		cancel()
		if err == nil {
			t.Errorf("%s: no error", want)
			continue
		}
		if what, next := unreachable(err); !strings.HasPrefix(what, want) || next == "" {
			t.Errorf("%v is told as %q, want %q", err, what, want)
		}
	}
	if what, _ := unreachable(&net.DNSError{Name: "x", IsNotFound: true}); what != "is no name known here" {
		t.Errorf("a name that is not there: %q", what)
	}
	if err := head(t.Context(), http.DefaultClient, good.URL); err != nil {
		t.Error(err)
	}
}

func TestMavenMirror(t *testing.T) {
	t.Parallel()
	const form = `<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>%s</mirrors></settings>`
	mirror := func(of, url string) string {
		return fmt.Sprintf("<mirror><id>m</id><mirrorOf>%s</mirrorOf><url>%s</url></mirror>", of, url)
	}
	for inner, want := range map[string]string{
		"":                            "",
		mirror("central", "http://a"): "http://a",
		mirror("*", " http://a "):     "http://a",
		mirror("other", "http://a") + mirror("external:*", "http://b"): "http://b",
		mirror("*,!central", "http://a"):                               "",
	} {
		if got, err := mavenMirror(fmt.Appendf(nil, form, inner)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", inner, got, err, want)
		}
	}
	if _, err := mavenMirror([]byte("<settings>")); err == nil {
		t.Error("broken settings were read")
	}
	home := t.TempDir()
	write(t, filepath.Join(home, ".m2", "settings.xml"), fmt.Sprintf(form, mirror("central", "http://mine")))
	if got, err := mavenCentral(env("HOME", home)); err != nil || got != "http://mine" {
		t.Errorf("the user's mirror: %q, %v", got, err)
	}
}

func TestFirstURI(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"'http://d/dists/x/InRelease' d_InRelease 0 \n'http://e/' e 0\n": "http://d/dists/x/InRelease",
		"":                     "",
		"'file:/x' x 0\n":      "",
		"W: a word of apt's\n": "",
	} {
		if got := firstURI(out); got != want {
			t.Errorf("%q gives %q", out, got)
		}
	}
}

func TestDoctorPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	list := doctorPorts(t.Context(), Options{}, Needs{Ports: []int{port}})
	if len(list) != 1 || list[0].Grade != Bad || list[0].Why != "another program listens there" {
		t.Errorf("a port in use: %v", list)
	}
}

func TestMemoryFinding(t *testing.T) {
	t.Parallel()
	for total, want := range map[uint64]string{
		8<<30 - 500<<20: "ok   memory: 8.0 GB", // sold as 8 GiB
		8e9:             "ok   memory: 8.0 GB",
		8e9 - 1:         "bad  memory: 7.9 GB: the rig needs 8 GB",
		24 << 30:        "ok   memory: 25.7 GB",
	} {
		if got := memoryFinding(total).String(); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s", total, got)
		}
	}
}

func TestDoctorSpace(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet")
	for name, grade := range map[string]Grade{"disk of the cache": Bad, "disk of the engine": Warn} {
		if got := doctorSpace(name, dir, 1); got.Grade != OK {
			t.Errorf("a byte: %v", got)
		}
		got := doctorSpace(name, dir, 4e18)
		if got.Grade != grade || got.Why != "what is still to be made takes 4000000000 GB" || got.Next == "" {
			t.Errorf("more than there is: %v", got)
		}
	}
}

// A folder on an overlay matters only to an engine that is still to be started.
func TestOverlaid(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	living := fakeEngine(t, filepath.Join(dir, "living.sock"))
	for host, want := range map[string]Grade{living: OK, "unix://" + dir + "/none.sock": Bad} {
		got := overlaid(t.Context(), Options{Cache: dir, Getenv: env("DOCKER_HOST", host)})
		if got.Grade != want || (got.Next == "") != (want == OK) {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestRootlessLack(t *testing.T) {
	t.Parallel()
	able := map[string]string{
		"usr/bin/mmdebstrap": "", "usr/bin/newuidmap": "", "usr/bin/newgidmap": "",
		"usr/share/keyrings/debian-archive-keyring.pgp": "",
		"etc/subuid":                        "ann:100000:65536\nbob:165536:65536\n",
		"etc/subgid":                        "ann:100000:65536\nbob:165536:65536\n",
		"proc/sys/user/max_user_namespaces": "96365\n",
	}
	for name, test := range map[string]struct {
		change map[string]string // file to content; "-" removes it
		want   string
	}{
		"able":          {nil, ""},
		"no mmdebstrap": {map[string]string{"usr/bin/mmdebstrap": "-"}, "mmdebstrap"},
		"no keys":       {map[string]string{"usr/share/keyrings/debian-archive-keyring.pgp": "-"}, "debian-archive-keyring"},
		"older keys":    {map[string]string{"usr/share/keyrings/debian-archive-keyring.pgp": "-", "usr/share/keyrings/debian-archive-keyring.gpg": ""}, ""},
		"no uidmap":     {map[string]string{"usr/bin/newuidmap": "-", "usr/bin/newgidmap": "-"}, "newuidmap, newgidmap"},
		"no entry":      {map[string]string{"etc/subuid": "ann:100000:65536\n"}, "an entry in /etc/subuid"},
		"a longer name": {map[string]string{"etc/subgid": "bobby:100000:65536\n"}, "an entry in /etc/subgid"},
		"no files":      {map[string]string{"etc/subuid": "-", "etc/subgid": "-"}, "an entry in /etc/subuid, an entry in /etc/subgid"},
		"no namespaces": {map[string]string{"proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "user namespaces (kernel.unprivileged_userns_clone is 0)"},
		"fakechroot": {map[string]string{"etc/subuid": "-", "usr/bin/newuidmap": "-", "usr/bin/fakechroot": "", "usr/bin/fakeroot": ""},
			""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, files := range []map[string]string{able, test.change} {
				for file, content := range files {
					if content == "-" {
						if err := os.Remove(filepath.Join(root, file)); err != nil {
							t.Fatal(err)
						}
						continue
					}
					write(t, filepath.Join(root, file), content)
				}
			}
			if got := strings.Join(rootlessLack(root, "bob"), ", "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUserFinding(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lack []string
		need Needs
		want Grade
	}{
		{nil, Needs{}, Warn},
		{nil, Needs{Registries: true}, Warn},
		{[]string{"newuidmap"}, Needs{}, Warn}, // every root is there
		{[]string{"newuidmap"}, Needs{Registries: true}, Bad},
	} {
		got := userFinding(1000, test.lack, test.need)
		if got.Grade != test.want || got.Next == "" || got.Grade == Bad && !strings.Contains(got.Why, "newuidmap") {
			t.Errorf("%+v: %v", test, got)
		}
	}
	if name := accountName(0); name != "root" {
		t.Errorf("user 0 is %q", name)
	}
}

func TestInotifyFindings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		instances, watches int
		want               []string
	}{
		{512, 65536, []string{"ok   inotify: the limits are enough: 512 instances, about 40 for a cluster"}},
		{128, 65536, []string{"warn inotify: fs.inotify.max_user_instances is 128: a cluster of a server and two agents takes about 40, so that at most 3 of them run at once"}},
		{39, 65536, []string{"warn inotify: fs.inotify.max_user_instances is 39: a cluster of a server and two agents takes about 40, so that not one of them runs"}},
		{128, 8192, []string{"warn inotify: fs.inotify.max_user_instances is 128", "warn inotify: fs.inotify.max_user_watches is 8192"}},
	} {
		got := inotifyFindings(test.instances, test.watches)
		if len(got) != len(test.want) {
			t.Fatalf("%d, %d: %v", test.instances, test.watches, got)
		}
		for i, f := range got {
			if !strings.HasPrefix(f.String(), test.want[i]) || (f.Grade == OK) != (f.Next == "") {
				t.Errorf("%d, %d: %v", test.instances, test.watches, f)
			}
		}
	}
}

// Doctor answers everywhere, with or without an engine, root, or a network.
func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := Doctor(t.Context(), Options{Cache: dir, Getenv: env("DOCKER_HOST", "unix://"+dir+"/none.sock")}, Needs{})
	seen := map[string]bool{}
	for _, f := range list {
		seen[f.Name] = true
		if f.Grade == Bad && f.Next == "" {
			t.Errorf("no remedy: %v", f)
		}
	}
	for _, name := range []string{"engine", "user", "system", "CAP_SYS_RESOURCE", "cgroup", "memory", "disk of the cache", "kernel", "inotify"} {
		if !seen[name] {
			t.Errorf("nothing is said of %s", name)
		}
	}
	silent := func(f Finding) bool { return f.Name == "engine" && strings.Contains(f.What, "no Docker answers at") }
	if bad := Problems(list, Bad); !slices.ContainsFunc(bad, silent) {
		t.Errorf("an engine that does not answer is no problem: %v", bad)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("looking left %v, %v", entries, err)
	}
}
