package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// Recorder keeps steps; a *Journal is one.
type Recorder interface {
	Begin(Entry) error  // a step whose work is about to begin
	Append(Entry) error // a finished step
}

// Walk is one carrying-out of a plan.
type Walk struct {
	Plan    *plan.Plan
	Parts   map[string]plan.Part // by key
	Journal Recorder
	// Last holds the journal's entries of earlier walks.
	Last []Entry
	Emit event.Sink
	// Remedy gives the next command for an error that a part returned, "" when
	// none is known; may be nil.
	Remedy func(error) string
}

// Run walks the plan and returns when every step is done, or when no more can be
// done. Steps that need each other follow each other, the rest go side by side.
// The journal has every step before its work begins. A step is done only once its work has ended well, every one of its gates is
// open and the journal has it; only then may others build on it. After a failure
// no further step begins, and those under way are waited for. When ctx ends,
// those under way are cancelled.
//
// Exactly one event.Finished is emitted, last. The error is a fault: of code
// Interrupted when ctx ended, else StepFailed, naming the step.
func (w *Walk) Run(ctx context.Context) error {
	began := time.Now()
	err := w.run(ctx)
	end := event.Event{Kind: event.Finished, Elapsed: event.Duration(time.Since(began)), Text: string(w.Plan.Goal),
		Unchanged: err == nil && w.Plan.Empty(), Problem: ProblemOf(err)}
	w.emit(end)
	return err
}

func (w *Walk) emit(e event.Event) {
	e.Time, e.Lab = time.Now(), w.Plan.Lab
	w.Emit(e)
}

func (w *Walk) run(ctx context.Context) error {
	w.emit(event.Event{Kind: event.Planned, Text: string(w.Plan.Goal), Steps: steps(w.Plan)})
	// They are said when the lab comes up, not with every change of it.
	comes := slices.ContainsFunc(w.Plan.Steps, func(s plan.Step) bool { return s.Action == plan.Create || s.Action == plan.Start })
	for _, c := range w.Plan.Concessions {
		if !comes {
			break
		}
		w.emit(event.Event{Kind: event.Note, Text: "conceded: " + c})
	}
	if len(w.Plan.Blocks) > 0 && ctx.Err() != nil {
		return w.interrupted(ctx) // nothing could be looked at for that reason alone
	}
	if len(w.Plan.Blocks) > 0 {
		var why []string
		causes, behind := w.Plan.Causes()
		for _, b := range causes {
			why = append(why, b.Key+": "+b.Why)
		}
		if n := len(behind); n > 0 {
			why = append(why, fmt.Sprintf("%d parts can only be looked at through that", n))
		}
		return fault.New(fault.StepFailed, "the plan is blocked, nothing was done", strings.Join(why, "; "),
			"alertlab plan --lab "+w.Plan.Lab)
	}

	begin, halt := context.WithCancelCause(ctx) // ends the beginning of steps
	defer halt(nil)
	outputs := newOutputs(w.Plan.Known)
	done := map[string]chan struct{}{} // closed on success only
	for _, s := range w.Plan.Steps {
		done[s.Key] = make(chan struct{})
	}
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		first   error
		skipped bool
	)
	for _, s := range w.Plan.Steps {
		wg.Go(func() {
			for _, need := range s.Needs {
				select {
				case <-done[need]:
				case <-begin.Done():
				}
			}
			if begin.Err() != nil {
				mu.Lock()
				skipped = true
				mu.Unlock()
				w.emit(event.Event{Kind: event.Skipped, Step: s.Key, Action: string(s.Action), Text: reason(begin)})
				return
			}
			if err := w.step(ctx, s, outputs); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
				halt(fmt.Errorf("%s failed", s.Key))
				return
			}
			close(done[s.Key])
		})
	}
	wg.Wait()
	// An interruption that came too late to cut anything short is none.
	if ctx.Err() != nil && (first != nil || skipped) {
		return w.interrupted(ctx)
	}
	return first
}

func (w *Walk) interrupted(ctx context.Context) error {
	return &fault.Fault{What: fmt.Sprintf("%s was interrupted", w.Plan.Goal), Why: "what was done so far is kept",
		Next: "alertlab " + string(w.Plan.Goal) + " --lab " + w.Plan.Lab, Code: fault.Interrupted, Err: ctx.Err()}
}

// reason says why no more steps begin.
func reason(ctx context.Context) string {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause.Error()
	}
	return "interrupted"
}

// step does one step from its first event to its last.
func (w *Walk) step(ctx context.Context, s plan.Step, outputs *outputs) error {
	began := time.Now()
	w.emit(event.Event{Kind: event.Began, Step: s.Key, Action: string(s.Action)})
	err := w.do(ctx, s, outputs, began)
	if err != nil && ctx.Err() != nil {
		// What was cut short did not fail: the walk as a whole says so, once.
		err = &fault.Fault{What: fmt.Sprintf("step %s (%s) was cut short", s.Key, s.Action), Why: err.Error(), Code: fault.Interrupted, Err: err}
	}
	e := event.Event{Kind: event.Done, Step: s.Key, Action: string(s.Action), Elapsed: event.Duration(time.Since(began))}
	if err != nil {
		next := ""
		if w.Remedy != nil {
			next = w.Remedy(err)
		}
		if next == "" {
			next = "alertlab logs " + plan.PartOf(s) + " --lab " + w.Plan.Lab
		}
		err = fault.Wrap(fault.StepFailed, fmt.Sprintf("step %s (%s) failed", s.Key, s.Action), err, next)
		e.Kind, e.Problem = event.Failed, ProblemOf(err)
	}
	w.emit(e)
	return err
}

func (w *Walk) do(ctx context.Context, s plan.Step, outputs *outputs, began time.Time) error {
	key := plan.PartOf(s)
	part, ok := w.Parts[key]
	if !ok {
		return fmt.Errorf("no part carries out %s (%s)", key, s.Implementation)
	}
	entry := Entry{Plan: w.Plan.Digest(), Step: key, Action: s.Action, Input: s.Input}
	switch s.Action {
	case plan.Stop:
		stopper, ok := part.(plan.Stopper)
		if !ok {
			return fmt.Errorf("%s cannot be stopped", key)
		}
		// What was applied stays known while the part is stopped.
		return stopper.Stop(ctx)
	case plan.Remove:
		remover, ok := part.(plan.Remover)
		if !ok {
			return fmt.Errorf("%s cannot be removed", key)
		}
		if err := remover.Remove(ctx); err != nil {
			return err
		}
	case plan.Note:
		last, _ := Last(w.Last, key)
		entry.Resolved, entry.Outputs, entry.Holds = last.Resolved, last.Outputs, s.Holds
		outputs.set(key, last.Outputs)
	default:
		resolved, err := plan.Resolve(s.Input, outputs.all())
		if err != nil {
			return err
		}
		last, begun := Last(w.Last, key)
		begin := entry
		begin.Time, begin.Resolved, begin.Destroys = time.Now(), resolved, s.Destroys
		if err := w.Journal.Begin(begin); err != nil {
			return err
		}
		order := plan.Order{Action: s.Action, Input: resolved, Last: last.Outputs, LastInput: last.Resolved, Destroy: len(s.Destroys) > 0,
			Progress: seldom(func(count, total int64, unit string) {
				w.emit(event.Event{Kind: event.Progress, Step: s.Key, Count: count, Total: total, Unit: unit, Elapsed: event.Duration(time.Since(began))})
			})}
		for _, b := range begun {
			order.Begun = append(order.Begun, b.Resolved)
		}
		if s.Action == plan.Update {
			if err := w.stopUsers(ctx, key); err != nil {
				return err
			}
		}
		out, err := part.Apply(ctx, order)
		if err != nil {
			return err
		}
		if entry.Gates, err = w.wait(ctx, s, part, order, began); err != nil {
			return err
		}
		outputs.set(key, out)
		entry.Resolved, entry.Outputs, entry.Holds = resolved, out, s.Holds
	}
	entry.Time, entry.Elapsed = time.Now(), time.Since(began)
	return w.Journal.Append(entry)
}

// stopUsers stops what uses a part that is about to change and has a step of its own
// behind it, the last first: it can still say goodbye at the addresses that it knows,
// where a group's member would else be waited for, and lets go of ports that others
// get. Its own step starts it again.
func (w *Walk) stopUsers(ctx context.Context, key string) error {
	uses, behind := map[string]bool{key: true}, map[string]bool{key: true}
	var users []plan.Stopper
	for _, s := range w.Plan.Steps { // each stands behind what it uses
		// One that does not wait for this step may have been started again already.
		if !slices.ContainsFunc(s.Needs, func(need string) bool { return behind[need] }) {
			continue
		}
		behind[s.Key] = true
		if s.Action != plan.Update || !slices.ContainsFunc(plan.References(s.Input), func(r plan.Reference) bool { return uses[r.Part] }) {
			continue
		}
		uses[s.Key] = true
		if stopper, ok := w.Parts[s.Key].(plan.Stopper); ok {
			users = append(users, stopper)
		}
	}
	for _, user := range slices.Backward(users) {
		if err := user.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// seldom passes on what is reported at most twenty times a second, and the end
// always: a part may count every one of ten thousand alerts, and every follower
// would get, and keep, an event for each.
func seldom(report func(count, total int64, unit string)) func(count, total int64, unit string) {
	const pause = 50 * time.Millisecond
	var (
		mu   sync.Mutex
		last time.Time
	)
	return func(count, total int64, unit string) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if count != total && now.Sub(last) < pause {
			return
		}
		last = now
		report(count, total, unit)
	}
}

// wait opens the gates of a step, one after the other.
func (w *Walk) wait(ctx context.Context, s plan.Step, part plan.Part, order plan.Order, began time.Time) ([]Opening, error) {
	var open []Opening
	for _, g := range s.Gates {
		waiter, ok := part.(plan.Waiter)
		if !ok {
			return nil, fmt.Errorf("gate %s: nobody can look at it", g.Name)
		}
		var mu sync.Mutex
		last := "nothing yet"
		seen := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			if what == last {
				return
			}
			last = what
			w.emit(event.Event{Kind: event.Waiting, Step: s.Key, Gate: g.What, Seen: what, Elapsed: event.Duration(time.Since(began))})
		}
		bound, cancel := context.WithTimeout(ctx, g.Deadline)
		err := waiter.Wait(bound, g, order, seen)
		expired := bound.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			open = append(open, Opening{Gate: g.Name, Time: time.Now()})
		case expired && errors.Is(err, context.DeadlineExceeded):
			mu.Lock()
			defer mu.Unlock()
			return nil, fmt.Errorf("waited %s until %s; seen last: %s", g.Deadline, g.What, last)
		default:
			return nil, fmt.Errorf("until %s: %w", g.What, err)
		}
	}
	return open, nil
}

// ProblemOf turns an error into what an event carries; nil for nil.
func ProblemOf(err error) *event.Problem {
	if err == nil {
		return nil
	}
	p := &event.Problem{What: err.Error(), Code: int(fault.CodeOf(err))}
	var f *fault.Fault
	if errors.As(err, &f) {
		p.What, p.Why, p.Next = f.What, f.Why, f.Next
	}
	return p
}

func steps(p *plan.Plan) []event.Step {
	out := make([]event.Step, 0, len(p.Steps))
	for _, s := range p.Steps {
		out = append(out, event.Step{Key: s.Key, Action: string(s.Action), Title: s.Title, Cause: s.Cause, Needs: s.Needs})
	}
	return out
}

// outputs are the named results of parts while a walk goes on.
type outputs struct {
	mu sync.Mutex
	m  map[string]map[string]string
}

func newOutputs(known map[string]map[string]string) *outputs {
	o := &outputs{m: map[string]map[string]string{}}
	for k, v := range known {
		o.m[k] = v
	}
	return o
}

func (o *outputs) set(part string, out map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.m[part] = out
}

// all gives a copy that later outputs do not change.
func (o *outputs) all() map[string]map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := make(map[string]map[string]string, len(o.m))
	for k, v := range o.m {
		c[k] = v
	}
	return c
}
