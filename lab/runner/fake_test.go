package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

// fakeLab is a lab of a broker that runs and stores, topics that live in it, and a
// registry that runs.
type fakeLab struct {
	broker, topics, registry *fakePart
	revives                  atomic.Bool // brokers come back by themselves

	mu    sync.Mutex
	creds endpoints.Credentials
	did   []string
	asked state.Description // what Wanted was called with last
}

func (l *fakeLab) lastAsked() state.Description {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func newLab(dir state.Dir) *fakeLab {
	l := &fakeLab{}
	l.broker = &fakePart{name: "broker", note: l.note, runs: true, store: dir.Data("broker")}
	l.topics = &fakePart{name: "topics", note: l.note}
	l.registry = &fakePart{name: "registry", note: l.note, runs: true}
	return l
}

func (l *fakeLab) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did = append(l.did, what)
}

// doings lists what was done since the last call.
func (l *fakeLab) doings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	did := l.did
	l.did = nil
	return did
}

func (l *fakeLab) Accounts(state.Description) []string { return nil }

func (l *fakeLab) Tokens(state.Description) ([]string, error) { return []string{"alertlab"}, nil }

func (l *fakeLab) Users(state.Description) ([]string, error) { return []string{"kafka-admin"}, nil }

func (l *fakeLab) Wanted(desc state.Description) (plan.Wanted, error) {
	l.mu.Lock()
	l.asked = desc
	l.mu.Unlock()
	if desc.Profile == "wrong" {
		return plan.Wanted{}, fault.New(fault.BadInput, "the profile cannot be used", "it is wrong", "alertlab profile validate wrong")
	}
	input := plan.Input(map[string]string{"profile": desc.Profile})
	var holds []plan.Hold
	for _, t := range desc.Overlay.Topics {
		holds = append(holds, plan.Hold{Name: "topic " + t.Name, Amount: int64(t.Partitions), Unit: "partitions", Loss: "every record in it"})
	}
	return plan.Wanted{Lab: desc.Name, Profile: desc.Profile, Parts: []plan.Want{
		{Key: "broker", Implementation: "fake", Input: input, Outputs: []string{"address"}, Runs: true, Stores: "records"},
		{Key: "topics", Implementation: "fake", Needs: []string{"broker"}, Behind: "broker", Input: plan.Input(map[string]any{"at": "${broker.address}", "stack": desc.Stack, "topics": holds}),
			Holds: holds},
		{Key: "registry", Implementation: "fake", Needs: []string{"topics"}, Input: plan.Input(map[string]string{"at": "${broker.address}"}), Runs: true},
	}}, nil
}

func (l *fakeLab) Parts() map[string]plan.Part {
	return map[string]plan.Part{"broker": l.broker, "topics": l.topics, "registry": l.registry}
}

func (l *fakeLab) SetCredentials(c endpoints.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.creds = c
}

func (l *fakeLab) Endpoints(desc state.Description, outputs map[string]map[string]string) (endpoints.Endpoints, error) {
	return endpoints.Endpoints{Lab: desc.Name, Kafka: endpoints.Kafka{Bootstrap: outputs["broker"]["address"]}}, nil
}

func (l *fakeLab) Status() map[string]event.Activity {
	return map[string]event.Activity{"broker": l.broker.activity(), "topics": l.topics.activity(), "registry": l.registry.activity()}
}

// fakePart is present once it was applied, until it is stopped.
type fakePart struct {
	name  string
	note  func(string)
	runs  bool
	store string // directory; "" for none

	mu      sync.Mutex
	there   bool
	during  func(context.Context) error // of Apply, before it is there
	stopErr error
	attends string // the input that it was told to attend to
}

func (p *fakePart) Attend(applied json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attends = string(applied)
}

func (p *fakePart) attended() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attends
}

func (p *fakePart) set(during func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.during = during
}

func (p *fakePart) activity() event.Activity {
	p.mu.Lock()
	defer p.mu.Unlock()
	return event.Activity{Running: p.runs && p.there, Facts: []event.Fact{{Name: "name", Value: p.name}}}
}

func (p *fakePart) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.there {
		return plan.Observation{State: plan.Present, Why: "it is there"}, nil
	}
	o := plan.Observation{State: plan.Absent, Why: "it is not there"}
	if p.store != "" {
		_, err := os.Stat(p.store)
		o.Kept = err == nil
	}
	return o, nil
}

func (p *fakePart) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	p.mu.Lock()
	during := p.during
	p.mu.Unlock()
	if during != nil {
		if err := during(ctx); err != nil {
			return nil, err
		}
	}
	if p.store != "" {
		if err := os.MkdirAll(p.store, 0o700); err != nil {
			return nil, err
		}
	}
	what := string(order.Action) + " " + p.name
	if order.Destroy {
		what += ", destroying"
	}
	p.note(what)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there = true
	if p.name != "broker" {
		return nil, nil
	}
	return map[string]string{"address": "127.0.0.10:9094"}, nil
}

func (p *fakePart) Stop(context.Context) error {
	p.note("stop " + p.name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopErr != nil {
		return p.stopErr
	}
	p.there = false
	return nil
}

func (p *fakePart) Remove(context.Context) error {
	p.note("remove " + p.name)
	return os.RemoveAll(p.store)
}

// gate is a place in a walk at which a test holds it.
type gate struct{ reached, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 8), make(chan struct{})} }

func (g *gate) wait(ctx context.Context) error {
	g.reached <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// served is a server that runs in this process.
type served struct {
	dir    state.Dir
	lab    *fakeLab
	server *runner.Server
	stop   context.CancelFunc
	ended  chan error
}

// patience bounds what must happen, generously.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newServer(dir state.Dir, lab runner.Lab) *runner.Server {
	return &runner.Server{Dir: dir, Log: slog.New(slog.DiscardHandler),
		Open: func(state.Description) (runner.Lab, error) { return lab, nil }}
}

// serve starts a server and waits until it listens.
func serve(t *testing.T, dir state.Dir) *served {
	t.Helper()
	lab := newLab(dir)
	s := &served{dir: dir, lab: lab, server: newServer(dir, lab), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stop = stop
	listening := make(chan struct{})
	done := make(chan struct{})
	go func() {
		s.ended <- s.server.Serve(ctx, func() { close(listening) })
		close(done)
	}()
	select {
	case <-listening:
	case err := <-s.ended:
		t.Fatalf("the server ended: %v", err)
	}
	t.Cleanup(func() {
		stop()
		<-done
	})
	return s
}

func newDir(t *testing.T) state.Dir { return state.At(t.TempDir(), "default") }

func (s *served) dial(t *testing.T) *runner.Client {
	t.Helper()
	c, err := runner.Dial(patience(t), s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// gone checks that the server ended well and left its lock and no socket.
func (s *served) gone(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
		s.ended <- nil
	case <-patience(t).Done():
		t.Fatal("the server did not end")
	}
	if _, err := os.Lstat(s.dir.Socket()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := runner.Dial(t.Context(), s.dir); !errors.Is(err, runner.ErrNotRunning) {
		t.Errorf("dialling says %v", err)
	}
	for {
		lock, err := state.TryLock(s.dir.LockPath())
		switch {
		case err == nil:
			lock.Release()
			return
		case errors.Is(err, fs.ErrNotExist):
			return // purged with its folder
		case !errors.Is(err, state.ErrLocked):
			t.Fatalf("the lock: %v", err)
		}
		// A process that another test is starting has this one's files for
		// a moment, and with them the lock.
		free, err := state.Watch(s.dir.LockPath())
		if err == nil {
			err = free(patience(t))
		}
		if err != nil {
			t.Fatalf("the lock is held: %v", err)
		}
	}
}

func describe(profile string) state.Description {
	return state.Description{Name: "default", Provider: "embedded", Stack: "alerts", Profile: profile}
}

// trail keeps the events that a follower got.
type trail struct {
	mu     sync.Mutex
	events []event.Event
}

func (tr *trail) sink(e event.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.events = append(tr.events, e)
}

// lines gives the events as "kind step".
func (tr *trail) lines() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var out []string
	for _, e := range tr.events {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Step)))
	}
	return out
}

func (tr *trail) last() event.Event {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.events) == 0 {
		return event.Event{}
	}
	return tr.events[len(tr.events)-1]
}

func sameLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
