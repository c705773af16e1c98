package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sys/unix"
)

// The variable under which the tests with a dockerd of their own run: they need
// root and take half a minute. The rig's end-to-end test sets it.
const withEngine = "ALERTLAB_RIG_ENGINE"

func needEngine(t *testing.T) Options {
	t.Helper()
	if os.Getenv(withEngine) != "1" {
		t.Skipf("%s=1 is not set: it starts a dockerd of its own, as root", withEngine)
	}
	if os.Geteuid() != 0 {
		t.Fatalf("%s is set, and this is not root", withEngine)
	}
	dir, err := os.MkdirTemp("", "rig") // short: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "runc")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "github.com/alertlab/alertlab/hack/rig/programs/runc")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return Options{Cache: filepath.Join(dir, "c"), Getenv: env(), Say: func(line string) { t.Log(line) },
		Program: func(context.Context) (string, error) { return program, nil }}
}

func snapshot(t *testing.T) State {
	t.Helper()
	s, err := Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leftOf tells what is left of the engine in h. Where another engine is at work
// meanwhile, only what bears this one's name or lies in its range is known to be
// its; on a machine without one everything counts.
func leftOf(t *testing.T, h home, before State) []string {
	t.Helper()
	left := snapshot(t).Left(before)
	others, err := otherEngines()
	if err != nil {
		t.Fatal(err)
	}
	if len(others) > 0 {
		t.Logf("%s runs here: only what bears this engine's name is compared", others[0].Exe)
		left = slices.DeleteFunc(left, func(line string) bool {
			return !strings.Contains(line, h.tag()) && !strings.Contains(line, h.dir)
		})
	}
	for _, name := range []string{"dockerd", "containerd", "containerd-shim-runc-v2"} {
		for _, flag := range [][]string{{"--config-file", h.settings()}, {"--config", h.containerdSettings()}, {"-address", h.containerd()}} {
			list, err := find(name, flag...)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				left = append(left, fmt.Sprintf("process %d (%s)", p.PID, p.Exe))
			}
		}
	}
	names, err := bridges(h.former())
	if err != nil {
		t.Fatal(err)
	}
	return append(left, names...)
}

// TestOwnEngine walks through the life of an engine, beside another one if one
// runs: started, started again by two at once, used, killed, stopped, cleaned.
func TestOwnEngine(t *testing.T) {
	o := needEngine(t)
	// The default bridge of another engine, or one that stands for it.
	if _, err := net.InterfaceByName("docker0"); err != nil {
		if err := makeBridge("docker0", netip.MustParsePrefix("198.51.100.0/24")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := removeBridge("docker0"); err != nil {
				t.Error(err)
			}
		})
	}
	before := snapshot(t)
	t.Cleanup(func() {
		if err := Clean(context.Background(), o); err != nil {
			t.Error(err)
		}
	})
	h, err := o.home()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(began))
	if !e.Own {
		t.Error("it is not the rig's own")
	}
	first, err := h.record()
	if err != nil || !first.Dockerd.alive() || !first.Containerd.alive() {
		t.Fatalf("recorded: %+v, %v", first, err)
	}
	if rules := lost(before[Rules], snapshot(t)[Rules]); len(rules) > 0 {
		t.Errorf("rules of others are gone: %q", rules)
	}
	// Two more at once find the same one.
	found := make(chan error, 2)
	for range cap(found) {
		go func() {
			again, err := Start(t.Context(), o)
			if err == nil {
				err = again.Close()
			}
			found <- err
		}()
	}
	if err := errors.Join(<-found, <-found); err != nil {
		t.Fatal(err)
	}
	if r, err := h.record(); err != nil || r.Dockerd != first.Dockerd {
		t.Errorf("there are two of it: %+v, %v", r, err)
	}
	if err := e.CheckPrivileged(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if s, err := Snapshot(t.Context(), e); err != nil || len(s[Containers])+len(s[Volumes]) > 0 {
		t.Errorf("the check left %v %v, %v", s[Containers], s[Volumes], err)
	}
	use(t, e)

	// Killed, with a container that is frozen.
	kill := func(p process) {
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	kill(first.Dockerd)
	kill(first.Containerd)
	e.Close()
	e, err = Start(t.Context(), o)
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	list, err := e.client.ContainerList(t.Context(), container.ListOptions{All: true})
	if err != nil || len(list) != 2 || slices.ContainsFunc(list, func(c container.Summary) bool { return c.State == "running" }) {
		t.Errorf("containers afterwards: %+v, %v", list, err)
	}
	for _, c := range list {
		if err := e.client.ContainerStart(t.Context(), c.ID, container.StartOptions{}); err != nil {
			t.Errorf("a container does not start again: %v", err)
		}
	}
	e.Close()

	began = time.Now()
	if err := Stop(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %s", time.Since(began))
	if _, err := net.InterfaceByName("docker0"); err != nil {
		t.Errorf("another engine's docker0: %v", err)
	}
	if left := leftOf(t, h, before); len(left) > 0 {
		t.Errorf("left after the stop:\n%s", strings.Join(left, "\n"))
	}
	if _, err := Find(t.Context(), Options{Cache: o.Cache, Getenv: env("DOCKER_HOST", h.host())}); err == nil {
		t.Error("it answers after the stop")
	}
	if err := Stop(t.Context(), o); err != nil {
		t.Errorf("stopping what is stopped: %v", err)
	}
	if err := Clean(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func lost(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(before), func(r string) bool { return slices.Contains(after, r) })
}

// use runs two containers in a network of their own: the machine reaches them,
// and they do not get beyond it. One is left frozen. Their program is this test.
func use(t *testing.T, e *Engine) {
	t.Helper()
	ctx := t.Context()
	ref := importSelf(t, e)
	if _, err := e.client.NetworkCreate(ctx, "rig-test", network.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	run := func(name string, ports nat.PortMap, words ...string) string {
		t.Helper()
		exposed := nat.PortSet{}
		for p := range ports {
			exposed[p] = struct{}{}
		}
		c, err := e.client.ContainerCreate(ctx, &container.Config{Image: ref, Entrypoint: []string{"/probe"}, Cmd: words,
			Env: []string{probeEnv + "=1"}, ExposedPorts: exposed},
			&container.HostConfig{NetworkMode: "rig-test", PortBindings: ports, OomScoreAdj: -500,
				Resources: container.Resources{Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1 << 20, Hard: 1 << 20}}}}, nil, nil, name)
		if err == nil {
			err = e.client.ContainerStart(ctx, c.ID, container.StartOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	port := nat.Port("7/tcp")
	server := run("server", nat.PortMap{port: {{HostIP: "127.0.0.1"}}}, "serve", ":7")
	info, err := e.client.ContainerInspect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	address := info.NetworkSettings.Networks["rig-test"].IPAddress
	published := info.NetworkSettings.Ports[port][0]
	for _, at := range []string{net.JoinHostPort(address, "7"), net.JoinHostPort("127.0.0.1", published.HostPort)} {
		if err := dial(ctx, at); err != nil {
			t.Errorf("the machine does not reach %s: %v", at, err)
		}
	}
	// 203.0.113.0/24 is nobody's (RFC 5737), and would go out by the default route.
	asked := run("client", nil, "dial", "server:7", "gateway", "!203.0.113.1:9")
	done, failed := e.client.ContainerWait(ctx, asked, container.WaitConditionNotRunning)
	select {
	case r := <-done:
		if r.StatusCode != 0 {
			logs, err := e.client.ContainerLogs(ctx, asked, container.LogsOptions{ShowStdout: true, ShowStderr: true})
			var said []byte
			if err == nil {
				said, err = io.ReadAll(logs)
			}
			t.Errorf("a container: %s, %v", said, err)
		}
	case err := <-failed:
		t.Fatal(err)
	}
	if err := e.client.ContainerPause(ctx, server); err != nil {
		t.Fatal(err)
	}
}

func dial(ctx context.Context, address string) error {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var err error
	tick := time.NewTicker(50 * time.Millisecond) // until the server in the container listens
	defer tick.Stop()
	for {
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", address); err == nil {
			// docker-proxy accepts before it has reached the container.
			var word [3]byte
			_ = c.SetDeadline(time.Now().Add(2 * time.Second))
			_, err = io.ReadFull(c, word[:])
			c.Close()
			if err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// importSelf makes an image of a static build of this test.
func importSelf(t *testing.T, e *Engine) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "probe")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(bin)), Typeflag: tar.TypeReg}),
		second(w.Write(bin)), w.Close()); err != nil {
		t.Fatal(err)
	}
	const ref = "rig.local/test:1"
	answer, err := e.client.ImageImport(t.Context(), image.ImportSource{Source: &root, SourceName: "-"}, ref, image.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		t.Fatal(err)
	}
	return ref
}

// probeEnv is the variable under which this binary is a program in a container.
const probeEnv = "ALERTLAB_TEST_PROBE"

func TestMain(m *testing.M) {
	if os.Getenv(probeEnv) != "" {
		if err := inContainer(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func inContainer(words []string) error {
	if words[0] == "apt-get" { // not in a container: a rig that is killed while it installs
		return aptGet(context.Background(), Options{}, words[1:])
	}
	if words[0] == "serve" {
		l, err := net.Listen("tcp", words[1])
		if err != nil {
			return err
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			_, _ = c.Write([]byte("hi\n"))
			c.Close()
		}
	}
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return err
	}
	if ok, _, err := Capability(); err != nil || !ok && strings.TrimSpace(string(score)) != "0" {
		return fmt.Errorf("oom_score_adj is %s, %v", score, err)
	}
	for _, address := range words[1:] {
		switch beyond, ok := strings.CutPrefix(address, "!"); {
		case ok:
			c, err := net.DialTimeout("tcp", beyond, 10*time.Second)
			if err == nil {
				c.Close()
				return fmt.Errorf("%s was reached", beyond)
			}
			// Rejected by the chain, not merely without an answer from afar.
			if !errors.Is(err, unix.ENETUNREACH) {
				return fmt.Errorf("%s: %w, want it rejected", beyond, err)
			}
		case address == "gateway":
			routes, err := os.ReadFile("/proc/net/route")
			if err != nil {
				return err
			}
			gateway, err := defaultGateway(string(routes))
			if err != nil {
				return err
			}
			// Nothing listens on the port: the machine itself refuses.
			if c, err := net.DialTimeout("tcp", gateway+":9", 5*time.Second); err == nil {
				c.Close()
			} else if !errors.Is(err, unix.ECONNREFUSED) {
				return fmt.Errorf("the gateway: %w", err)
			}
		default:
			if err := dial(context.Background(), address); err != nil {
				return err
			}
		}
	}
	return nil
}

// defaultGateway reads /proc/net/route, whose addresses are in the byte order of
// the machine.
func defaultGateway(routes string) (string, error) {
	for line := range strings.Lines(routes) {
		f := strings.Fields(line)
		var b [4]byte
		if len(f) > 2 && f[1] == "00000000" {
			if _, err := fmt.Sscanf(f[2], "%02X%02X%02X%02X", &b[3], &b[2], &b[1], &b[0]); err != nil {
				return "", err
			}
			return net.IP(b[:]).String(), nil
		}
	}
	return "", errors.New("there is no default route")
}

// A start that fails says why, and leaves nothing.
func TestStartThatFails(t *testing.T) {
	o := needEngine(t)
	before := snapshot(t)
	h, err := o.home()
	if err != nil {
		t.Fatal(err)
	}
	// dockerd keeps its data in a folder; here it finds a file.
	write(t, filepath.Join(h.dir, "data", "image"), "")
	_, err = Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "dockerd ended") || !strings.Contains(err.Error(), "image") {
		t.Errorf("got %v", err)
	}
	if left := leftOf(t, h, before); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
	if err := Clean(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Say = func(line string) {
		if strings.Contains(line, "the engine's default network") {
			cancel() // as by Ctrl-C, just before the programs are started
		}
	}
	if _, err := Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left := leftOf(t, h, before); len(left) > 0 {
		t.Errorf("left after Ctrl-C:\n%s", strings.Join(left, "\n"))
	}
	if err := Clean(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
