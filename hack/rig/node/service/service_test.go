package service

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shell is a unit that runs a line of shell and counts its starts in a file.
func shell(t *testing.T, name, script string) (Unit, func() int) {
	t.Helper()
	dir := t.TempDir()
	starts := filepath.Join(dir, "starts")
	return Unit{
			Name: name, Log: filepath.Join(dir, "log", name+".log"),
			Command: func(ctx context.Context) (*exec.Cmd, error) {
				return exec.CommandContext(ctx, "/bin/sh", "-c", "echo x >> "+starts+"; "+script), nil
			},
		}, func() int {
			text, _ := os.ReadFile(starts) // absent: not started yet
			return strings.Count(string(text), "x")
		}
}

func manager(t *testing.T) (*Manager, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { cancel(); m.Wait() })
	return m, ctx
}

// eventually fails the test if f does not become true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

const forever = "exec sleep 600"

func TestKeepsUpAndLogs(t *testing.T) {
	m, ctx := manager(t)
	u, starts := shell(t, "a", "echo said; exit 3")
	m.Keep(ctx, u)
	eventually(t, "started again", func() bool { return starts() >= 2 })
	text, err := os.ReadFile(u.Log)
	if err != nil || !strings.Contains(string(text), "said\n") || !strings.Contains(string(text), "a ended: exit status 3") {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestStartStopRestart(t *testing.T) {
	m, ctx := manager(t)
	u, starts := shell(t, "a", forever)
	m.Keep(ctx, u)
	active := func() bool { on, err := m.Active("a"); return err == nil && on }
	eventually(t, "running", func() bool { return active() && starts() == 1 })
	if err := m.Restart(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "running again", func() bool { return active() && starts() == 2 })
	if err := m.Stop(ctx, "a"); err != nil || active() {
		t.Fatalf("after Stop: active %v, %v", active(), err)
	}
	if err := m.Stop(ctx, "a"); err != nil {
		t.Fatalf("a second Stop: %v", err)
	}
	if err := m.Start("a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "running a third time", func() bool { return active() && starts() == 3 })
	if err := m.Start("b"); err == nil {
		t.Error("a service that is not there was started")
	}
}

func TestGate(t *testing.T) {
	m, ctx := manager(t)
	u, starts := shell(t, "a", forever)
	var open atomic.Bool
	asked := make(chan struct{}, 1000)
	u.Ready = func() bool { asked <- struct{}{}; return open.Load() }
	m.Keep(ctx, u)
	for range 3 {
		<-asked
	}
	if starts() != 0 {
		t.Error("started before its gate opened")
	}
	open.Store(true)
	eventually(t, "started", func() bool { return starts() == 1 })
}

func TestEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	u, starts := shell(t, "a", forever)
	m.Keep(ctx, u)
	eventually(t, "started", func() bool { return starts() == 1 })
	began := time.Now()
	cancel()
	m.Wait()
	if took := time.Since(began); took > grace {
		t.Errorf("SIGTERM was not enough: %v", took)
	}
}

func TestSystemctl(t *testing.T) {
	m, ctx := manager(t)
	u, starts := shell(t, "kubelet", forever)
	m.Keep(ctx, u)
	socket := filepath.Join(t.TempDir(), "run", "s")
	if err := m.Serve(ctx, socket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "started", func() bool { return starts() == 1 })
	// The words are those that kubeadm v1.35 and kind v0.33 say.
	for _, c := range []struct {
		words string
		code  int
		out   string
	}{
		{"is-active kubelet", 0, "active\n"},
		{"status kubelet", 0, "Loaded: loaded"},
		{"daemon-reload", 0, ""},
		{"enable kubelet.service", 0, ""},
		{"stop kubelet", 0, ""},
		{"is-active kubelet", 3, "inactive\n"},
		{"status kubelet", 3, "Active: inactive"},
		{"stop kubelet", 0, ""},
		{"start kubelet.service", 0, ""},
		{"restart kubelet", 0, ""},
		{"status --no-pager firewalld", 4, "could not be found"},
		{"is-active crio", 4, "could not be found"},
		{"", 1, "no verb"},
	} {
		var out bytes.Buffer
		code := Systemctl(ctx, socket, strings.Fields(c.words), &out, &out)
		if code != c.code || !strings.Contains(out.String(), c.out) {
			t.Errorf("%q: %d %q", c.words, code, out.String())
		}
	}
	eventually(t, "restarted", func() bool { on, _ := m.Active("kubelet"); return on && starts() >= 2 })
	var out bytes.Buffer
	if code := Systemctl(ctx, socket+"x", []string{"start", "kubelet"}, &out, &out); code != 1 {
		t.Errorf("no socket: %d", code)
	}
	if got, err := Ask(ctx, socket, "bounce", "kubelet"); err != nil || !strings.Contains(got, "unknown verb") {
		t.Errorf("%q %v", got, err)
	}
}
