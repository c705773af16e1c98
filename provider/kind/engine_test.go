package kind

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	library "sigs.k8s.io/kind/pkg/cluster"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/nodes"
)

// What kind is asked for: a mark on every node, labels and taints of the pool, and a
// server that takes pods too.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := configuration(nodes.Spec{Name: "alertlab-t", Image: "node:1", Lab: "t", Agents: []nodes.AgentSpec{{}, {Label: "kafka=ok", Taint: "kafka=ok:NoSchedule"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Nodes) != 3 || cfg.Networking.APIServerAddress != "127.0.0.1" || cfg.Networking.APIServerPort != 0 {
		t.Fatalf("%+v", cfg)
	}
	for _, n := range cfg.Nodes {
		if n.Image != "node:1" || len(n.ExtraMounts) != 1 || n.ExtraMounts[0].ContainerPath != "/etc/alertlab/lab/t" || !n.ExtraMounts[0].Readonly {
			t.Errorf("%+v", n)
		}
	}
	if got, want := cfg.Nodes[0].KubeadmConfigPatches, []string{"kind: InitConfiguration\nnodeRegistration:\n  taints: []\n"}; !slices.Equal(got, want) {
		t.Errorf("server: %q", got)
	}
	if n := cfg.Nodes[1]; n.Labels != nil || n.KubeadmConfigPatches != nil {
		t.Errorf("an agent of no pool: %+v", n)
	}
	n := cfg.Nodes[2]
	if want := "kind: JoinConfiguration\nnodeRegistration:\n  taints:\n  - effect: NoSchedule\n    key: kafka\n    value: ok\n"; n.Labels["kafka"] != "ok" || !slices.Equal(n.KubeadmConfigPatches, []string{want}) {
		t.Errorf("%+v", n)
	}
	if one, err := configuration(nodes.Spec{Image: "node:1", Lab: "t"}); err != nil || len(one.Nodes) != 1 || one.Nodes[0].KubeadmConfigPatches != nil {
		t.Errorf("one node, from which kind itself takes the taint: %+v, %v", one, err)
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("usdfdev")
	if err != nil {
		t.Fatal(err)
	}
	if got := Want(p, "t", "node:1").Title; got != "kind cluster alertlab-t of a server and 6 agents" {
		t.Error(got)
	}
}

func TestMarked(t *testing.T) {
	t.Parallel()
	for want, mounts := range map[string][]container.MountPoint{
		"":  {{Destination: "/var"}, {Destination: "/etc/alertlab"}},
		"t": {{Destination: "/lib/modules"}, {Destination: "/etc/alertlab/lab/t"}},
	} {
		if got := marked(mounts); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	if got := plain("  ✓ Starting control-plane 🕹️ \n"); got != "Starting control-plane" {
		t.Errorf("%q", got)
	}
}

// engine is a docker engine that answers over HTTP as much as a test needs.
func engine(t *testing.T, containers func() string, killed chan<- string) {
	t.Helper()
	serve(t, map[string]func() string{
		"GET /_ping":                  func() string { return "OK" },
		"GET /containers/json":        containers,
		"POST /containers/n1/kill":    func() string { killed <- "n1"; return "" },
		"GET /containers/n1/json":     func() string { return inspected },
		"HEAD /containers/n1/archive": nil,
	})
}

const inspected = `{"Id":"n1","Name":"/alertlab-t-control-plane","State":{"Running":true,"StartedAt":"2026-01-02T03:04:05.6Z"},
 "Config":{"Labels":{"io.x-k8s.kind.cluster":"alertlab-t","io.x-k8s.kind.role":"control-plane"}},
 "Mounts":[{"Destination":"/etc/alertlab/lab/t"}],"NetworkSettings":{"Networks":{"kind":{"IPAddress":"172.18.0.2"}}}}`

// A step of kind that is cancelled is made to end by ending its containers, waited for,
// and what it made is deleted.
func TestCancel(t *testing.T) {
	fakeDocker(t)
	killed := make(chan string, 100)
	engine(t, func() string { return `[{"Id":"n1"}]` }, killed)
	ctx, cancel := context.WithCancel(t.Context())
	var did []string
	d := &Docker{Log: slog.New(slog.DiscardHandler), pause: 1,
		create: func(name string, _ ...library.CreateOption) error {
			did = append(did, "create "+name)
			cancel()
			<-killed
			return errors.New("a container that it worked in is gone")
		},
		remove: func(name, _ string) error { did = append(did, "delete "+name); return nil }}
	err := d.Create(ctx, nodes.Spec{Name: "alertlab-t", Image: "node:1", Lab: "t"})
	if !errors.Is(err, context.Canceled) || !slices.Equal(did, []string{"create alertlab-t", "delete alertlab-t"}) {
		t.Errorf("%v; did %q", err, did)
	}
}

// A cluster whose making did not end is made anew; kind sets nodes up from outside, so
// nobody would ever end it.
func TestHalfMade(t *testing.T) {
	fakeDocker(t)
	engine(t, func() string { return `[{"Id":"n1"}]` }, nil)
	d := &Docker{}
	list, err := d.Containers(t.Context(), "alertlab-t")
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	c := list[0]
	if !c.Half || c.Lab != "t" || c.Role != nodes.Server || c.Address != "172.18.0.2" || c.Name != "alertlab-t-control-plane" || !c.Running {
		t.Errorf("%+v", c)
	}
	o, err := New("t", filepath.Join(t.TempDir(), "kubeconfig"), d).Observe(t.Context(), plan.Look{})
	if err != nil || o.State != plan.Absent || !o.Kept || o.Why != "its making did not end: it is made anew" {
		t.Errorf("%+v, %v", o, err)
	}
}

// Where there is no docker program kind is not asked.
func TestNoProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	engine(t, func() string { return `[]` }, nil)
	d := &Docker{}
	err := d.Create(t.Context(), nodes.Spec{Name: "alertlab-t"})
	if err == nil || !strings.Contains(err.Error(), "kind needs the docker program") {
		t.Errorf("%v", err)
	}
}

// fakeDocker puts a docker program in the way that is found and never run.
func fakeDocker(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}
