package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	docker := t.TempDir()
	write(t, filepath.Join(docker, "config.json"), `{"auths":{},"currentContext":"desk"}`)
	write(t, filepath.Join(docker, "contexts", "meta", fmt.Sprintf("%x", sha256.Sum256([]byte("desk"))), "meta.json"),
		`{"Name":"desk","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///desk.sock","SkipTLSVerify":false}}}`)
	broken := t.TempDir()
	write(t, filepath.Join(broken, "config.json"), `{`)
	h := home{"/c/engine"}
	for name, test := range map[string]struct {
		env  func(string) string
		want string // hosts; an error's words after "!"
	}{
		"nothing set":            {env(), "unix:///c/engine/docker.sock unix:///var/run/docker.sock"},
		"a user's own":           {env("XDG_RUNTIME_DIR", "/run/user/7"), "unix:///c/engine/docker.sock unix:///var/run/docker.sock unix:///run/user/7/docker.sock"},
		"DOCKER_HOST alone":      {env("DOCKER_HOST", "unix:///x", "DOCKER_CONFIG", docker), "unix:///x"},
		"the current context":    {env("DOCKER_CONFIG", docker), "unix:///desk.sock"},
		"the default context":    {env("DOCKER_CONFIG", docker, "DOCKER_CONTEXT", "default"), "unix:///c/engine/docker.sock unix:///var/run/docker.sock"},
		"no such context":        {env("DOCKER_CONFIG", docker, "DOCKER_CONTEXT", "lap"), `!the context "lap"`},
		"settings that are none": {env("DOCKER_CONFIG", broken), "!the settings of Docker's client"},
		"no home":                {env("HOME", filepath.Join(docker, "none")), "unix:///c/engine/docker.sock unix:///var/run/docker.sock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := candidates(test.env, h)
			var hosts []string
			for _, c := range list {
				hosts = append(hosts, c.host)
			}
			got := strings.Join(hosts, " ")
			if err != nil {
				got = "!" + err.Error()
			}
			if !strings.HasPrefix(got, test.want) || err == nil && got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for host, word := range map[string]string{
		"unix://" + dir + "/none.sock": "no Docker answers at unix://" + dir,
		"tcp://192.0.2.7:2375":         "is on another machine",
		"ssh://localhost":              "is on another machine",
		"tcp://%":                      "is no address",
	} {
		e, err := Find(t.Context(), Options{Cache: dir, Getenv: env("DOCKER_HOST", host)})
		var f *fault.Fault
		if e != nil || !errors.As(err, &f) || !strings.Contains(f.What, word) || f.Next == "" {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"tcp://localhost:2375", "tcp://127.0.0.1:2375", "unix:///x"} {
		if err := local(candidate{host: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	deep := filepath.Join(dir, strings.Repeat("deep/", 20))
	if _, err := Find(t.Context(), Options{Cache: deep, Getenv: env()}); err == nil || !strings.Contains(err.Error(), "the kernel takes 107") {
		t.Errorf("a deep folder: %v", err)
	}
}

// shortDir is a folder whose path leaves room for sockets in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// fakeEngine answers at a socket as an engine does, as far as Find asks, until
// the test ends. It gives its address.
func fakeEngine(t *testing.T, socket string) string {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("/v1.41/version", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Version":"20.10.24","ApiVersion":"1.41"}`))
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return "unix://" + socket
}

// The environment of this process names a living engine; what was given to the
// rig, or the absence of anything, decides all the same.
func TestFindTakesTheGivenOne(t *testing.T) {
	dir := shortDir(t)
	living, other := fakeEngine(t, filepath.Join(dir, "living.sock")), fakeEngine(t, filepath.Join(dir, "other.sock"))
	t.Setenv("DOCKER_HOST", living)
	for host, want := range map[string]string{living: living, other: other, "unix://" + dir + "/none.sock": ""} {
		e, err := Find(t.Context(), Options{Cache: dir, Getenv: env("DOCKER_HOST", host)})
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", host, err)
			}
			continue
		}
		e.Close()
		if e.client.DaemonHost() != want || e.Version != "20.10.24" || e.Own {
			t.Errorf("%s: found %s at %s", host, e, e.client.DaemonHost())
		}
	}
	// The own engine does not run: nothing answers at its address.
	h, err := Options{Cache: dir}.home()
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"", "the rig's own engine", fromEnvironment} {
		if e, err := connect(t.Context(), h.host(), origin); err == nil {
			e.Close()
			t.Errorf("as %q another engine was taken for it", origin)
		}
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		taken     []netip.Prefix
		preferred netip.Prefix
		want      string
	}{
		"nothing taken":         {nil, netip.Prefix{}, "172.30.0.0/16"},
		"docker0":               {prefixes("172.17.0.0/16"), netip.Prefix{}, "172.30.0.0/16"},
		"one host in it":        {prefixes("172.30.9.9/32", "172.29.0.0/17"), netip.Prefix{}, "172.28.0.0/16"},
		"all that Docker takes": {prefixes("172.16.0.0/12"), netip.Prefix{}, "10.219.0.0/16"},
		"an office":             {prefixes("172.16.0.0/12", "10.0.0.0/8"), netip.Prefix{}, "192.168.0.0/16"},
		"an office and a home":  {prefixes("172.16.0.0/12", "10.0.0.0/8", "192.168.1.0/24"), netip.Prefix{}, "198.18.0.0/16"},
		"the one before":        {nil, netip.MustParsePrefix("10.203.0.0/16"), "10.203.0.0/16"},
		"the one before, taken": {prefixes("10.203.7.0/24"), netip.MustParsePrefix("10.203.0.0/16"), "172.30.0.0/16"},
		"all":                   {prefixes("0.0.0.0/0"), netip.Prefix{}, ""},
	} {
		got, err := choose(test.taken, test.preferred)
		if test.want == "" && err != nil {
			continue
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
	}
	for _, r := range ranges() {
		if slices.ContainsFunc(insideRanges, r.Overlaps) {
			t.Errorf("%s is a cluster's own", r)
		}
	}
}

// The machine's own routes hold at least its loopback.
func TestTaken(t *testing.T) {
	t.Parallel()
	list, err := taken()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list, netip.MustParsePrefix("127.0.0.0/8").Overlaps) {
		t.Errorf("the loopback is not in %v", list)
	}
}

func TestDaemonJSON(t *testing.T) {
	t.Parallel()
	h := home{t.TempDir()}
	own := netip.MustParsePrefix("172.29.0.0/16")
	for _, wrapper := range []bool{false, true} {
		b, err := h.daemonJSON(own, wrapper)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), `"default-runtime": "rig"`) != wrapper {
			t.Errorf("wrapper %v gives %s", wrapper, b)
		}
		for _, line := range []string{`"iptables": false`, `"ip-masq": false`, `"bridge": "rig-`, `"hosts": [`, `"live-restore": true`} {
			if !strings.Contains(string(b), line) {
				t.Errorf("no %s in %s", line, b)
			}
		}
		write(t, h.settings(), string(b))
		if got := h.former(); got != own {
			t.Errorf("the range reads back as %s", got)
		}
	}
	if n := len(h.bridge()); n > 15 {
		t.Errorf("the interface's name has %d characters", n)
	}
	if n := len(h.chain()); n > 28 {
		t.Errorf("the chain's name has %d characters", n)
	}
	if (home{h.dir + "x"}).tag() == h.tag() {
		t.Error("two folders have one tag")
	}
}

func TestChainRules(t *testing.T) {
	t.Parallel()
	own := netip.MustParsePrefix("172.30.0.0/16")
	const golden = `*filter
:C - [0:0]
-A C -s 172.30.0.0/16 -d 172.30.0.0/16 -j ACCEPT
-A C -i br-+ -s 10.42.0.0/16 -m physdev --physdev-is-bridged -j ACCEPT
-A C -i br-+ -d 10.42.0.0/16 -m physdev --physdev-is-bridged -j ACCEPT
-A C -i br-+ ! -o br-+ -s 10.42.0.0/16 -j REJECT --reject-with icmp-net-prohibited
-A C -i br-+ -s 10.244.0.0/16 -m physdev --physdev-is-bridged -j ACCEPT
-A C -i br-+ -d 10.244.0.0/16 -m physdev --physdev-is-bridged -j ACCEPT
-A C -i br-+ ! -o br-+ -s 10.244.0.0/16 -j REJECT --reject-with icmp-net-prohibited
-A C -s 172.30.0.0/16 -j REJECT --reject-with icmp-net-prohibited
-A C -d 172.30.0.0/16 -j REJECT --reject-with icmp-net-prohibited
-A C -m physdev ! --physdev-is-bridged -j DROP
-I FORWARD 1 -j C
COMMIT
`
	if got := chainRules("C", own, true, true, true); got != golden {
		t.Errorf("got\n%s", got)
	}
	if got := chainRules("C", own, false, true, true); strings.Contains(got, "physdev") || !strings.Contains(got, "-A C -j DROP\n") {
		t.Errorf("without br_netfilter\n%s", got)
	}
	// Beside another engine nothing is rejected but by the own range.
	for line := range strings.Lines(chainRules("C", own, true, false, false)) {
		if (strings.Contains(line, "REJECT") || strings.Contains(line, "DROP")) && !strings.Contains(line, own.String()) {
			t.Errorf("beside another engine: %s", line)
		}
	}
	if got := chainRules6("C", true, false); !strings.Contains(got, "-s fc00::/8 -j REJECT") || strings.Contains(got, "DROP") {
		t.Errorf("IPv6\n%s", got)
	}
	if got := unhook("C", 2); got != "*filter\n-D FORWARD -j C\n-D FORWARD -j C\n-F C\n-X C\nCOMMIT\n" {
		t.Errorf("unhook\n%s", got)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	for saved, want := range map[string]bool{
		"": false,
		"*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\nCOMMIT\n":                         false,
		"*filter\n:FORWARD DROP\nCOMMIT\n":                                          true,
		"*nat\n:DOCKER -\nCOMMIT\n":                                                 true,
		"*filter\n:FORWARD ACCEPT\n-A FORWARD -j ACCEPT\nCOMMIT\n":                  true,
		counters.ReplaceAllString("*filter\n:FORWARD ACCEPT [12:3456]\nCOMMIT", ""): false,
	} {
		if got := inUse(saved); got != want {
			t.Errorf("%q: %v", saved, got)
		}
	}
}

func TestStartTime(t *testing.T) {
	t.Parallel()
	const rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for stat, want := range map[string]struct {
		ticks  uint64
		zombie bool
		ok     bool
	}{
		"12 (dockerd) S" + rest:        {4711, false, true},
		"12 (a ) S 9 (evil)) R" + rest: {4711, false, true},
		"12 (dockerd) Z" + rest:        {4711, true, true},
		"12 (dockerd) S 1 2":           {0, false, false},
		"":                             {0, false, false},
	} {
		ticks, zombie, err := startTime([]byte(stat))
		if (err == nil) != want.ok || ticks != want.ticks || zombie != want.zombie {
			t.Errorf("%q: %d, %v, %v", stat, ticks, zombie, err)
		}
	}
}

// child starts a process that does not end by itself, and ignores a polite word
// when it is stubborn.
func child(t *testing.T, stubborn bool) (process, <-chan error) {
	t.Helper()
	script := "echo up; exec sleep 600"
	if stubborn {
		script = "trap '' TERM; echo up; while :; do sleep 600; done"
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	// The shell becomes sleep a moment after it spoke, and the kernel changes the
	// program first and the arguments, which are empty between, after it.
	for deadline := time.Now().Add(10 * time.Second); ; {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if stubborn || string(line) == "sleep\x00600\x00" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after ten seconds its arguments are %q", line)
		}
	}
	p, err := inspect(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	go func() { over <- cmd.Wait() }()
	return p, over
}

func TestEnd(t *testing.T) {
	t.Parallel()
	for _, stubborn := range []bool{false, true} {
		p, over := child(t, stubborn)
		for what, other := range map[string]process{
			"another start":   {p.PID, p.Start + 1, p.Exe},
			"another program": {p.PID, p.Start, "/usr/sbin/dockerd"},
			"no process":      {0, 0, ""},
		} {
			if other.alive() {
				t.Errorf("%s is taken for it", what)
			}
			if err := other.end(t.Context(), time.Second); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if !p.alive() {
			t.Fatal("it was ended for another")
		}
		if err := p.end(t.Context(), 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := <-over; !errors.As(err, &exit) {
			t.Errorf("it ended with %v", err)
		} else if got := exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; got != stubborn {
			t.Errorf("stubborn %v, and it ended by %v", stubborn, err)
		}
		if p.alive() {
			t.Error("it is alive after its end")
		}
	}
}

func TestFindProcess(t *testing.T) {
	t.Parallel()
	p, _ := child(t, false)
	list, err := find(filepath.Base(p.Exe), "sleep", "600")
	if err != nil || !slices.Contains(list, p) {
		t.Errorf("%v is not in %v, %v", p, list, err)
	}
	if list, err := find("dockerd", "sleep", "600"); err != nil || len(list) != 0 {
		t.Errorf("of another program: %v, %v", list, err)
	}
	if list, err := find(filepath.Base(p.Exe), "600", "sleep"); err != nil || slices.Contains(list, p) {
		t.Errorf("in another order: %v, %v", list, err)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	h := home{t.TempDir()}
	if r, err := h.record(); r != nil || err != nil {
		t.Errorf("before there is one: %v, %v", r, err)
	}
	want := &record{Boot: "b", Dockerd: process{7, 8, "/x"}, Range: "172.30.0.0/16", Before: before{Absent: []string{"/run/docker"}}}
	if err := h.write(want); err != nil {
		t.Fatal(err)
	}
	got, err := h.record()
	if err != nil || got.Dockerd != want.Dockerd || !slices.Equal(got.Before.Absent, want.Before.Absent) {
		t.Errorf("got %+v, %v", got, err)
	}
	if info, err := os.Stat(h.file("engine.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	write(t, h.file("engine.json"), "{")
	if _, err := h.record(); err == nil {
		t.Error("a broken record was read")
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	h := home{filepath.Join(t.TempDir(), "engine")}
	lock, err := h.lock(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	got := make(chan error, 1)
	go func() {
		second, err := h.lock(t.Context(), Options{Say: func(s string) { said <- s }})
		if err == nil {
			err = second.Release()
		}
		got <- err
	}()
	if s := <-said; !strings.Contains(s, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("it said %q", s)
	}
	if err := os.RemoveAll(h.dir); err != nil { // as Clean does
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	held, err := h.lock(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := h.lock(ctx, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for ever: %v", err)
	}
}

func TestLeft(t *testing.T) {
	t.Parallel()
	before := State{Links: {"eth0", "lo"}, Mounts: {"/", "/"}, Rules: {"r"}}
	after := State{Links: {"br-1", "eth0", "lo"}, Mounts: {"/", "/", "/"}, Containers: {"c (1)"}}
	if got, want := after.Left(before), []string{"container c (1)", "interface br-1", "mount /"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := before.Left(before); len(got) != 0 {
		t.Errorf("nothing happened, and left is %q", got)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	s, err := Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(s[Links], "lo") || !slices.Contains(s[Mounts], "/") || len(s[Settings]) == 0 {
		t.Errorf("got %v", s)
	}
	got := State{}
	got.rules("iptables-nft", "*nat\n:DOCKER -\n:OUTPUT ACCEPT\n-A OUTPUT -j DOCKER\nCOMMIT\n")
	if want := []string{"iptables-nft -t nat :DOCKER -", "iptables-nft -t nat -A OUTPUT -j DOCKER"}; !slices.Equal(got[Rules], want) {
		t.Errorf("got %q", got[Rules])
	}
}

func TestParseMounts(t *testing.T) {
	t.Parallel()
	got := parseMounts([]byte("36 35 98:0 / / rw - ext4 /dev/x rw\n37 36 0:1 /a /my\\040disk/b\\134 rw master:1 - tmpfs t rw\nshort\n"))
	if want := []string{"/", `/my disk/b\`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
