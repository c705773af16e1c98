package run_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
)

// fake is a part whose work is functions; nil ones succeed at once.
type fake struct {
	observe func(context.Context, plan.Look) (plan.Observation, error)
	apply   func(context.Context, plan.Order) (map[string]string, error)
	wait    func(context.Context, plan.Gate, func(string)) error
	stop    func(context.Context) error
	remove  func(context.Context) error
}

func (f *fake) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	return f.observe(ctx, look)
}

func (f *fake) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	if f.apply == nil {
		return nil, nil
	}
	return f.apply(ctx, order)
}

func (f *fake) Wait(ctx context.Context, gate plan.Gate, _ plan.Order, seen func(string)) error {
	if f.wait == nil {
		return nil
	}
	return f.wait(ctx, gate, seen)
}

func (f *fake) Stop(ctx context.Context) error {
	if f.stop == nil {
		return nil
	}
	return f.stop(ctx)
}

func (f *fake) Remove(ctx context.Context) error {
	if f.remove == nil {
		return nil
	}
	return f.remove(ctx)
}

// plain is a part that can only be applied.
type plain struct{}

func (plain) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{}, nil
}
func (plain) Apply(context.Context, plan.Order) (map[string]string, error) { return nil, nil }

// record is a Recorder in memory that fails where it is told to.
type record struct {
	mu      sync.Mutex
	entries []run.Entry
	begun   []run.Entry
	fail    map[string]error // by step
	refuse  map[string]error // by step, of what begins
}

func (r *record) Begin(e run.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = append(r.begun, e)
	return r.refuse[e.Step]
}

func (r *record) Append(e run.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail[e.Step]; err != nil {
		return err
	}
	r.entries = append(r.entries, e)
	return nil
}

func (r *record) steps() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.entries {
		out = append(out, e.Step)
	}
	return out
}

// trace collects events, and tells whoever waits that one came.
type trace struct {
	mu     sync.Mutex
	events []event.Event
	onto   func(event.Event)
}

func (tr *trace) emit(e event.Event) {
	tr.mu.Lock()
	tr.events = append(tr.events, e)
	tr.mu.Unlock()
	if tr.onto != nil {
		tr.onto(e)
	}
}

func (tr *trace) all() []event.Event {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.events)
}

// of lists the events of a step as kinds.
func (tr *trace) of(step string) []event.Kind {
	var out []event.Kind
	for _, e := range tr.all() {
		if e.Step == step {
			out = append(out, e.Kind)
		}
	}
	return out
}

func step(key string, needs ...string) plan.Step {
	return plan.Step{Key: key, Action: plan.Create, Implementation: "fake", Needs: needs, Input: json.RawMessage(`{}`)}
}

// walk runs steps with parts and checks what holds of every walk's events.
func walk(ctx context.Context, t *testing.T, w *run.Walk, tr *trace) error {
	t.Helper()
	w.Emit = tr.emit
	if w.Journal == nil {
		w.Journal = &record{}
	}
	w.Plan.Lab, w.Plan.Goal = "default", cmp.Or(w.Plan.Goal, plan.Up)
	err := w.Run(ctx)
	events := tr.all()
	if len(events) == 0 || events[0].Kind != event.Planned || len(events[0].Steps) != len(w.Plan.Steps) {
		t.Fatalf("the first event is not the plan: %+v", events)
	}
	for i, e := range events {
		if (e.Kind == event.Finished) != (i == len(events)-1) {
			t.Errorf("event %d of %d is %s", i, len(events), e.Kind)
		}
		if e.Lab != "default" || e.Time.IsZero() {
			t.Errorf("event without lab or time: %+v", e)
		}
	}
	last := events[len(events)-1]
	if (last.Problem == nil) != (err == nil) {
		t.Errorf("the error is %v, the last event's problem %+v", err, last.Problem)
	}
	if err != nil && last.Problem.Code != int(fault.CodeOf(err)) {
		t.Errorf("the error's code is %d, the last event's %d", fault.CodeOf(err), last.Problem.Code)
	}
	if len(w.Plan.Blocks) > 0 {
		return err
	}
	for _, s := range w.Plan.Steps {
		kinds := tr.of(s.Key)
		ends := 0
		for _, k := range kinds {
			if k == event.Done || k == event.Failed || k == event.Skipped {
				ends++
			}
		}
		begins := len(kinds) > 0 && (kinds[0] == event.Began || slices.Equal(kinds, []event.Kind{event.Skipped}))
		if !begins || ends != 1 {
			t.Errorf("step %s: %v", s.Key, kinds)
		}
	}
	return err
}

// meet gives a work function that returns only once n of them are at work.
func meet(n int) func(context.Context, plan.Order) (map[string]string, error) {
	var mu sync.Mutex
	all := make(chan struct{})
	return func(ctx context.Context, _ plan.Order) (map[string]string, error) {
		mu.Lock()
		n--
		if n == 0 {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Steps that do not need each other are at work at the same time: each ends only
// when all of them have begun.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	part := &fake{apply: meet(4)}
	w := &run.Walk{Parts: map[string]plan.Part{}, Plan: &plan.Plan{}}
	for _, key := range []string{"a", "b", "c", "d"} {
		w.Parts[key] = part
		w.Plan.Steps = append(w.Plan.Steps, step(key))
	}
	if err := walk(t.Context(), t, w, &trace{}); err != nil {
		t.Fatal(err)
	}
}

// A step begins only when all that it needs is done.
func TestOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	w := &run.Walk{Parts: map[string]plan.Part{}, Plan: &plan.Plan{Steps: []plan.Step{
		step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), step("e", "d"),
	}}}
	for _, s := range w.Plan.Steps {
		w.Parts[s.Key] = &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, s.Key)
			return nil, nil
		}}
	}
	rec := &record{}
	w.Journal = rec
	tr := &trace{}
	if err := walk(t.Context(), t, w, tr); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.Plan.Steps {
		for _, need := range s.Needs {
			if slices.Index(order, need) > slices.Index(order, s.Key) || slices.Index(rec.steps(), need) > slices.Index(rec.steps(), s.Key) {
				t.Errorf("%s before %s: worked %v, journal %v", s.Key, need, order, rec.steps())
			}
		}
	}
	if first, last := tr.all()[0], tr.all()[len(tr.all())-1]; first.Text != "up" || last.Text != "up" || last.Unchanged {
		t.Errorf("first %+v, last %+v", first, last)
	}
}

// A failure: what needs the step is skipped, what is at work ends, nothing new
// begins, and the error says which step, why, and what to type.
func TestFailure(t *testing.T) {
	t.Parallel()
	failed, began := make(chan struct{}), make(chan struct{})
	errTaken := errors.New("127.0.0.10:9094 is taken")
	tr := &trace{}
	tr.onto = func(e event.Event) {
		if e.Kind == event.Failed {
			close(failed)
		}
	}
	w := &run.Walk{
		Plan: &plan.Plan{Steps: []plan.Step{step("bad"), step("slow"), step("after-bad", "bad"), step("after-both", "after-bad"), step("after-slow", "slow")}},
		Parts: map[string]plan.Part{
			"bad": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
				<-began
				return nil, fmt.Errorf("listening: %w", errTaken)
			}},
			// Under way while the other fails: it is waited for, and its
			// context stays whole.
			"slow": &fake{apply: func(ctx context.Context, _ plan.Order) (map[string]string, error) {
				close(began)
				<-failed
				return nil, ctx.Err()
			}},
			"after-bad": &fake{}, "after-both": &fake{}, "after-slow": &fake{},
		},
		Remedy: func(err error) string {
			if errors.Is(err, errTaken) {
				return "stop the other one"
			}
			return ""
		},
	}
	rec := &record{}
	w.Journal = rec
	err := walk(t.Context(), t, w, tr)
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.StepFailed || f.What != "step bad (create) failed" ||
		f.Why != "listening: 127.0.0.10:9094 is taken" || f.Next != "stop the other one" || !errors.Is(err, errTaken) {
		t.Errorf("got %#v", err)
	}
	if got := rec.steps(); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("the journal has %v", got)
	}
	for _, key := range []string{"after-bad", "after-both", "after-slow"} {
		if got := tr.of(key); !slices.Equal(got, []event.Kind{event.Skipped}) {
			t.Errorf("%s: %v", key, got)
		}
	}
	for _, e := range tr.all() {
		if e.Kind == event.Skipped && e.Text != "bad failed" {
			t.Errorf("%s was skipped with %q", e.Step, e.Text)
		}
		if e.Kind == event.Failed && (e.Problem == nil || e.Problem.Next != "stop the other one") {
			t.Errorf("the step failed with %+v", e.Problem)
		}
	}
}

// Without a remedy the log of the part is the next thing to look at; a part's own
// fault keeps its words.
func TestRemedies(t *testing.T) {
	t.Parallel()
	own := fault.New(fault.BadInput, "the addresses are not free", "java has one", "stop java")
	tests := map[string]struct {
		err    error
		remedy func(error) string
		want   fault.Fault
	}{
		"none":       {errors.New("x"), nil, fault.Fault{What: "step kafka (create) failed", Why: "x", Next: "alertlab logs kafka --lab default", Code: fault.StepFailed}},
		"not known":  {errors.New("x"), func(error) string { return "" }, fault.Fault{What: "step kafka (create) failed", Why: "x", Next: "alertlab logs kafka --lab default", Code: fault.StepFailed}},
		"the part's": {own, nil, *own},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{step("kafka")}}, Remedy: test.remedy, Parts: map[string]plan.Part{
				"kafka": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) { return nil, test.err }}}}
			var f *fault.Fault
			if err := walk(t.Context(), t, w, &trace{}); !errors.As(err, &f) {
				t.Fatalf("got %v", err)
			}
			got := *f
			got.Err = nil
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func gated(key string, gates ...plan.Gate) plan.Step {
	s := step(key)
	s.Gates = gates
	return s
}

// Gates open in their order; each thing that is seen is told once; the journal has
// the step only after the last gate.
func TestGates(t *testing.T) {
	t.Parallel()
	rec := &record{}
	part := &fake{wait: func(_ context.Context, g plan.Gate, seen func(string)) error {
		if len(rec.steps()) > 0 {
			t.Errorf("the journal has the step before gate %s is open", g.Name)
		}
		for _, what := range []string{"1 of 2", "1 of 2", "2 of 2"} {
			seen(g.Name + ": " + what)
		}
		return nil
	}}
	tr := &trace{}
	w := &run.Walk{Journal: rec, Parts: map[string]plan.Part{"kafka": part}, Plan: &plan.Plan{Steps: []plan.Step{
		gated("kafka", plan.Gate{Name: "ready", What: "it is Ready", Deadline: time.Hour}, plan.Gate{Name: "answers", What: "it answers", Deadline: time.Hour}),
	}}}
	if err := walk(t.Context(), t, w, tr); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, e := range tr.all() {
		if e.Kind == event.Waiting {
			seen = append(seen, e.Gate+" | "+e.Seen)
		}
	}
	want := []string{"it is Ready | ready: 1 of 2", "it is Ready | ready: 2 of 2", "it answers | answers: 1 of 2", "it answers | answers: 2 of 2"}
	if !slices.Equal(seen, want) {
		t.Errorf("waiting said %q, want %q", seen, want)
	}
	if got := rec.steps(); !slices.Equal(got, []string{"kafka"}) {
		t.Errorf("the journal has %v", got)
	}
	gates := rec.entries[0].Gates
	if len(gates) != 2 || gates[0].Gate != "ready" || gates[1].Gate != "answers" || gates[0].Time.IsZero() || gates[1].Time.Before(gates[0].Time) {
		t.Errorf("the journal has the gates %v", gates)
	}
}

// A gate that stays shut fails its step with what was seen last, at its own
// deadline; another's is not touched by it.
func TestGateDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shut := &fake{wait: func(ctx context.Context, _ plan.Gate, seen func(string)) error {
			seen("3 of 6 answer")
			seen("4 of 6 answer")
			<-ctx.Done()
			return fmt.Errorf("asking broker 9: %w", ctx.Err())
		}}
		blind := &fake{wait: func(ctx context.Context, _ plan.Gate, _ func(string)) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		for name, test := range map[string]struct {
			part plan.Part
			want string
		}{
			"seen":   {shut, "waited 10s until every broker answers; seen last: 4 of 6 answer"},
			"unseen": {blind, "waited 10s until every broker answers; seen last: nothing yet"},
		} {
			rec := &record{}
			began := time.Now()
			w := &run.Walk{Journal: rec, Parts: map[string]plan.Part{"kafka": test.part}, Plan: &plan.Plan{Steps: []plan.Step{
				gated("kafka", plan.Gate{Name: "answer", What: "every broker answers", Deadline: 10 * time.Second})}}}
			err := walk(t.Context(), t, w, &trace{})
			var f *fault.Fault
			if !errors.As(err, &f) || f.Why != test.want || f.Code != fault.StepFailed {
				t.Errorf("%s: got %v, want %s", name, err, test.want)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s: it took %s", name, took)
			}
			if len(rec.steps()) != 0 {
				t.Errorf("%s: the journal has %v", name, rec.steps())
			}
		}
	})
}

// A cause for which waiting would be in vain ends the wait at once, also when it
// comes as the deadline passes: it says more than the deadline.
func TestGateTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errImage := errors.New("image cannot be pulled")
		for _, late := range []bool{false, true} {
			part := &fake{wait: func(ctx context.Context, _ plan.Gate, _ func(string)) error {
				if late {
					<-ctx.Done()
				}
				return errImage
			}}
			began := time.Now()
			w := &run.Walk{Parts: map[string]plan.Part{"kafka": part}, Plan: &plan.Plan{Steps: []plan.Step{
				gated("kafka", plan.Gate{Name: "ready", What: "it is Ready", Deadline: time.Minute})}}}
			err := walk(t.Context(), t, w, &trace{})
			if !errors.Is(err, errImage) || !strings.Contains(err.Error(), "until it is Ready: image cannot be pulled") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); !late && took != 0 {
				t.Errorf("it took %s", took)
			}
		}
	})
}

// When the context ends, what is at work is cancelled, what has not begun is
// skipped, and the code is that of Ctrl-C.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &trace{}
	rec := &record{}
	w := &run.Walk{Journal: rec, Plan: &plan.Plan{Steps: []plan.Step{
		step("done"), step("working", "done"),
		gated("waiting", plan.Gate{Name: "g", What: "it is open", Deadline: time.Hour}), step("later", "working"),
	}}}
	both := make(chan struct{}, 2)
	go func() {
		<-both
		<-both
		cancel()
	}()
	w.Parts = map[string]plan.Part{
		"done": &fake{}, "later": &fake{},
		"working": &fake{apply: func(ctx context.Context, _ plan.Order) (map[string]string, error) {
			both <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		"waiting": &fake{wait: func(ctx context.Context, _ plan.Gate, _ func(string)) error {
			both <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}},
	}
	err := walk(ctx, t, w, tr)
	if fault.CodeOf(err) != fault.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, code %d", err, fault.CodeOf(err))
	}
	var f *fault.Fault
	if !errors.As(err, &f) || f.Next != "alertlab up --lab default" {
		t.Errorf("next is %+v", f)
	}
	if got := rec.steps(); !slices.Equal(got, []string{"done"}) {
		t.Errorf("the journal has %v", got)
	}
	if got := tr.of("later"); !slices.Equal(got, []event.Kind{event.Skipped}) {
		t.Errorf("later: %v", got)
	}
	for _, e := range tr.all() {
		if e.Kind == event.Skipped && e.Text != "interrupted" {
			t.Errorf("%s was skipped with %q", e.Step, e.Text)
		}
	}
}

// An interruption that comes when everything is done changes nothing, and one
// during the looking is not taken for a blocked plan.
func TestCancelledLateAndEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	late := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{step("a")}}, Parts: map[string]plan.Part{
		"a": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
			cancel()
			return nil, nil
		}}}}
	if err := walk(ctx, t, late, &trace{}); err != nil {
		t.Errorf("an interruption after the last work: %v", err)
	}
	early := &run.Walk{Plan: &plan.Plan{Blocks: []plan.Block{{Key: "a", Why: "context canceled"}}}}
	if err := walk(ctx, t, early, &trace{}); fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("an interruption while looking: %v", err)
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	w := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{step("a")}, Blocks: []plan.Block{{Key: "b", Why: "permission denied"}, {Key: "c", Why: "it can only be looked at through b", Behind: "b"}, {Key: "d", Why: "as c", Behind: "c"}}}, Parts: map[string]plan.Part{
		"a": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
			t.Error("a step of a blocked plan began")
			return nil, nil
		}}}}
	err := walk(t.Context(), t, w, &trace{})
	var f *fault.Fault
	if !errors.As(err, &f) || f.What != "the plan is blocked, nothing was done" || f.Why != "b: permission denied; 2 parts can only be looked at through that" {
		t.Errorf("got %v", err)
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	tr := &trace{}
	w := &run.Walk{Plan: &plan.Plan{Concessions: []string{"35Ti -> 2Gi per broker"}}}
	if err := walk(t.Context(), t, w, tr); err != nil {
		t.Fatal(err)
	}
	events := tr.all()
	if len(events) != 2 || !events[1].Unchanged { // concessions were said when the lab was made
		t.Errorf("got %+v", events)
	}
}

// What a step gives, and what kept parts gave before, stands in the inputs of the
// steps behind it, and resolved in the journal; the plan's own text stays.
func TestOutputs(t *testing.T) {
	t.Parallel()
	var got plan.Order
	first, second := step("kafka"), step("topics", "kafka")
	first.Input = json.RawMessage(`{"at":"${addresses.bootstrap}"}`)
	second.Input = json.RawMessage(`{"bootstrap":"${kafka.bootstrap}","via":"${addresses.bootstrap}"}`)
	rec := &record{}
	tr := &trace{}
	w := &run.Walk{
		Journal: rec,
		Plan:    &plan.Plan{Steps: []plan.Step{first, second}, Known: map[string]map[string]string{"addresses": {"bootstrap": "127.0.0.10:9094"}}},
		Last:    []run.Entry{{Step: "topics", Resolved: json.RawMessage(`{"was":1}`), Outputs: map[string]string{"old": "x"}}},
		Parts: map[string]plan.Part{
			"kafka": &fake{apply: func(_ context.Context, o plan.Order) (map[string]string, error) {
				var in struct{ At string }
				if err := json.Unmarshal(o.Input, &in); err != nil || o.LastInput != nil || o.Last != nil {
					return nil, fmt.Errorf("order %+v: %v", o, err)
				}
				return map[string]string{"bootstrap": "kafka:" + in.At}, nil
			}},
			"topics": &fake{apply: func(_ context.Context, o plan.Order) (map[string]string, error) {
				got = o
				o.Progress(1, 2, "topics")
				return nil, nil
			}},
		},
	}
	if err := walk(t.Context(), t, w, tr); err != nil {
		t.Fatal(err)
	}
	want := `{"bootstrap":"kafka:127.0.0.10:9094","via":"127.0.0.10:9094"}`
	if string(got.Input) != want || string(got.LastInput) != `{"was":1}` || !maps.Equal(got.Last, map[string]string{"old": "x"}) || got.Action != plan.Create {
		t.Errorf("the order was %+v", got)
	}
	e := rec.entries[1]
	if string(e.Input) != string(second.Input) || string(e.Resolved) != want || e.Plan != w.Plan.Digest() || e.Time.IsZero() {
		t.Errorf("the journal has %+v", e)
	}
	if !slices.Contains(tr.of("topics"), event.Progress) {
		t.Errorf("no progress: %v", tr.of("topics"))
	}
}

func TestMissingOutput(t *testing.T) {
	t.Parallel()
	s := step("topics")
	s.Input = json.RawMessage(`{"at":"${kafka.bootstrap}"}`)
	w := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{s}}, Parts: map[string]plan.Part{"topics": &fake{}}}
	if err := walk(t.Context(), t, w, &trace{}); err == nil || !strings.Contains(err.Error(), "no value for ${kafka.bootstrap}") {
		t.Errorf("got %v", err)
	}
}

// A step that the journal does not have is not done: nothing is built on it.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	tr := &trace{}
	w := &run.Walk{Journal: &record{fail: map[string]error{"a": errors.New("no space left on device")}},
		Plan: &plan.Plan{Steps: []plan.Step{step("a"), step("b", "a")}}, Parts: map[string]plan.Part{"a": &fake{}, "b": &fake{}}}
	err := walk(t.Context(), t, w, tr)
	if err == nil || err.Error() != "step a (create) failed: no space left on device" {
		t.Errorf("got %v", err)
	}
	if got := tr.of("b"); !slices.Equal(got, []event.Kind{event.Skipped}) {
		t.Errorf("b: %v", got)
	}
}

// The journal has a step before its work begins, with what it may destroy, and the
// part hears of those that did not end. Without the journal no work begins.
func TestBegins(t *testing.T) {
	t.Parallel()
	rec := &record{refuse: map[string]error{"b": errors.New("no space left on device")}}
	a, b := step("a"), step("b", "a")
	a.Destroys, a.Holds = []string{"topic x"}, []plan.Hold{{Name: "topic y"}}
	var got plan.Order
	worked := false
	w := &run.Walk{Journal: rec, Plan: &plan.Plan{Steps: []plan.Step{a, b}},
		Last: []run.Entry{{Step: "a", Action: plan.Create, Resolved: json.RawMessage(`{"was":1}`)},
			{Step: "a", Begun: true, Resolved: json.RawMessage(`{"was":2}`)}, {Step: "b", Begun: true, Resolved: json.RawMessage(`{"was":4}`)}},
		Parts: map[string]plan.Part{
			"a": &fake{apply: func(_ context.Context, o plan.Order) (map[string]string, error) {
				got = o
				rec.mu.Lock()
				defer rec.mu.Unlock()
				if len(rec.begun) != 1 || len(rec.entries) != 0 {
					return nil, fmt.Errorf("the journal has %v and %v when the work begins", rec.begun, rec.entries)
				}
				return nil, nil
			}},
			"b": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
				worked = true
				return nil, nil
			}},
		}}
	err := walk(t.Context(), t, w, &trace{})
	if err == nil || err.Error() != "step b (create) failed: no space left on device" || worked {
		t.Errorf("got %v, worked: %v", err, worked)
	}
	if !got.Destroy || string(got.LastInput) != `{"was":1}` || len(got.Begun) != 1 || string(got.Begun[0]) != `{"was":2}` {
		t.Errorf("the order was %+v", got)
	}
	if e := rec.begun[0]; e.Step != "a" || e.Time.IsZero() || len(e.Resolved) == 0 || !slices.Equal(e.Destroys, a.Destroys) {
		t.Errorf("begun %+v", e)
	}
	if e := rec.entries[0]; !slices.Equal(e.Holds, a.Holds) || e.Destroys != nil {
		t.Errorf("ended %+v", e)
	}
}

// What is only written down touches no part, and keeps what was applied.
func TestNote(t *testing.T) {
	t.Parallel()
	rec := &record{}
	note, next := step("store"), step("next", "store")
	note.Action, note.Holds = plan.Note, []plan.Hold{{Name: "the disk", Amount: 2}}
	next.Input = json.RawMessage(`{"at":"${store.url}"}`)
	w := &run.Walk{Journal: rec, Plan: &plan.Plan{Steps: []plan.Step{note, next}},
		Last: []run.Entry{{Step: "store", Action: plan.Create, Resolved: json.RawMessage(`{"was":1}`), Outputs: map[string]string{"url": "http://here"}}},
		Parts: map[string]plan.Part{"next": &fake{}, "store": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
			return nil, errors.New("it was touched")
		}}}}
	if err := walk(t.Context(), t, w, &trace{}); err != nil {
		t.Fatal(err)
	}
	e := rec.entries[0]
	if string(e.Resolved) != `{"was":1}` || e.Outputs["url"] != "http://here" || !slices.Equal(e.Holds, note.Holds) || len(rec.begun) != 1 {
		t.Errorf("the journal has %+v, and begun %+v", e, rec.begun)
	}
	if string(rec.entries[1].Resolved) != `{"at":"http://here"}` {
		t.Errorf("the next got %s", rec.entries[1].Resolved)
	}
}

// Stopping leaves what was applied in the journal, removing takes it out.
func TestStopAndRemove(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var did []string
	do := func(what string) func(context.Context) error {
		return func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			did = append(did, what)
			return nil
		}
	}
	rec := &record{}
	w := &run.Walk{Journal: rec, Parts: map[string]plan.Part{"kafka": &fake{stop: do("stop"), remove: do("remove")}}, Plan: &plan.Plan{Goal: plan.Purge, Steps: []plan.Step{
		{Key: "kafka", Action: plan.Stop}, {Key: "kafka/data", Action: plan.Remove, Needs: []string{"kafka"}},
	}}}
	if err := walk(t.Context(), t, w, &trace{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(did, []string{"stop", "remove"}) {
		t.Errorf("did %v", did)
	}
	if len(rec.entries) != 1 || rec.entries[0].Step != "kafka" || rec.entries[0].Action != plan.Remove {
		t.Errorf("the journal has %+v", rec.entries)
	}
}

// What uses a part that changes, and changes itself, is stopped before, the last
// first; what only comes behind it is not.
func TestUsersStopFirst(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var did []string
	parts := map[string]plan.Part{}
	p := &plan.Plan{Lab: "x", Goal: plan.Up}
	add := func(key string, action plan.Action, input string, needs ...string) {
		say := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			did = append(did, what+" "+key)
		}
		parts[key] = &fake{
			apply: func(context.Context, plan.Order) (map[string]string, error) {
				say("apply")
				return map[string]string{"at": key}, nil
			},
			stop: func(context.Context) error { say("stop"); return nil },
		}
		p.Steps = append(p.Steps, plan.Step{Key: key, Action: action, Input: json.RawMessage(input), Needs: needs, Outputs: []string{"at"}})
	}
	add("addresses", plan.Update, `{}`)
	add("kafka", plan.Update, `{"at":"${addresses.at}"}`, "addresses")
	add("topics", plan.Ensure, `{"at":"${kafka.at}"}`, "kafka")
	add("ingester", plan.Update, `{"at":"${kafka.at}"}`, "topics")
	add("reservoir", plan.Update, `{}`, "ingester")
	w := run.Walk{Plan: p, Parts: parts, Journal: &record{}, Emit: func(event.Event) {}}
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "stop ingester, stop kafka, apply addresses, stop ingester, apply kafka, apply topics, apply ingester, apply reservoir"
	if got := strings.Join(did, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What cannot be stopped keeps the part from changing under it.
	did = nil
	parts["ingester"].(*fake).stop = func(context.Context) error { return errors.New("it hangs") }
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "it hangs") || len(did) > 0 {
		t.Errorf("%v, after %v", err, did)
	}
}

// A plan that asks a part for what it cannot do fails in words.
func TestParts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		step plan.Step
		want string
	}{
		"no part":       {step("nobody"), "no part carries out nobody (fake)"},
		"cannot stop":   {plan.Step{Key: "plain", Action: plan.Stop}, "plain cannot be stopped"},
		"cannot remove": {plan.Step{Key: "plain/data", Action: plan.Remove}, "plain cannot be removed"},
		"cannot wait":   {gated("plain", plan.Gate{Name: "ready"}), "gate ready: nobody can look at it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{test.step}}, Parts: map[string]plan.Part{"plain": plain{}}}
			if err := walk(t.Context(), t, w, &trace{}); err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// Who uses a part that changes in place does not wait for it, and is not stopped: its
// own step may have started it again already.
func TestUsersOfAPartThatChangesInPlaceGoOn(t *testing.T) {
	t.Parallel()
	user := step("ingester")
	user.Action, user.Input = plan.Update, json.RawMessage(`{"at":"${kafka.at}"}`)
	part := step("kafka")
	part.Action = plan.Update
	w := &run.Walk{Plan: &plan.Plan{Steps: []plan.Step{part, user}, Known: map[string]map[string]string{"kafka": {"at": "here"}}}, Journal: &record{},
		Parts: map[string]plan.Part{
			// It keeps its address, so that its user finds it whichever of the two is first.
			"kafka": &fake{apply: func(context.Context, plan.Order) (map[string]string, error) {
				return map[string]string{"at": "here"}, nil
			}},
			"ingester": &fake{stop: func(context.Context) error { return errors.New("it was stopped") }},
		}}
	if err := walk(t.Context(), t, w, &trace{}); err != nil {
		t.Error(err)
	}
}
