package runner_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

var wholeUp = []string{"planned", "began broker", "done broker", "began topics", "done topics", "began registry", "done registry", "finished"}

func TestUp(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	var tr trail
	if err := client.Up(ctx, describe("local"), tr.sink); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "events", tr.lines(), wholeUp...)
	sameLines(t, "done", s.lab.doings(), "create broker", "create topics", "create registry")
	// What Up's return stands for is on disk.
	if card, err := s.dir.Endpoints(); err != nil || card.Kafka.Bootstrap != "127.0.0.10:9094" {
		t.Errorf("the card is %+v, %v", card, err)
	}
	if desc, err := s.dir.Describe(); err != nil || desc.Profile != "local" {
		t.Errorf("the description is %+v, %v", desc, err)
	}
	if creds, err := s.dir.Credentials(); err != nil || creds.Kafka["kafka-admin"] == "" || creds.Kafka["kafka-admin"] != s.lab.creds.Kafka["kafka-admin"] {
		t.Errorf("the parts have other credentials than the lab: %v", err)
	}
	st, err := client.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st.Lab != "default" || st.PID != os.Getpid() || !st.Ready || st.Walking || st.Profile != "local" || st.Endpoints == nil || len(st.Parts) != 3 ||
		st.Parts[0].Key != "broker" || st.Parts[0].State != plan.Present || st.Parts[0].Seen != "it is there" || st.Parts[0].Facts[0].Value != "broker" {
		t.Errorf("status: %+v", st)
	}

	if got := s.lab.broker.attended(); got != `{"profile":"local"}` {
		t.Errorf("the broker attends to %q", got)
	}
	s.lab.broker.Attend(nil)

	// Once more: nothing to do, but to listen.
	tr = trail{}
	if err := client.Up(ctx, describe("local"), tr.sink); err != nil {
		t.Fatal(err)
	}
	if sameLines(t, "events", tr.lines(), "planned", "finished"); !tr.last().Unchanged {
		t.Errorf("last event: %+v", tr.last())
	}
	if got := s.lab.broker.attended(); got != `{"profile":"local"}` {
		t.Errorf("after nothing was to be done the broker attends to %q", got)
	}
	// Another profile: what differs is updated, and what uses it.
	if err := client.Up(ctx, describe("other"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done", s.lab.doings(), "stop registry", "stop topics", "update broker", "update topics", "update registry")
	seen, err := client.Snapshot(ctx, describe("third"))
	if err != nil || seen["broker"].State != plan.Present || string(seen["broker"].Applied) != `{"profile":"other"}` {
		t.Errorf("snapshot: %+v, %v", seen, err)
	}
}

// While a walk goes on no other begins; its follower and whoever attaches see it.
func TestSecondUp(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	g := newGate()
	s.lab.topics.set(g.wait)
	var first, attached trail
	ended := make(chan error, 2)
	go func() { ended <- client.Up(ctx, describe("local"), first.sink) }()
	<-g.reached
	err := s.dial(t).Up(ctx, describe("local"), func(e event.Event) { t.Errorf("a refused up shows %s", e.Kind) })
	var f *fault.Fault
	if !errors.As(err, &f) || f.What != "the lab is being changed already" || !strings.HasPrefix(f.Next, "alertlab attach --lab default") || f.Code != fault.StepFailed {
		t.Errorf("got %v", err)
	}
	if st, err := client.Status(ctx); err != nil || !st.Walking || st.Ready {
		t.Errorf("status: %+v, %v", st, err)
	}
	go func() { ended <- s.dial(t).Attach(ctx, attached.sink) }()
	close(g.open)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	sameLines(t, "first", first.lines(), wholeUp...)
	sameLines(t, "attached in the middle", attached.lines(), wholeUp...)
	// And after the end: the last walk.
	var after trail
	if err := client.Attach(ctx, after.sink); err != nil {
		t.Error(err)
	}
	sameLines(t, "attached after the end", after.lines(), wholeUp...)
}

// Who attaches before anything was begun sees the first walk.
func TestAttachFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	// The follower is counted in before Attach's answer begins, so this
	// connection tells when.
	resp := request(t, ctx, s.dir, http.MethodGet, "/v1/events", "")
	defer resp.Body.Close()
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != len(wholeUp) {
		t.Errorf("%d events:\n%s", n, text)
	}
}

// request speaks with the runner without the Client.
func request(t *testing.T, ctx context.Context, dir state.Dir, method, path, body string) *http.Response {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", dir.Socket())
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://runner"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Cancelling the follower cancels the walk: what was started is stopped, the code
// is that of Ctrl-C, and the runner has nothing to own any more.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	g := newGate()
	s.lab.topics.set(g.wait)
	ctx, cancel := context.WithCancel(patience(t))
	go func() {
		<-g.reached
		cancel()
	}()
	var tr trail
	err := s.dial(t).Up(ctx, describe("local"), tr.sink)
	if fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("got %v, code %d", err, fault.CodeOf(err))
	}
	if last := tr.last(); last.Kind != event.Finished || last.Problem == nil || last.Problem.Code != int(fault.Interrupted) {
		t.Errorf("last event: %+v", last)
	}
	sameLines(t, "done", s.lab.doings(), "create broker", "stop broker")
	s.gone(t)
	if !s.dir.Exists() || s.lab.broker.activity().Running {
		t.Error("the lab is gone, or runs")
	}
	// What was stored is there for the next runner.
	next := serve(t, s.dir)
	var again trail
	if err := next.dial(t).Up(patience(t), describe("local"), again.sink); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done next", next.lab.doings(), "start broker", "ensure topics", "create registry")
}

// A lab that runs without its runner, as one on a cluster does after a kill -9, is not
// stopped because the up that owns it again was interrupted.
func TestCancelOnOrphanedLab(t *testing.T) {
	t.Parallel()
	first := serve(t, newDir(t))
	client := first.dial(t)
	if err := client.Up(patience(t), describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	if err := client.Down(patience(t), false, silent); err != nil {
		t.Fatal(err)
	}
	first.gone(t)
	s := serve(t, first.dir)
	for _, p := range []*fakePart{s.lab.broker, s.lab.topics, s.lab.registry} {
		p.there = true
	}
	g := newGate()
	s.lab.topics.set(g.wait)
	ctx, cancel := context.WithCancel(patience(t))
	go func() {
		<-g.reached
		cancel()
	}()
	other := describe("local")
	other.Stack = "other"
	if err := s.dial(t).Up(ctx, other, silent); fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("got %v", err)
	}
	sameLines(t, "done", s.lab.doings())
	if !s.lab.broker.activity().Running || !s.lab.registry.activity().Running {
		t.Error("what others use was stopped")
	}
}

// A lab that ran before is not stopped because a change of it was interrupted: it
// stays as after one that failed, and the next up heals.
func TestCancelOnLivingLab(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client := s.dial(t)
	if err := client.Up(patience(t), describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	s.lab.topics.set(g.wait)
	ctx, cancel := context.WithCancel(patience(t))
	go func() {
		<-g.reached
		cancel()
	}()
	other := describe("local")
	other.Stack = "other"
	s.lab.doings()
	if err := client.Up(ctx, other, silent); fault.CodeOf(err) != fault.Interrupted || err.Error() != "up was interrupted: what was done so far is kept" {
		t.Errorf("got %v", err)
	}
	sameLines(t, "done", s.lab.doings())
	if st, err := client.Status(patience(t)); err != nil || st.Ready || st.Walking || !s.lab.broker.activity().Running || !s.lab.registry.activity().Running {
		t.Errorf("status: %+v, %v", st, err)
	}
	s.lab.topics.set(nil)
	if err := client.Up(patience(t), other, silent); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "healed", s.lab.doings(), "update topics")
}

// A follower that disappears changes nothing for the walk.
func TestFollowerBreaks(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	g := newGate()
	s.lab.topics.set(g.wait)
	ctx, hangUp := context.WithCancel(patience(t))
	resp := request(t, ctx, s.dir, http.MethodPost, "/v1/up", `{"description":{"name":"default","profile":"local"}}`)
	<-g.reached
	hangUp()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the connection did not break")
	}
	resp.Body.Close()
	client := s.dial(t)
	if st, err := client.Status(patience(t)); err != nil || !st.Walking {
		t.Errorf("status: %+v, %v", st, err)
	}
	close(g.open)
	var tr trail
	if err := client.Attach(patience(t), tr.sink); err != nil {
		t.Error(err)
	}
	sameLines(t, "events", tr.lines(), wholeUp...)
	// Nor does one who attached and leaves.
	leaving, leave := context.WithCancel(patience(t))
	leave()
	if err := client.Attach(leaving, func(event.Event) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("leaving gives %v", err)
	}
	if st, err := client.Status(patience(t)); err != nil || !st.Ready {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// A walk that fails leaves up what came up, and a runner that owns it.
func TestUpFails(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	s.server.Remedy = func(err error) string { return "mend it" }
	s.lab.topics.set(func(context.Context) error { return errors.New("no leader") })
	client, ctx := s.dial(t), patience(t)
	err := client.Up(ctx, describe("local"), func(event.Event) {})
	var f *fault.Fault
	if !errors.As(err, &f) || f.What != "step topics (create) failed" || f.Why != "no leader" || f.Next != "mend it" || f.Code != fault.StepFailed {
		t.Errorf("got %v", err)
	}
	if st, err := client.Status(ctx); err != nil || st.Ready || st.Walking || st.Parts[0].State != plan.Present {
		t.Errorf("status: %+v, %v", st, err)
	}
	if _, err := s.dir.Endpoints(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lab that is not whole has a card: %v", err)
	}
	s.lab.doings()
	s.lab.topics.set(nil)
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done", s.lab.doings(), "create topics", "create registry")
}

// When nothing came up there is nothing to own: the runner ends.
func TestUpFailsAtOnce(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*served) state.Description{
		"first step": func(s *served) state.Description {
			s.lab.broker.set(func(context.Context) error { return errors.New("port taken") })
			return describe("local")
		},
		"wrong profile": func(*served) state.Description { return describe("wrong") },
		"no lab": func(s *served) state.Description {
			s.server.Open = func(state.Description) (runner.Lab, error) { return nil, errors.New("provider is not known") }
			return describe("local")
		},
		"broken journal": func(s *served) state.Description {
			if err := os.WriteFile(s.dir.Journal(), []byte("x\ny\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return describe("local")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, newDir(t))
			desc := spoil(s)
			var tr trail
			if err := s.dial(t).Up(patience(t), desc, tr.sink); err == nil {
				t.Error("it came up")
			}
			if last := tr.last(); last.Kind != event.Finished || last.Problem == nil {
				t.Errorf("last event: %+v", last)
			}
			s.gone(t)
		})
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	s.lab.doings()
	var tr trail
	if err := client.Down(ctx, false, tr.sink); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "events", tr.lines(), "planned", "began registry", "done registry", "began broker", "done broker", "finished")
	sameLines(t, "done", s.lab.doings(), "stop registry", "stop broker")
	s.gone(t)
	if entries, err := run.ReadJournal(s.dir.Journal()); err != nil || len(entries) != 3 {
		t.Errorf("the journal has %d entries, %v", len(entries), err)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "state")
	s := serve(t, state.At(root, "default"))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	s.lab.doings()
	if err := client.Down(ctx, true, func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "done", s.lab.doings(), "stop registry", "stop broker", "remove broker")
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	s.gone(t)
}

// A runner that was never asked for anything can be taken down, and deleted.
func TestDownWithoutUp(t *testing.T) {
	t.Parallel()
	for _, purge := range []bool{false, true} {
		s := serve(t, state.At(filepath.Join(t.TempDir(), "state"), "default"))
		var tr trail
		if err := s.dial(t).Down(patience(t), purge, tr.sink); err != nil {
			t.Errorf("purge %v: %v", purge, err)
		}
		sameLines(t, "events", tr.lines(), "finished")
		if s.dir.Exists() == purge {
			t.Errorf("purge %v: the directory exists: %v", purge, s.dir.Exists())
		}
		s.gone(t)
	}
}

// A down in the middle of the very first up takes it over: it is not refused because the
// up that it interrupts has nothing to own any more.
func TestDownDuringFirstUp(t *testing.T) {
	t.Parallel()
	for _, purge := range []bool{false, true} {
		s := serve(t, newDir(t))
		ctx := patience(t)
		g := newGate()
		s.lab.topics.set(g.wait)
		up := make(chan error, 1)
		go func() { up <- s.dial(t).Up(ctx, describe("local"), silent) }()
		<-g.reached
		if err := s.dial(t).Down(ctx, purge, silent); err != nil {
			t.Errorf("down in the middle of the first up, purge %t: %v", purge, err)
		}
		if err := <-up; fault.CodeOf(err) != fault.Interrupted {
			t.Errorf("up: %v", err)
		}
		s.gone(t)
		if s.lab.broker.activity().Running || s.dir.Exists() == purge {
			t.Errorf("purge %t: the broker runs: %t, the lab is there: %t", purge, s.lab.broker.activity().Running, s.dir.Exists())
		}
	}
}

// Down cuts a walk short and follows it; the walk's own follower learns so.
func TestDownDuringUp(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	s.lab.topics.set(g.wait)
	up := make(chan error, 1)
	go func() { up <- s.dial(t).Up(ctx, describe("other"), func(event.Event) {}) }()
	<-g.reached
	var tr trail
	if err := client.Down(ctx, false, tr.sink); err != nil {
		t.Errorf("down: %v", err)
	}
	if last := tr.last(); last.Kind != event.Finished || last.Text != "down" {
		t.Errorf("down ended with %+v", last)
	}
	if err := <-up; fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("up: %v", err)
	}
	s.gone(t)
	if s.lab.broker.activity().Running || s.lab.registry.activity().Running {
		t.Error("something runs")
	}
}

// What cannot be stopped is said, and the runner ends all the same.
func TestDownFails(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	s.lab.registry.mu.Lock()
	s.lab.registry.stopErr = errors.New("it hangs")
	s.lab.registry.mu.Unlock()
	if err := client.Down(ctx, true, func(event.Event) {}); err == nil || !strings.Contains(err.Error(), "it hangs") {
		t.Errorf("got %v", err)
	}
	s.gone(t)
	if _, err := os.Stat(s.dir.Data("broker")); err != nil {
		t.Errorf("stored records are gone though the lab still ran: %v", err)
	}
}

// A signal from outside (the context's end) leaves nothing running, be it during a
// walk or after.
func TestTerm(t *testing.T) {
	t.Parallel()
	t.Run("after", func(t *testing.T) {
		t.Parallel()
		s := serve(t, newDir(t))
		if err := s.dial(t).Up(patience(t), describe("local"), func(event.Event) {}); err != nil {
			t.Fatal(err)
		}
		s.lab.doings()
		s.stop()
		s.gone(t)
		sameLines(t, "done", s.lab.doings(), "stop registry", "stop broker")
	})
	t.Run("during", func(t *testing.T) {
		t.Parallel()
		s := serve(t, newDir(t))
		g := newGate()
		s.lab.topics.set(g.wait)
		up := make(chan error, 1)
		client := s.dial(t)
		go func() { up <- client.Up(patience(t), describe("local"), func(event.Event) {}) }()
		<-g.reached
		s.stop()
		if err := <-up; fault.CodeOf(err) != fault.Interrupted {
			t.Errorf("up: %v", err)
		}
		s.gone(t)
		sameLines(t, "done", s.lab.doings(), "create broker", "stop broker")
	})
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		s := serve(t, newDir(t))
		s.stop()
		s.gone(t)
	})
}

// A lab has one owner. A second waits for a while, because the first may be on its
// way out.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	second := newServer(s.dir, newLab(s.dir))
	second.LockWait = 20 * time.Millisecond
	if err := second.Serve(patience(t), func() { t.Error("two servers listen for one lab") }); !errors.Is(err, state.ErrLocked) {
		t.Errorf("got %v", err)
	}
	// The first is not disturbed.
	if err := s.dial(t).Up(patience(t), describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	third := newServer(s.dir, newLab(s.dir))
	third.LockWait = time.Minute
	ctx, stop := context.WithCancel(patience(t))
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- third.Serve(ctx, func() { close(listening) }) }()
	if err := s.dial(t).Down(patience(t), true, func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	// The purge took the directory and the lock's file with it: the third makes
	// its own.
	select {
	case <-listening:
	case err := <-ended:
		t.Fatalf("the waiting server ended with %v", err)
	}
	if _, err := state.TryLock(s.dir.LockPath()); !errors.Is(err, state.ErrLocked) {
		t.Errorf("the third's lock: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A lab in a deep directory is reached as well.
func TestDeepDirectory(t *testing.T) {
	t.Parallel()
	dir := state.At(filepath.Join(t.TempDir(), strings.Repeat("deep/", 30)), "default")
	if len(dir.Path()) < 110 || filepath.Dir(dir.Socket()) != state.SharedTemp() {
		t.Fatalf("the socket of %s is %s", dir.Path(), dir.Socket())
	}
	s := serve(t, dir)
	client := s.dial(t)
	if err := client.Up(patience(t), describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir.Socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	if err := client.Down(patience(t), true, func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	s.gone(t)
}

// The socket of a runner that was killed is in nobody's way.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir.Socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Dial(patience(t), dir); !errors.Is(err, runner.ErrNotRunning) {
		t.Errorf("dialling a dead runner: %v", err)
	}
	serve(t, dir).dial(t)
}

// A runner that dies under its follower is reported with what to do.
func TestRunnerDies(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", dir.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"kind":"planned"}`+"\n"+`{"kind":"beg`)
	})}
	go srv.Serve(ln)
	defer srv.Close()
	client, err := runner.Dial(patience(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	var tr trail
	err = client.Up(patience(t), describe("local"), tr.sink)
	var f *fault.Fault
	if !errors.As(err, &f) || f.What != "the runner of lab default went away" || !strings.HasPrefix(f.Next, "alertlab up --lab default") {
		t.Errorf("got %v", err)
	}
	sameLines(t, "events", tr.lines(), "planned")
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	ctx := patience(t)
	if resp := request(t, ctx, s.dir, http.MethodPost, "/v1/up", "{"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("half a description: %s", resp.Status)
	}
	if resp := request(t, ctx, s.dir, http.MethodGet, "/v1/up", ""); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET up: %s", resp.Status)
	}
	if resp := request(t, ctx, s.dir, http.MethodPost, "/v1/cancel", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("cancelling nothing: %s", resp.Status)
	}
	if _, err := s.dial(t).Snapshot(ctx, describe("local")); err == nil {
		t.Error("a snapshot of a lab that was never described")
	}
	if st, err := s.dial(t).Status(ctx); err != nil || st.Ready || len(st.Parts) != 0 {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// recorder lets a number of entries pass.
type recorder struct {
	run.Recorder
	passed *[]string
}

func (r recorder) Append(e run.Entry) error {
	*r.passed = append(*r.passed, e.Step)
	return r.Recorder.Append(e)
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	lab := newLab(dir)
	server := newServer(dir, lab)
	var passed []string
	server.Recorder = func(r run.Recorder) run.Recorder { return recorder{r, &passed} }
	ctx, stop := context.WithCancel(patience(t))
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Serve(ctx, func() { close(listening) }) }()
	<-listening
	client, err := runner.Dial(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(passed, []string{"broker", "topics", "registry"}) {
		t.Errorf("passed %v", passed)
	}
}

// Purge deletes a lab that nobody owns, with or without a description.
func TestPurgeWithoutRunner(t *testing.T) {
	t.Parallel()
	for _, described := range []bool{true, false} {
		root := filepath.Join(t.TempDir(), "state")
		dir := state.At(root, "default")
		if err := dir.Create(); err != nil {
			t.Fatal(err)
		}
		if described {
			if err := errors.Join(dir.SetDescription(describe("local")), os.MkdirAll(dir.Data("broker"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		lock, err := state.TryLock(dir.LockPath())
		if err != nil {
			t.Fatal(err)
		}
		var tr trail
		if err := newServer(dir, newLab(dir)).Purge(patience(t), tr.sink); err != nil {
			t.Error(err)
		}
		if last := tr.last(); last.Kind != event.Finished || last.Problem != nil || last.Text != string(plan.Purge) {
			t.Errorf("last event: %+v", last)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("described %v: left over: %v", described, err)
		}
	}
}
