package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Name string `json:"name"`
}

// bench is a twin of background work that a test can end.
type bench struct {
	twin    *embedded.Twin[input]
	end     chan error // ends the work by itself
	started []string
	open    bool
}

func newBench(store string) *bench {
	b := &bench{end: make(chan error)}
	b.twin = &embedded.Twin[input]{Name: "the bench", Store: store,
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			if in.Name == "broken" {
				return nil, nil, errors.New("it does not start")
			}
			b.started = append(b.started, in.Name)
			work := &embedded.Background{
				Check: func(_ context.Context, gate string) (bool, string, error) { return b.open, gate + " is shut", nil },
				About: func() []event.Fact { return []event.Fact{{Name: "name", Value: in.Name}} },
			}
			work.Go(ctx, func(ctx context.Context) error {
				select {
				case err := <-b.end:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			return work, map[string]string{"name": in.Name}, nil
		}}
	return b
}

func order(name string) plan.Order { return plan.Order{Input: plan.Input(input{name})} }

func see(t *testing.T, p plan.Part) plan.Observation {
	t.Helper()
	o, err := p.Observe(t.Context(), plan.Look{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTwin(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "store")
	b := newBench(store)
	if o := see(t, b.twin); o.State != plan.Absent || o.Kept || o.Why != "it does not run" {
		t.Errorf("before it was ever started: %+v", o)
	}
	if err := b.twin.Stop(t.Context()); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
	// It outlives the walk that starts it.
	walk, end := context.WithCancel(t.Context())
	out, err := b.twin.Apply(walk, order("one"))
	if err != nil || out["name"] != "one" {
		t.Fatalf("%v, %v", out, err)
	}
	end()
	o := see(t, b.twin)
	if o.State != plan.Present || !strings.HasPrefix(o.Why, "it runs since ") || string(o.Resolved) != `{"name":"one"}` {
		t.Errorf("while it runs: %+v", o)
	}
	if a := b.twin.Activity(); !a.Running || a.Facts[0].Value != "one" {
		t.Errorf("activity: %+v", a)
	}
	// Applied again, it is started anew, and tells what with.
	if _, err := b.twin.Apply(t.Context(), order("two")); err != nil {
		t.Fatal(err)
	}
	if o := see(t, b.twin); string(o.Resolved) != `{"name":"two"}` || !slices.Equal(b.started, []string{"one", "two"}) {
		t.Errorf("%+v, started %v", o, b.started)
	}
	if err := os.MkdirAll(filepath.Join(store, "topic"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.twin.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := see(t, b.twin); o.State != plan.Absent || !o.Kept || o.Why != "it does not run; what it stored is there" {
		t.Errorf("stopped: %+v", o)
	}
	if a := b.twin.Activity(); a.Running {
		t.Errorf("activity of what does not run: %+v", a)
	}
	if err := errors.Join(b.twin.Remove(t.Context()), b.twin.Remove(t.Context())); err != nil {
		t.Errorf("removing, twice: %v", err)
	}
	if o := see(t, b.twin); o.Kept {
		t.Errorf("removed: %+v", o)
	}
	if err := newBench("").twin.Remove(t.Context()); err != nil {
		t.Errorf("removing what stores nothing: %v", err)
	}
}

func TestTwinDoesNotStart(t *testing.T) {
	t.Parallel()
	b := newBench("")
	if _, err := b.twin.Apply(t.Context(), order("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.twin.Apply(t.Context(), order("broken")); err == nil {
		t.Error("it started")
	}
	// The old one was stopped first; nothing runs now.
	if o := see(t, b.twin); o.State != plan.Absent {
		t.Errorf("%+v", o)
	}
	if _, err := b.twin.Apply(t.Context(), plan.Order{Input: json.RawMessage(`[]`)}); err == nil || !strings.HasPrefix(err.Error(), "the input of the bench: ") {
		t.Errorf("an input of another shape: %v", err)
	}
	if err := b.twin.Wait(t.Context(), plan.Gate{}, plan.Order{}, func(string) {}); err == nil || err.Error() != "the bench does not run" {
		t.Errorf("waiting for it: %v", err)
	}
}

// Work that ends by itself ends the wait at once, and is remembered, whoever
// noticed it first.
func TestTwinEndsByItself(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("disk full"), nil} {
		want := "disk full"
		if err == nil {
			want = "no reason was given"
		}
		synctest.Test(t, func(t *testing.T) {
			b := newBench("")
			if _, err := b.twin.Apply(t.Context(), order("one")); err != nil {
				t.Fatal(err)
			}
			waited := make(chan error, 1)
			go func() { waited <- b.twin.Wait(t.Context(), plan.Gate{Name: "gate"}, plan.Order{}, func(string) {}) }()
			synctest.Wait()
			b.end <- err
			if got := <-waited; got == nil || got.Error() != "the bench ended by itself: "+want {
				t.Errorf("the wait ended with %v", got)
			}
			if o := see(t, b.twin); o.State != plan.Absent || o.Why != "it ended by itself: "+want {
				t.Errorf("seen: %+v", o)
			}
			if a := b.twin.Activity(); a.Running {
				t.Errorf("activity: %+v", a)
			}
			if err := b.twin.Stop(t.Context()); err != nil {
				t.Errorf("stopping it: %v", err)
			}
			// Started again, it is as new.
			if _, err := b.twin.Apply(t.Context(), order("two")); err != nil {
				t.Fatal(err)
			}
			if o := see(t, b.twin); o.State != plan.Present {
				t.Errorf("started again: %+v", o)
			}
			if err := b.twin.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTwinWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench("")
		if _, err := b.twin.Apply(t.Context(), order("one")); err != nil {
			t.Fatal(err)
		}
		var seen []string
		bound, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := b.twin.Wait(bound, plan.Gate{Name: "gate"}, plan.Order{}, func(s string) { seen = append(seen, s) }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a shut gate: %v", err)
		}
		// It is asked often at first, and never more than ten times a second
		// later on.
		if len(seen) < 40 || len(seen) > 70 || seen[0] != "gate is shut" {
			t.Errorf("it was asked %d times", len(seen))
		}
		b.open = true
		if err := b.twin.Wait(t.Context(), plan.Gate{Name: "gate"}, plan.Order{}, func(string) {}); err != nil {
			t.Errorf("an open gate: %v", err)
		}
		if err := b.twin.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// What was told to stop and has not stopped yet still runs, and stopping it again
// waits for it.
func TestTwinStopsSlowly(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	twin := &embedded.Twin[input]{Name: "slow", Start: func(ctx context.Context, _ input, _ plan.Order) (embedded.Process, map[string]string, error) {
		b := &embedded.Background{About: func() []event.Fact { return nil }}
		b.Go(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			<-end
			return fmt.Errorf("the last batch: %w", ctx.Err())
		})
		return b, nil, nil
	}}
	if _, err := twin.Apply(t.Context(), order("one")); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := twin.Stop(short); !errors.Is(err, context.Canceled) {
		t.Errorf("stopping without patience: %v", err)
	}
	if o := see(t, twin); o.State != plan.Present {
		t.Errorf("while it is stopping: %+v", o)
	}
	close(end)
	if err := twin.Stop(t.Context()); err != nil {
		t.Errorf("stopping with patience: %v", err)
	}
	if o := see(t, twin); o.State != plan.Absent {
		t.Errorf("stopped: %+v", o)
	}
}

// An error that work returns because it was told to stop is reported; the end of
// its context is not one.
func TestBackgroundError(t *testing.T) {
	t.Parallel()
	b := &embedded.Background{}
	b.Go(t.Context(), func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("offsets were not committed")
	})
	if err := b.Stop(t.Context()); err == nil || err.Error() != "offsets were not committed" {
		t.Errorf("got %v", err)
	}
}

func TestHTTPServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	log := slog.New(slog.DiscardHandler)
	if err := new(embedded.HTTPServer).Serve(t.Context(), address, http.NotFoundHandler(), log); err == nil {
		t.Error("it listens at an address that is taken")
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	release, reached := make(chan struct{}), make(chan struct{})
	stopped := false
	s := &embedded.HTTPServer{OnStop: func(context.Context) error {
		stopped = true
		return errors.New("the topic is gone")
	}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-release
		io.WriteString(w, "whole")
	})
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Serve(ctx, address, handler, log); err != nil {
		t.Fatal(err)
	}
	cancel() // it outlives the walk that starts it
	if open, _, err := s.Probe(t.Context(), "any"); !open || err != nil || s.Facts() != nil {
		t.Errorf("open %v, %v, facts %v", open, err, s.Facts())
	}
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + address)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		got <- fmt.Sprint(string(b), err)
	}()
	<-reached
	time.AfterFunc(10*time.Millisecond, func() { close(release) }) // while Stop waits
	if err := s.Stop(t.Context()); err == nil || err.Error() != "the topic is gone" || !stopped {
		t.Errorf("stopping: %v", err)
	}
	if text := <-got; text != "whole<nil>" {
		t.Errorf("a request under way was answered %q", text)
	}
	select {
	case err, open := <-s.Ended():
		t.Errorf("stopped, it counts as ended by itself: %v, %v", err, open)
	default:
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it still listens")
	}
}

// pieces is a process of which something can be away.
type pieces struct {
	embedded.Background
	away   string
	mended int
}

func (p *pieces) Away() string { return p.away }

func (p *pieces) Mend(context.Context) error {
	p.away = ""
	p.mended++
	return nil
}

// What is away is brought back without stopping the rest; another input, or Again,
// starts all anew.
func TestMender(t *testing.T) {
	t.Parallel()
	var made []*pieces
	twin := &embedded.Twin[input]{Name: "the pieces", Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
		p := &pieces{}
		p.Go(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		made = append(made, p)
		return p, map[string]string{"name": in.Name}, nil
	}}
	if err := twin.Again(t.Context()); err == nil || err.Error() != "the pieces does not run" {
		t.Errorf("again before it ever ran: %v", err)
	}
	apply := func(name string) {
		t.Helper()
		if out, err := twin.Apply(t.Context(), order(name)); err != nil || out["name"] != name {
			t.Fatalf("apply %s: %v, %v", name, out, err)
		}
	}
	apply("a")
	if o := see(t, twin); o.Away != "" {
		t.Errorf("whole: %+v", o)
	}
	made[0].away = "a piece is away"
	if o := see(t, twin); o.State != plan.Present || o.Away != "a piece is away" {
		t.Errorf("in part: %+v", o)
	}
	apply("a")
	if len(made) != 1 || made[0].mended != 1 || twin.Process() != embedded.Process(made[0]) {
		t.Errorf("%d were started, the first was mended %d times", len(made), made[0].mended)
	}
	made[0].away = "a piece is away"
	apply("b")
	if len(made) != 2 || made[0].mended != 1 {
		t.Errorf("%d were started, the first was mended %d times", len(made), made[0].mended)
	}
	if err := twin.Again(t.Context()); err != nil || len(made) != 3 {
		t.Errorf("again: %d were started, %v", len(made), err)
	}
	if o := see(t, twin); string(o.Resolved) != `{"name":"b"}` {
		t.Errorf("after again: %+v", o)
	}
	if err := twin.Stop(t.Context()); err != nil || twin.Process() != nil {
		t.Errorf("stopped: %v, %v", twin.Process(), err)
	}
}
