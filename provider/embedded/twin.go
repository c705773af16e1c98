package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/alertlab/alertlab/internal/poll"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// Process is something that was started and goes on until it is stopped.
type Process interface {
	// Probe looks at a gate: whether it is open and what was seen. An error is
	// a cause for which waiting on would be in vain.
	Probe(ctx context.Context, gate string) (open bool, seen string, err error)
	// Facts says what it does at the moment.
	Facts() []event.Fact
	// Ended is closed, after an error was sent on it or not, when it ended by
	// itself; nil for what cannot.
	Ended() <-chan error
	// Stop ends it and returns when it has ended.
	Stop(ctx context.Context) error
}

// Mender is a Process of several pieces, of which some can be away while the rest
// runs.
type Mender interface {
	Process
	// Away says what is away, e.g. "broker 2 is killed"; "" when nothing is.
	Away() string
	// Mend brings back what is away, and leaves alone what runs.
	Mend(ctx context.Context) error
}

// Twin is a plan.Part that starts a Process. In is the shape of its input.
type Twin[In any] struct {
	// Name is the component's name in texts, e.g. "6 brokers".
	Name string
	// Store is the directory in which it keeps what it stores; empty for none.
	Store string
	// Start brings the process up and returns once it listens, with the part's
	// outputs.
	Start func(ctx context.Context, in In, order plan.Order) (Process, map[string]string, error)
	// Adapt brings what runs from one input to another without an end of it; false
	// when it cannot, and then nothing was done. May be nil.
	Adapt func(p Process, was, now In) (bool, error)

	mu      sync.Mutex
	process Process
	input   json.RawMessage // with which the process was started
	outputs map[string]string
	began   time.Time
	ended   error // why the process ended by itself
}

// Observe implements plan.Part. A twin is present exactly while its process
// lives in this runner.
func (t *Twin[In]) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reap()
	if t.process != nil {
		// What it was started with is known better here than from the
		// journal, which does not hold a step whose gate stayed shut.
		o := plan.Observation{State: plan.Present, Why: "it runs since " + t.began.Format("15:04:05"), Resolved: t.input}
		if m, ok := t.process.(Mender); ok {
			o.Away = m.Away()
		}
		return o, nil
	}
	o := plan.Observation{State: plan.Absent, Why: "it does not run"}
	if t.ended != nil {
		o.Why = "it ended by itself: " + t.ended.Error()
	}
	if t.Store == "" {
		// What runs without storing anything is started again, not made anew.
		o.Kept = look.Last != nil
	} else {
		kept, err := holdsFiles(t.Store)
		if err != nil {
			return o, err
		}
		if o.Kept = kept; kept {
			o.Why += "; what it stored is there"
		}
	}
	return o, nil
}

// reap forgets a process that ended by itself.
func (t *Twin[In]) reap() {
	if t.process == nil {
		return
	}
	select {
	case err, ok := <-t.process.Ended():
		if !ok || err == nil {
			err = errors.New("no reason was given")
		}
		t.process, t.ended = nil, err
	default:
	}
}

// Apply implements plan.Part. What runs as the order says but in part is mended;
// else whatever runs is stopped, and started again as the order says. What is
// stored stays.
func (t *Twin[In]) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	t.mu.Lock()
	t.reap()
	m, ok := t.process.(Mender)
	same, outputs := bytes.Equal(t.input, order.Input), t.outputs
	t.mu.Unlock()
	if ok && same && m.Away() != "" {
		return outputs, m.Mend(ctx)
	}
	if done, err := t.adapt(order.Input); done || err != nil {
		return outputs, err
	}
	return t.start(ctx, order)
}

// adapt says whether what runs is as an input says now, without an end of it.
func (t *Twin[In]) adapt(input json.RawMessage) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.process == nil || t.Adapt == nil {
		return false, nil
	}
	var was, now In
	if json.Unmarshal(t.input, &was) != nil || json.Unmarshal(input, &now) != nil {
		return false, nil // the start says what is wrong
	}
	done, err := t.Adapt(t.process, was, now)
	if done && err == nil {
		t.input = input
	}
	return done, err
}

// Again stops what runs and starts it anew with the same input, on what it has
// stored.
func (t *Twin[In]) Again(ctx context.Context) error {
	t.mu.Lock()
	t.reap()
	running, input := t.process != nil, t.input
	t.mu.Unlock()
	if !running {
		return fmt.Errorf("%s does not run", t.Name)
	}
	_, err := t.start(ctx, plan.Order{Input: input})
	return err
}

// Process gives what runs, nil when nothing does.
func (t *Twin[In]) Process() Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reap()
	return t.process
}

func (t *Twin[In]) start(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in In
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, fmt.Errorf("the input of %s: %w", t.Name, err)
	}
	if err := t.Stop(ctx); err != nil {
		return nil, err
	}
	process, outputs, err := t.Start(ctx, in, order)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.process, t.input, t.outputs, t.began, t.ended = process, order.Input, outputs, time.Now(), nil
	return outputs, nil
}

// Wait implements plan.Waiter.
func (t *Twin[In]) Wait(ctx context.Context, gate plan.Gate, _ plan.Order, seen func(string)) error {
	return Poll(ctx, seen, func(ctx context.Context) (bool, string, error) {
		t.mu.Lock()
		t.reap()
		process, ended := t.process, t.ended
		t.mu.Unlock()
		switch {
		case process != nil:
			return process.Probe(ctx, gate.Name)
		case ended != nil:
			return false, "", fmt.Errorf("%s ended by itself: %w", t.Name, ended)
		default:
			return false, "", fmt.Errorf("%s does not run", t.Name)
		}
	})
}

// Stop implements plan.Stopper.
func (t *Twin[In]) Stop(ctx context.Context) error {
	t.mu.Lock()
	process := t.process
	t.process = nil
	t.mu.Unlock()
	if process == nil {
		return nil
	}
	err := process.Stop(ctx)
	if err != nil && ctx.Err() != nil {
		// It may still be on its way out: it must not be taken for stopped.
		t.mu.Lock()
		t.process = process
		t.mu.Unlock()
	}
	return err
}

// Remove implements plan.Remover.
func (t *Twin[In]) Remove(context.Context) error {
	if t.Store == "" {
		return nil
	}
	return os.RemoveAll(t.Store)
}

// Activity says what the twin does at the moment.
func (t *Twin[In]) Activity() event.Activity {
	t.mu.Lock()
	t.reap()
	process := t.process
	t.mu.Unlock()
	if process == nil {
		return event.Activity{}
	}
	a := event.Activity{Running: true, Facts: process.Facts()}
	if d, ok := process.(interface{ Detail() json.RawMessage }); ok {
		a.Detail = d.Detail()
	}
	return a
}

// Control hands an order to the process, if it takes any; see runner.Controllable.
func (t *Twin[In]) Control(ctx context.Context, verb string, args ...string) (string, error) {
	t.mu.Lock()
	t.reap()
	process, ended := t.process, t.ended
	t.mu.Unlock()
	if process == nil {
		why := "it was not started"
		if ended != nil {
			why = "it ended by itself: " + ended.Error()
		}
		return "", fault.New(fault.NoLab, t.Name+" does not run", why, "alertlab up")
	}
	if c, ok := process.(interface {
		Control(context.Context, string, ...string) (string, error)
	}); ok {
		return c.Control(ctx, verb, args...)
	}
	return "", fault.New(fault.BadInput, t.Name+" takes no orders", fmt.Sprintf("%q is none of its verbs", verb), "alertlab status")
}

// Poll asks again and again until the answer is open, pausing a little longer
// each time, from 2 to 100 ms.
func Poll(ctx context.Context, seen func(string), probe func(context.Context) (open bool, what string, err error)) error {
	return poll.Until(ctx, 2*time.Millisecond, 100*time.Millisecond, seen, probe)
}

func holdsFiles(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, err
}
