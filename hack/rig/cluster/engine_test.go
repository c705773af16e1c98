package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"

	"github.com/alertlab/alertlab/lab/fault"
)

// fakeEngine answers as an engine with some containers and nothing else, whose
// nodes cannot be killed.
type fakeEngine struct {
	info       system.Info
	containers []container.Summary
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(err)
		}
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // after the version
	switch {
	case path == "info":
		answer(f.info)
	case path == "containers/json":
		answer(f.containers)
	case path == "volumes":
		answer(map[string]any{})
	case path == "networks":
		answer([]any{})
	case strings.HasSuffix(path, "/kill"):
		http.Error(w, `{"message":"it does not listen"}`, http.StatusInternalServerError)
	default:
		http.Error(w, `{"message":"there is no such thing"}`, http.StatusNotFound)
	}
}

// on opens the clusters of a state folder on an engine.
func on(t *testing.T, f *fakeEngine, state string) *Clusters {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	host := "tcp://" + s.Listener.Addr().String()
	t.Setenv(client.EnvOverrideHost, host)
	docker, err := client.NewClientWithOpts(client.WithHost(host), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { docker.Close() })
	c, err := Open(Options{Docker: docker, State: state})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSameEngine(t *testing.T) {
	here := engineID{ID: "A", Root: "/var/lib/docker", Host: "unix:///var/run/docker.sock"}
	for name, tc := range map[string]struct {
		other engineID
		same  bool
	}{
		"itself":                    {here, true},
		"by another address":        {engineID{"A", "/var/lib/docker", "unix:///run/docker.sock"}, true},
		"its key was removed":       {engineID{"B", "/var/lib/docker", "unix:///var/run/docker.sock"}, true},
		"a virtual machine's":       {engineID{"B", "/var/lib/docker", "tcp://10.0.0.1:2375"}, false},
		"beside it, with its key":   {engineID{"A", "/home/me/data", "unix:///home/me/docker.sock"}, false},
		"beside it, without":        {engineID{"B", "/home/me/data", "unix:///home/me/docker.sock"}, false},
		"another one at its socket": {engineID{"A", "/home/me/data", "unix:///var/run/docker.sock"}, false},
	} {
		if got := here.same(tc.other); got != tc.same {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Clusters of two engines share a folder of records: each engine's are its own.
func TestRecordsOfTwoEngines(t *testing.T) {
	ctx := context.Background()
	state := t.TempDir()
	a := on(t, &fakeEngine{info: system.Info{ID: "A", DockerRootDir: "/a"}}, state)
	aHost := a.docker.DaemonHost()
	// As k3d leaves it when it is killed at its first step, and one of before
	// engines were kept.
	for _, cfg := range []Config{{Name: "ofa", Maker: K3d}, {Name: "kindly", Maker: Kind}} {
		if rec, err := a.job(cfg).record(ctx); err != nil || rec.Engine == nil || *rec.Engine != (engineID{"A", "/a", aHost}) {
			t.Fatalf("%+v, %v", rec, err)
		}
	}
	if err := a.state.write(record{Name: "old", Maker: Plain}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"ofa": `"engine"`, "old": ""} {
		b, err := os.ReadFile(filepath.Join(a.state.folder(name), "cluster.json"))
		if err != nil || strings.Contains(string(b), `"engine"`) != (text != "") {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
	names := func(c *Clusters) []string {
		t.Helper()
		list, err := c.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, cl := range list {
			names = append(names, cl.Name+" "+cl.KubeconfigFile)
		}
		return names
	}
	if got := names(a); !slices.Equal(got, []string{"kindly ", "ofa ", "old "}) {
		t.Errorf("on its engine: %q", got)
	}

	// A container of the same name is on the other engine, from a rig with another
	// folder: its kubeconfig is not the one that lies here.
	b := on(t, &fakeEngine{info: system.Info{ID: "A", DockerRootDir: "/b"}, containers: []container.Summary{{
		ID: "1", Names: []string{"/rig-ofa-server-0"}, Labels: map[string]string{LabelCluster: "ofa", labelRole: "server"},
	}}}, state)
	if got := names(b); !slices.Equal(got, []string{"ofa ", "old "}) {
		t.Errorf("on the other engine: %q", got)
	}
	if got := names(on(t, &fakeEngine{info: system.Info{ID: "A", DockerRootDir: "/c"}}, state)); !slices.Equal(got, []string{"old "}) {
		t.Errorf("on an empty engine: %q", got)
	}
	// Its network of kind's is not this engine's either.
	if rec, err := b.job(Config{Name: "x", Maker: Kind}).record(ctx); err != nil || !rec.KindNetworkAbsent {
		t.Errorf("%+v, %v", rec, err)
	}
	if err := b.state.remove("x"); err != nil {
		t.Fatal(err)
	}

	_, getErr := b.Get(ctx, "kindly")
	_, makeErr := b.Create(ctx, Config{Name: "kindly", Maker: Kind, Servers: 1, Image: "rig.local/node:v1"})
	_, rangeErr := b.LoadBalancerRange(ctx, "ofa", 4)
	for what, err := range map[string]error{
		"Get": getErr, "Delete": b.Delete(ctx, "kindly", nil), "Create": makeErr, "LoadBalancerRange": rangeErr,
	} {
		want := fault.NoLab
		if what == "Create" {
			want = fault.BadInput
		}
		var f *fault.Fault
		if !errors.As(err, &f) || f.Code != want {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !strings.Contains(f.What, "was made on another engine") || !strings.Contains(f.Why, "data is in /a; this one") ||
			!strings.Contains(f.Next, "export DOCKER_HOST="+aHost) || !strings.Contains(f.Next, "rm -r "+state) {
			t.Errorf("%s: %s", what, fault.Text(err))
		}
		if what == "Create" {
			t.Log(fault.Text(err))
		}
	}
	if got := names(a); !slices.Equal(got, []string{"kindly ", "ofa ", "old "}) {
		t.Errorf("afterwards, on its engine: %q", got)
	}
	if err := b.Delete(ctx, "old", nil); err != nil {
		t.Error(err)
	}
	if err := b.Delete(ctx, "never", nil); fault.CodeOf(err) != fault.NoLab || !strings.Contains(err.Error(), "there is no cluster") {
		t.Errorf("of no cluster at all: %v", err)
	}
}

// Whoever makes or deletes clusters holds a lock, a plain file among the records.
func TestListBesideTheLock(t *testing.T) {
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, lockFile), []byte("process 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := on(t, &fakeEngine{}, state)
	if list, err := c.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if err := c.state.write(record{Name: "lab", Maker: Plain}); err != nil {
		t.Fatal(err)
	}
	if list, err := c.List(context.Background()); err != nil || len(list) != 1 || list[0].Name != "lab" {
		t.Errorf("%v, %v", list, err)
	}
	if err := c.Delete(context.Background(), "lock", nil); fault.CodeOf(err) != fault.NoLab {
		t.Errorf("the lock as a cluster: %v", err)
	}
}

// An engine that does not kill nodes must not hold up an interruption for ever.
func TestInterruptOfKindEnds(t *testing.T) {
	c := on(t, &fakeEngine{containers: []container.Summary{{ID: "1", Names: []string{"/lab-control-plane"}}}}, t.TempDir())
	j := c.job(Config{Name: "lab", Maker: Kind})
	began := time.Now()
	err := j.interruptKind(context.Background(), make(chan error), 1200*time.Millisecond)
	var going *stillGoing
	if !errors.As(err, &going) || !slices.Equal(going.nodes, []string{"lab-control-plane"}) || !strings.Contains(err.Error(), "still running: lab-control-plane (") ||
		!strings.Contains(err.Error(), "it does not listen") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	ended := make(chan error, 1)
	ended <- io.EOF
	if err := j.interruptKind(context.Background(), ended, time.Minute); err != nil {
		t.Errorf("of a step that ended: %v", err)
	}
}
