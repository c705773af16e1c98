package nodes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

var k3d = Maker{Name: "k3d", System: "k3s cluster", Delete: "k3d cluster delete"}

// fakeEngine holds containers and notes what is done to them.
type fakeEngine struct {
	containers []Container
	fails      error
	did        []string
}

func (f *fakeEngine) note(format string, args ...any) error {
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.fails
}

func (f *fakeEngine) Containers(context.Context, string) ([]Container, error) {
	return slices.Clone(f.containers), f.fails
}

func (f *fakeEngine) Create(_ context.Context, s Spec) error {
	f.containers = append(f.containers, Container{ID: "tools", Name: s.Name + "-tools", Role: "noRole", Lab: s.Lab, Running: true})
	for i := range s.Agents {
		f.containers = append(f.containers, running("agent", i, s.Lab))
	}
	f.containers = append(f.containers, running("server", 0, s.Lab))
	return f.note("create %s of %s with %v", s.Name, s.Image, s.Agents)
}

func (f *fakeEngine) set(id string, runs bool) {
	for i := range f.containers {
		if f.containers[i].ID == id {
			f.containers[i].Running = runs
		}
	}
}

func (f *fakeEngine) Start(_ context.Context, id string) error {
	f.set(id, true)
	return f.note("start %s", id)
}

func (f *fakeEngine) Stop(_ context.Context, id string) error {
	f.set(id, false)
	return f.note("stop %s", id)
}

func (f *fakeEngine) Delete(_ context.Context, name string) error {
	f.containers = nil
	return f.note("delete %s", name)
}

func (f *fakeEngine) Left(context.Context, string) ([]string, error) { return nil, nil }

func (f *fakeEngine) Kubeconfig(context.Context, string) ([]byte, error) {
	return []byte("kubeconfig"), nil
}

func running(role string, i int, lab string) Container {
	id := fmt.Sprintf("%s-%d", role, i)
	return Container{ID: id, Name: "k3d-alertlab-t-" + id, Role: role, Lab: lab, Running: true, Started: time.Unix(1000, 0), Address: fmt.Sprintf("172.18.0.%d", 2+i+len(role))}
}

func cluster(t *testing.T, f *fakeEngine) *Cluster {
	return &Cluster{Maker: k3d, Lab: "t", Engine: f, Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"),
		Ready: func(_ context.Context, kubeconfig []byte, since map[string]time.Time, seen func(string)) error {
			seen(fmt.Sprintf("%s, %d nodes", kubeconfig, len(since)))
			return nil
		}}
}

func asked(t *testing.T, agents int) plan.Order {
	t.Helper()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	p.Kafka.Brokers.Count, p.Kafka.Brokers.AntiAffinity = agents, agents > 0
	return plan.Order{Input: Want(k3d, p, "t", "node:1").Input, Progress: func(int64, int64, string) {}}
}

// A cluster through its life: made, looked at, a node lost, stopped, started, deleted.
func TestLife(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{}
	c := cluster(t, f)
	ctx := t.Context()
	see := func(state plan.State, kept bool, why, drift string) {
		t.Helper()
		o, err := c.Observe(ctx, plan.Look{})
		if err != nil || o.State != state || o.Kept != kept || o.Why != why || o.Drift != drift || o.Away != drift {
			t.Errorf("%+v, %v; want %s %t %q %q", o, err, state, kept, why, drift)
		}
	}
	see(plan.Absent, false, "no cluster alertlab-t is there", "")
	out, err := c.Apply(ctx, asked(t, 2))
	if err != nil || out["address"] != running("server", 0, "t").Address {
		t.Fatalf("%v, %v", out, err)
	}
	see(plan.Present, false, "3 of 3 nodes run", "")
	info, err := os.Stat(c.Kubeconfig)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v", info, err)
	}
	var seen []string
	if err := c.Wait(ctx, plan.Gate{Name: gateNodes}, plan.Order{}, func(s string) { seen = append(seen, s) }); err != nil || seen[0] != "kubeconfig, 3 nodes" {
		t.Errorf("%v, %v", seen, err)
	}
	if a := c.Activity(); !a.Running || len(a.Facts) != 3 {
		t.Errorf("activity %+v", a)
	}
	ready := c.Ready
	c.Ready = func(context.Context, []byte, map[string]time.Time, func(string)) error { return errors.New("2 of 3") }
	see(plan.Present, false, "3 of 3 nodes run", "not every node is Ready: 2 of 3")
	c.Ready = ready
	f.set("agent-1", false)
	see(plan.Present, false, "2 of 3 nodes run", "2 of 3 nodes run: not k3d-alertlab-t-agent-1")
	if _, err := c.Apply(ctx, asked(t, 2)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	see(plan.Present, false, "3 of 3 nodes run", "its kubeconfig "+c.Kubeconfig+" is missing")
	if _, err := c.Apply(ctx, asked(t, 2)); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	see(plan.Absent, true, "its 3 nodes are stopped", "")
	if c.Activity().Running {
		t.Error("it runs though it was stopped")
	}
	if _, err := c.Apply(ctx, asked(t, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(ctx, asked(t, 3)); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
		t.Errorf("a cluster of another shape: %v", err)
	}
	if err := c.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(ctx); err != nil { // nothing is no error
		t.Fatal(err)
	}
	want := []string{"create alertlab-t of node:1 with [{ } { }]", "start agent-1", "stop agent-1", "stop agent-0", "stop server-0",
		"start server-0", "start agent-0", "start agent-1", "delete alertlab-t"}
	if !slices.Equal(f.did, want) {
		t.Errorf("did %q\nwant %q", f.did, want)
	}
}

// A cluster of that name that the lab did not make is never touched.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, lab := range []string{"", "other"} {
		f := &fakeEngine{containers: []Container{running("server", 0, lab)}}
		c := cluster(t, f)
		ctx := t.Context()
		_, observed := c.Observe(ctx, plan.Look{})
		_, applied := c.Apply(ctx, asked(t, 0))
		for what, err := range map[string]error{"observe": observed, "apply": applied} {
			if err == nil || !strings.Contains(err.Error(), "did not make") {
				t.Errorf("%s of another's cluster: %v", what, err)
			}
		}
		// A lab that has none of its own still goes down, and can be deleted.
		for what, err := range map[string]error{"stop": c.Stop(ctx), "remove": c.Remove(ctx)} {
			if err != nil {
				t.Errorf("%s beside another's cluster: %v", what, err)
			}
		}
		if len(f.did) > 0 {
			t.Errorf("did %q to another's cluster", f.did)
		}
	}
	// One of which a node is the lab's is touched by nobody.
	f := &fakeEngine{containers: []Container{running("server", 0, "t"), running("agent", 0, "")}}
	c := cluster(t, f)
	for what, err := range map[string]error{"stop": c.Stop(t.Context()), "remove": c.Remove(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "did not make") || len(f.did) > 0 {
			t.Errorf("%s of a cluster that is half another's: %v, %v", what, err, f.did)
		}
	}
}

// What cannot be seen is not made.
func TestSilentEngine(t *testing.T) {
	t.Parallel()
	f := &fakeEngine{fails: errors.New("no answer")}
	c := cluster(t, f)
	if _, err := c.Observe(t.Context(), plan.Look{}); !errors.Is(err, f.fails) {
		t.Errorf("%v", err)
	}
	if _, err := c.Apply(t.Context(), asked(t, 0)); !errors.Is(err, f.fails) || len(f.did) > 0 {
		t.Errorf("%v, did %q", err, f.did)
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ci":     "k3s cluster alertlab-t of one node",
		"idfint": "k3s cluster alertlab-t of a server and 1 agent",
	} {
		p, err := profiles.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := Want(k3d, p, "t", "node:1").Title; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for lab, want := range map[string]string{
		"default":                 "alertlab-default",
		"a-lab-of-23-characters-": "alertlab-a-lab-of-23-characters-",
		"a-name-of-a-lab-that-has-forty-characters": "alertlab-a-name-of-a-lab-t",
	} {
		got := Name(lab)
		if len(got) > longestName || !strings.HasPrefix(got, want[:min(len(want), 20)]) || (len(want) <= 25 && got != want) {
			t.Errorf("%s: %s", lab, got)
		}
	}
	if Name("a-name-of-a-lab-that-has-forty-character1") == Name("a-name-of-a-lab-that-has-forty-character2") {
		t.Error("two labs have one cluster")
	}
}

// What a making that was cut short left is made anew, unless all of it runs; a cluster
// that was once whole is never deleted for a node.
func TestCutShort(t *testing.T) {
	t.Parallel()
	half, whole := []Container{running("agent", 0, "t")}, []Container{running("agent", 0, "t"), running("server", 0, "t")}
	made := asked(t, 1).Input
	for name, tc := range map[string]struct {
		there       []Container
		begun, last bool
		want        string
	}{
		"half of it":            {half, true, false, "delete alertlab-t,create alertlab-t of node:1 with [{ }]"},
		"nothing but a network": {nil, true, false, "delete alertlab-t,create alertlab-t of node:1 with [{ }]"},
		"all of it":             {whole, true, false, ""},
		"a whole one, changed":  {whole, true, true, ""},
		"one that never began":  {nil, false, false, "create alertlab-t of node:1 with [{ }]"},
	} {
		f := &fakeEngine{containers: slices.Clone(tc.there)}
		order := asked(t, 1)
		if tc.begun {
			order.Begun = append(order.Begun, made)
		}
		if tc.last {
			order.LastInput = made
		}
		if _, err := cluster(t, f).Apply(t.Context(), order); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(f.did, ","); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	f := &fakeEngine{containers: slices.Clone(half)}
	order := asked(t, 1)
	order.Begun, order.LastInput = append(order.Begun, made), made
	if _, err := cluster(t, f).Apply(t.Context(), order); err == nil || len(f.did) > 0 {
		t.Errorf("a node that is gone: %v, %v", err, f.did)
	}
}
