package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// Change is what a lab is asked to become.
type Change struct {
	Description state.Description `json:"description"`
	// From is the digest of the description that this one was made of; empty
	// when it may replace any other. See ErrChanged.
	From string `json:"from,omitempty"`
	// Passwords are new ones of Kafka users. They are kept together with the
	// description, once it is sound, and never shown.
	Passwords map[string]string `json:"passwords,omitempty"`
	// AllowDestroy says that what is not wanted any more may be deleted. Else a
	// change that would delete anything is refused, and nothing is done.
	AllowDestroy bool `json:"allowDestroy,omitempty"`
	// Again is the command to type after a refusal: it shows what would be deleted,
	// or says that it may be; empty for the lab's plan as it stands.
	Again string `json:"again,omitempty"`
}

// ErrChanged says that the lab's description is another one by now than the one
// that a change was made of: read it again, and make the change again.
var ErrChanged = errors.New("the lab was changed meanwhile")

// Lab is what a provider makes of a description: what is wanted, who carries it
// out, and where it answers. Its parts live as long as the runner.
type Lab interface {
	// Users lists the Kafka users that need a password.
	Users(state.Description) ([]string, error)
	// Accounts lists what else needs a password: programs of others, by name.
	Accounts(state.Description) []string
	// Tokens lists the tokens that need a secret.
	Tokens(state.Description) ([]string, error)
	// Wanted is pure.
	Wanted(state.Description) (plan.Wanted, error)
	// Parts gives the parts by key.
	Parts() map[string]plan.Part
	// SetCredentials hands the secrets to the parts, before every walk.
	SetCredentials(endpoints.Credentials)
	// Endpoints makes the connection card from the outputs of the parts.
	Endpoints(state.Description, map[string]map[string]string) (endpoints.Endpoints, error)
	// Status says what the parts do at the moment, by key.
	Status() map[string]event.Activity
}

// Status is what a runner says of itself.
type Status struct {
	Lab       string                  `json:"lab"`
	PID       int                     `json:"pid"`
	Started   time.Time               `json:"started"`
	Profile   string                  `json:"profile"`
	Overrides []string                `json:"overrides,omitempty"` // of the profile, NAME=VALUE
	Overlay   []profiles.OverlayEntry `json:"overlay,omitempty"`   // what was changed on the living lab
	Provider  string                  `json:"provider"`
	Stack     string                  `json:"stack"`
	Ready     bool                    `json:"ready"`   // the last walk ended well
	Walking   bool                    `json:"walking"` // a walk is going on
	Parts     []PartStatus            `json:"parts"`
	Endpoints *endpoints.Endpoints    `json:"endpoints,omitempty"`
}

// Controllable is a part that takes orders while it runs, between walks: nothing
// that is wanted changes, so nothing of it outlives the runner.
type Controllable interface {
	// Control carries out one verb, e.g. "pause", and says in a line what came of
	// it. An order that is unknown or senseless is a *fault.Fault.
	Control(ctx context.Context, verb string, args ...string) (said string, err error)
}

// Attender is a part that listens to what it made, for as long as its process lives.
type Attender interface {
	// Attend is told its input as it was last applied. It may be called again.
	Attend(applied json.RawMessage)
}

// attend has every part listen, those that an earlier runner applied too.
func (s *Server) attend() {
	s.mu.Lock()
	lab, journal := s.lab, s.journal
	s.mu.Unlock()
	for key, part := range lab.Parts() {
		if a, ok := part.(Attender); ok {
			if last, _ := run.Last(journal.Entries(), key); last.Resolved != nil {
				a.Attend(last.Resolved)
			}
		}
	}
}

// PartStatus is one part of the lab.
type PartStatus struct {
	Key   string     `json:"key"`
	State plan.State `json:"state"`
	Seen  string     `json:"seen"`
	// Amiss is how a part that is there differs from what it should be, or what of it
	// does not run; empty when nothing does. Seen says it then, too.
	Amiss string       `json:"amiss,omitempty"`
	Facts []event.Fact `json:"facts,omitempty"`
	// Detail is for programs, in a shape of the part's own.
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Server owns one lab.
type Server struct {
	Dir state.Dir
	// Open makes the lab of a description; called once, at the first walk.
	Open func(state.Description) (Lab, error)
	Log  *slog.Logger
	// Recorder, when set, stands between the walk and the journal; tests cut
	// the process short there.
	Recorder func(run.Recorder) run.Recorder
	// Remedy gives the next command for an error that a part returned, "" when
	// none is known; may be nil.
	Remedy func(error) string
	// LockWait bounds the wait for another runner that owns the lab and may be
	// on its way out; zero means 10 s.
	LockWait time.Duration

	started time.Time
	hub     hub
	quit    context.CancelFunc
	// listener is closed, and its socket removed, before the last event of a
	// runner that leaves; leaving tells Serve so.
	listener net.Listener
	leaving  atomic.Bool
	// goingDown says that a down interrupts the walk and follows it at once: the walk
	// stops nothing itself then, and the runner stays for the down.
	goingDown atomic.Bool

	mu      sync.Mutex
	lab     Lab
	journal *run.Journal
	ready   bool
	walk    *walk // nil when none goes on
}

// walk is one walk under way.
type walk struct {
	cancel context.CancelFunc
	over   chan struct{}
}

// Serve listens on the lab's socket until ctx ends or the lab is taken down. When
// ctx ends it stops what runs, keeping what is stored. listening is called once
// the socket answers. The error is state.ErrLocked when another runner owns the
// lab.
func (s *Server) Serve(ctx context.Context, listening func()) error {
	lock, err := s.takeLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	// A purge that ended while we waited took the directory with it.
	if err := s.Dir.Create(); err != nil {
		return err
	}
	socket := s.Dir.Socket()
	// The lock is ours, so a socket that is there belongs to a dead runner.
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var ln net.Listener
	err = state.WithSharedTemp(func(string) error {
		ln, err = net.Listen("unix", socket)
		return err
	})
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	s.started, s.listener = time.Now(), ln
	serving, quit := context.WithCancel(ctx)
	defer quit()
	s.quit = quit
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	s.Log.Info("runner started", "lab", s.Dir.Lab(), "pid", os.Getpid())
	listening()
	select {
	case err := <-failed:
		if !s.leaving.Load() {
			return err
		}
		<-serving.Done()
	case <-serving.Done():
	}
	if ctx.Err() != nil { // asked to end from outside: leave nothing running
		s.leaving.Store(true) // no walk begins from here on
		s.Log.Info("runner was asked to end", "cause", context.Cause(ctx))
		s.interrupt()
		if err := s.takeDown(plan.Down); err != nil {
			s.Log.Error("taking the lab down", "error", err)
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.closeSocket()
	if err = srv.Shutdown(end); errors.Is(err, net.ErrClosed) {
		err = nil // it was closed here, before the server noticed
	}
	s.Log.Info("runner ended")
	return err
}

// takeLock takes the lab's lock. A runner that is on its way out may still hold
// it for a moment, so it is waited for, with a bound. A purge removes the folder
// that the lock's file lies in; then the folder is made again.
func (s *Server) takeLock(ctx context.Context) (*state.Lock, error) {
	bound := s.LockWait
	if bound == 0 {
		bound = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		err := s.Dir.Create()
		if err == nil {
			var lock *state.Lock
			if lock, err = state.TryLock(s.Dir.LockPath()); err == nil {
				return lock, nil
			}
		}
		switch {
		case errors.Is(err, state.ErrLocked):
			free, err := state.Watch(s.Dir.LockPath())
			if err != nil {
				return nil, err
			}
			if free(ctx) != nil {
				return nil, state.ErrLocked
			}
		case !errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil:
			return nil, err
		}
	}
}

// leave ends the runner after its last walk. The socket goes first: whoever
// dials from now on finds no runner and starts one of its own, which waits for
// our lock. Followers of the last walk still get its last event.
func (s *Server) leave(w *walk, last event.Event) {
	s.closeSocket()
	s.end(w, last)
	s.quit()
}

// closeSocket ends the listening, once and for all. It must be done while the
// lock is held: later it could remove the socket of the next runner.
func (s *Server) closeSocket() {
	s.leaving.Store(true)
	if s.listener != nil { // else this process only deletes the lab
		s.listener.Close()
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ping", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/up", s.serveUp)
	mux.HandleFunc("POST /v1/down", s.serveDown)
	mux.HandleFunc("POST /v1/cancel", func(w http.ResponseWriter, _ *http.Request) { s.interrupt() })
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, s.hub.subscribe()) })
	mux.HandleFunc("GET /v1/snapshot", s.serveSnapshot)
	mux.HandleFunc("GET /v1/status", s.serveStatus)
	mux.HandleFunc("POST /v1/control", s.serveControl)
	s.handleBrokers(mux)
	return mux
}

// interrupt cancels the walk that goes on, if any, and waits for its end.
func (s *Server) interrupt() {
	s.mu.Lock()
	w := s.walk
	s.mu.Unlock()
	if w != nil {
		w.cancel()
		<-w.over
	}
}

// begin reserves the right to walk. It refuses while another walk goes on, and
// once the runner is leaving.
func (s *Server) begin() (*walk, context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.leaving.Load():
		return nil, nil, fault.New(fault.StepFailed, "the lab is being taken down", "its runner is about to end", "alertlab up --lab "+s.Dir.Lab())
	case s.walk != nil:
		return nil, nil, fault.New(fault.StepFailed, "the lab is being changed already", "another walk goes on in its runner",
			"alertlab attach --lab "+s.Dir.Lab()+"   # follows it")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.walk = &walk{cancel: cancel, over: make(chan struct{})}
	return s.walk, ctx, nil
}

// end gives the right to walk back, together with the walk's last event: the next
// walk begins behind it, so that no follower takes it for one of the next walk's.
func (s *Server) end(w *walk, last ...event.Event) {
	s.mu.Lock()
	s.walk = nil
	for _, e := range last {
		s.hub.publish(e)
	}
	s.mu.Unlock()
	w.cancel()
	close(w.over)
}

func (s *Server) serveUp(rw http.ResponseWriter, r *http.Request) {
	var change Change
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w, ctx, err := s.begin()
	if err != nil {
		refuse(rw, err)
		return
	}
	if change.From != "" {
		if now, err := s.Dir.Describe(); err != nil || now.Digest() != change.From {
			http.Error(rw, ErrChanged.Error(), http.StatusPreconditionFailed)
			if s.anythingRuns() {
				s.end(w)
				return
			}
			// One that was started for this change would own the lab for ever.
			s.leave(w, event.Event{Time: time.Now(), Lab: s.Dir.Lab(), Kind: event.Finished, Text: string(plan.Up), Problem: s.problemOf(ErrChanged)})
			return
		}
	}
	events := s.hub.restart()
	go func() {
		finished := s.up(ctx, change)
		if finished.Problem != nil && !s.anythingRuns() && !s.goingDown.Load() { // nothing to own
			s.leave(w, finished)
			return
		}
		s.end(w, finished)
	}()
	s.stream(rw, r, events)
}

// up brings the lab to what the description says and returns the walk's last
// event, which is published only once everything that it stands for is on disk.
func (s *Server) up(ctx context.Context, change Change) event.Event {
	began, desc, ran := time.Now(), change.Description, s.anythingRuns()
	var finished event.Event
	took := steptimes{}
	emit := func(e event.Event) {
		s.logEvent(e)
		took.see(e)
		if e.Kind == event.Finished {
			finished = e
			return
		}
		s.hub.publish(e)
	}
	err := s.bringUp(ctx, change, emit, &ran)
	if err == nil {
		s.attend()
	}
	switch {
	case err == nil || ctx.Err() == nil:
	case s.goingDown.Load():
	case ran:
		// Of a lab that others use nothing is stopped: it stays as after a change
		// that failed.
		s.hub.publish(event.Event{Time: time.Now(), Lab: desc.Name, Kind: event.Note, Text: "interrupted: what ran before runs on, what is missing is for the next up"})
	default:
		// An interrupted bring-up leaves nothing half up. One that was whole
		// before the interruption came stays.
		s.hub.publish(event.Event{Time: time.Now(), Lab: desc.Name, Kind: event.Note, Text: "interrupted: stopping what runs, keeping what is stored"})
		if down := s.takeDown(plan.Down); down != nil {
			s.Log.Error("stopping after an interruption", "error", down)
		}
	}
	if finished.Kind == "" || (err != nil && finished.Problem == nil) {
		finished = event.Event{Time: time.Now(), Lab: desc.Name, Kind: event.Finished, Text: string(plan.Up),
			Elapsed: event.Duration(time.Since(began)), Problem: s.problemOf(err)}
	}
	if times := took.all(); len(times) > 0 {
		if err := s.Dir.AddTimes(times); err != nil { // only the next walk's progress bar misses them
			s.Log.Warn("keeping the times of the steps", "error", err)
		}
	}
	if p := finished.Problem; p == nil || p.Code != int(fault.BadInput) { // else nothing was done: the lab is as it was
		s.mu.Lock()
		s.ready = p == nil
		s.mu.Unlock()
	}
	return finished
}

// problemOf is what an event carries of an error that no step has given a remedy.
func (s *Server) problemOf(err error) *event.Problem {
	p := run.ProblemOf(err)
	if p != nil && p.Next == "" && s.Remedy != nil {
		p.Next = s.Remedy(err)
	}
	return p
}

// bringUp plans and walks. ran is set where a lab that was whole once, and so may be in
// use, is found to run without this process having started it.
func (s *Server) bringUp(ctx context.Context, change Change, emit event.Sink, ran *bool) error {
	desc := change.Description
	lab, journal, err := s.open(desc)
	if err != nil {
		return err
	}
	wanted, err := lab.Wanted(desc)
	if err != nil {
		return err
	}
	users, err := lab.Users(desc)
	if err != nil {
		return err
	}
	tokens, err := lab.Tokens(desc)
	if err != nil {
		return err
	}
	creds, err := s.Dir.EnsureCredentials(users, lab.Accounts(desc)...)
	if err != nil {
		return err
	}
	lab.SetCredentials(creds)
	entries := journal.Entries()
	seen := run.Observe(ctx, wanted, lab.Parts(), entries)
	if _, err := s.Dir.Endpoints(); err == nil {
		for _, w := range wanted.Parts {
			*ran = *ran || (w.Runs && seen[w.Key].State == plan.Present)
		}
	}
	p, err := plan.Make(wanted, seen)
	if err != nil {
		return err
	}
	if err := Refused(p, change.AllowDestroy); err != nil {
		if change.Again != "" {
			err.Next = change.Again
		}
		return err
	}
	// From here on it is what is wanted. The description first: if this process ends in between, the next walk sets
	// the passwords that are kept, and those are the ones that everybody knows.
	if err := s.Dir.SetDescription(desc); err != nil {
		return err
	}
	if len(change.Passwords) > 0 {
		if _, err = s.Dir.SetPasswords(change.Passwords); err != nil {
			return err
		}
	}
	if creds, err = s.Dir.SetTokens(tokens); err != nil {
		return err
	}
	lab.SetCredentials(creds)
	var recorder run.Recorder = journal
	if s.Recorder != nil {
		recorder = s.Recorder(journal)
	}
	w := run.Walk{Plan: p, Parts: lab.Parts(), Journal: recorder, Last: entries, Emit: emit, Remedy: s.Remedy}
	if err := w.Run(ctx); err != nil {
		return err
	}
	card, err := lab.Endpoints(desc, run.Outputs(journal.Entries()))
	if err != nil {
		return err
	}
	return s.Dir.SetEndpoints(card)
}

// Refused says why a plan must not be carried out: it would destroy something, and
// that was not asked for. It is nil when nothing stands against it.
func Refused(p *plan.Plan, allowDestroy bool) *fault.Fault {
	lost := p.Destroys()
	if allowDestroy || len(lost) == 0 {
		return nil
	}
	return fault.New(fault.BadInput, "this would destroy what the lab holds, and is refused; nothing was done", strings.Join(lost, "; "),
		"alertlab plan --lab "+p.Lab+"   # shows it; the same command with --allow-destroy does it")
}

// open makes the lab and opens its journal, once.
func (s *Server) open(desc state.Description) (Lab, *run.Journal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lab != nil {
		return s.lab, s.journal, nil
	}
	lab, err := s.Open(desc)
	if err != nil {
		return nil, nil, err
	}
	journal, err := run.OpenJournal(s.Dir.Journal())
	if err != nil {
		return nil, nil, err
	}
	s.lab, s.journal = lab, journal
	return lab, journal, nil
}

func (s *Server) serveDown(rw http.ResponseWriter, r *http.Request) {
	goal := plan.Down
	if r.URL.Query().Get("purge") == "true" {
		goal = plan.Purge
	}
	s.goingDown.Store(true)
	s.interrupt()
	w, _, err := s.begin()
	if err != nil {
		s.goingDown.Store(false)
		refuse(rw, err)
		return
	}
	events := s.hub.restart()
	go func() {
		var finished event.Event
		err := s.takeDownWith(context.Background(), goal, func(e event.Event) {
			s.logEvent(e)
			if e.Kind == event.Finished {
				finished = e
				return
			}
			s.hub.publish(e)
		})
		if finished.Kind == "" || err != nil {
			finished = event.Event{Time: time.Now(), Lab: s.Dir.Lab(), Kind: event.Finished, Text: string(goal), Problem: s.problemOf(err)}
		}
		s.leave(w, finished)
	}()
	s.stream(rw, r, events)
}

func (s *Server) takeDown(goal plan.Goal) error {
	return s.takeDownWith(context.Background(), goal, s.logEvent)
}

// takeDownWith stops the lab, and deletes it when the goal is plan.Purge.
func (s *Server) takeDownWith(ctx context.Context, goal plan.Goal, emit event.Sink) error {
	desc, err := s.Dir.Describe()
	if errors.Is(err, fs.ErrNotExist) { // nothing was ever brought up
		if goal == plan.Purge {
			s.closeSocket()
			err = s.Dir.Delete()
		} else {
			err = nil
		}
		emit(event.Event{Time: time.Now(), Lab: s.Dir.Lab(), Kind: event.Finished, Text: string(goal), Unchanged: err == nil && goal == plan.Down, Problem: s.problemOf(err)})
		return err
	}
	if err != nil {
		return err
	}
	lab, journal, err := s.open(desc)
	if err != nil {
		return err
	}
	wanted, err := lab.Wanted(desc)
	if err != nil {
		return err
	}
	entries := journal.Entries()
	p, err := plan.MakeDown(wanted, run.Observe(ctx, wanted, lab.Parts(), entries), goal)
	if err != nil {
		return err
	}
	w := run.Walk{Plan: p, Parts: lab.Parts(), Journal: journal, Last: entries, Emit: emit, Remedy: s.Remedy}
	if err := w.Run(ctx); err != nil || goal != plan.Purge {
		return err
	}
	s.closeSocket()
	return errors.Join(journal.Close(), s.Dir.Delete())
}

// Purge deletes a lab that no runner owns. The caller holds the lab's lock.
func (s *Server) Purge(ctx context.Context, emit event.Sink) error {
	return s.takeDownWith(ctx, plan.Purge, emit)
}

// opened gives the lab, nil before the first walk.
func (s *Server) opened() Lab {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lab
}

// anythingRuns says whether a part of the lab runs in or under this process.
func (s *Server) anythingRuns() bool {
	lab := s.opened()
	if lab == nil {
		return false
	}
	for _, a := range lab.Status() {
		if a.Running {
			return true
		}
	}
	return false
}

func (s *Server) serveSnapshot(rw http.ResponseWriter, r *http.Request) {
	desc, err := s.Dir.Describe()
	if err != nil {
		refuse(rw, err)
		return
	}
	// The caller may want something else than the lab is: it asks about its
	// own description, and of the lab's nothing stands in for what that leaves out.
	if r.ContentLength > 0 {
		desc = state.Description{}
		if err := json.NewDecoder(r.Body).Decode(&desc); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
	}
	lab, journal, err := s.open(desc)
	if err != nil {
		refuse(rw, err)
		return
	}
	wanted, err := lab.Wanted(desc)
	if err != nil {
		refuse(rw, err)
		return
	}
	answer(rw, run.Observe(r.Context(), wanted, lab.Parts(), journal.Entries()))
}

func (s *Server) serveStatus(rw http.ResponseWriter, r *http.Request) {
	st := Status{Lab: s.Dir.Lab(), PID: os.Getpid(), Started: s.started}
	s.mu.Lock()
	lab, journal := s.lab, s.journal
	st.Ready, st.Walking = s.ready, s.walk != nil
	s.mu.Unlock()
	if desc, err := s.Dir.Describe(); err == nil && lab != nil {
		st.Profile, st.Provider, st.Stack, st.Overrides = desc.Profile, desc.Provider, desc.Stack, desc.Overrides
		st.Overlay = desc.Overlay.Entries()
		if wanted, err := lab.Wanted(desc); err == nil {
			seen, doing := run.Observe(r.Context(), wanted, lab.Parts(), journal.Entries()), lab.Status()
			for _, want := range wanted.Parts {
				o := seen[want.Key]
				amiss := cmp.Or(o.Drift, o.Away)
				st.Parts = append(st.Parts, PartStatus{Key: want.Key, State: o.State, Seen: cmp.Or(amiss, o.Why), Amiss: amiss, Facts: doing[want.Key].Facts, Detail: doing[want.Key].Detail})
			}
		}
	}
	if card, err := s.Dir.Endpoints(); err == nil {
		st.Endpoints = &card
	}
	answer(rw, st)
}

// order is the body of a control request, and said that of its answer.
type (
	order struct {
		Part string   `json:"part"`
		Verb string   `json:"verb"`
		Args []string `json:"args,omitempty"`
	}
	said struct {
		Said string `json:"said"`
	}
)

// serveControl hands an order to a part.
func (s *Server) serveControl(rw http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	s.alone(rw, r, func(ctx context.Context) error {
		lab := s.opened()
		var part Controllable
		if lab != nil {
			part, _ = lab.Parts()[o.Part].(Controllable)
		}
		if part == nil {
			return fault.New(fault.StepFailed, fmt.Sprintf("%s takes no orders", o.Part), "the lab has no such part, or it cannot be controlled", "alertlab status --lab "+s.Dir.Lab())
		}
		text, err := part.Control(ctx, o.Verb, o.Args...)
		if err != nil {
			s.Log.Warn("order refused", "part", o.Part, "verb", o.Verb, "error", err)
			return err
		}
		s.Log.Info("order", "part", o.Part, "verb", o.Verb, "args", o.Args, "said", text)
		answer(rw, said{text})
		return nil
	})
}

// alone does something with what runs while no walk goes on, and answers when it
// fails: a walk and a kill at once would each meet what the other leaves half done,
// and an order could reach a part that is being started anew. Neither waits for the
// other: the second is refused. What has begun goes to its end, whoever asked for it.
func (s *Server) alone(rw http.ResponseWriter, r *http.Request, do func(context.Context) error) {
	w, walking, err := s.begin()
	if err != nil {
		refuse(rw, err)
		return
	}
	defer s.end(w)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), aloneTime)
	defer cancel()
	stop := context.AfterFunc(walking, cancel) // the runner is asked to end
	defer stop()
	if err := do(ctx); err != nil {
		p := s.problemOf(err)
		refuse(rw, &fault.Fault{What: p.What, Why: p.Why, Next: p.Next, Code: fault.Code(p.Code)})
	}
}

// aloneTime bounds what is done between walks: a restart of brokers takes the longest,
// which in pods have a minute for their end, and start side by side on one machine.
const aloneTime = 5 * time.Minute

// stream writes events, a line each, until the walk is over or the follower is
// gone. That a follower is gone changes nothing for the walk.
func (s *Server) stream(rw http.ResponseWriter, r *http.Request, sub *subscription) {
	defer s.hub.unsubscribe(sub)
	rw.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(rw)
	flush := http.NewResponseController(rw)
	for {
		batch, open := sub.next(r.Context())
		for _, e := range batch {
			if err := enc.Encode(e); err != nil {
				return
			}
		}
		if err := flush.Flush(); err != nil || !open {
			return
		}
	}
}

func (s *Server) logEvent(e event.Event) {
	var attrs []any
	if e.Step != "" {
		attrs = append(attrs, "step", e.Step)
	}
	if e.Gate != "" {
		attrs = append(attrs, "gate", e.Gate, "seen", e.Seen)
	}
	if e.Text != "" {
		attrs = append(attrs, "text", e.Text)
	}
	if e.Elapsed != 0 {
		attrs = append(attrs, "elapsed", time.Duration(e.Elapsed).Round(time.Millisecond))
	}
	if e.Problem != nil {
		s.Log.Error(string(e.Kind), append(attrs, "problem", fmt.Sprintf("%s: %s", e.Problem.What, e.Problem.Why))...)
		return
	}
	if e.Kind != event.Progress {
		s.Log.Info(string(e.Kind), attrs...)
	}
}

func answer(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(rw).Encode(v); err != nil {
		slog.Debug("answering", "error", err) // the client is gone
	}
}

// refuse answers with a problem.
func refuse(rw http.ResponseWriter, err error) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusConflict)
	json.NewEncoder(rw).Encode(run.ProblemOf(err))
}
