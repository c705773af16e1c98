package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

// Control makes every fake part one that takes orders; only the broker obeys. Held,
// it waits where its Apply would.
func (p *fakePart) Control(ctx context.Context, verb string, args ...string) (string, error) {
	if verb == "hold" {
		p.mu.Lock()
		during := p.during
		p.mu.Unlock()
		return "held", during(ctx)
	}
	if p.name != "broker" || verb != "pause" {
		return "", fault.New(fault.BadInput, fmt.Sprintf("%s cannot %q", p.name, verb), "it knows pause", "alertlab status")
	}
	return "paused " + strings.Join(args, " "), nil
}

func TestControl(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	refused := func(part, verb, what string, code fault.Code) {
		t.Helper()
		said, err := client.Control(ctx, part, verb)
		var f *fault.Fault
		if !errors.As(err, &f) || !strings.Contains(f.What, what) || f.Next == "" || f.Code != code || said != "" {
			t.Errorf("%s %s: %q, %v", part, verb, said, err)
		}
	}
	refused("broker", "pause", "broker takes no orders", fault.StepFailed) // nothing was brought up

	g := newGate()
	s.lab.topics.set(g.wait)
	ended := make(chan error, 1)
	go func() { ended <- client.Up(ctx, describe("local"), func(event.Event) {}) }()
	<-g.reached
	refused("broker", "pause", "the lab is being changed", fault.StepFailed)
	close(g.open)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if said, err := client.Control(ctx, "broker", "pause", "2", "3"); err != nil || said != "paused 2 3" {
		t.Errorf("%q, %v", said, err)
	}
	refused("broker", "fly", `broker cannot "fly"`, fault.BadInput)
	refused("nobody", "pause", "nobody takes no orders", fault.StepFailed)
}

// While an order is carried out no walk begins, which could start its part anew.
func TestControlHoldsWalksOff(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	s.lab.broker.set(g.wait)
	ended := make(chan error, 1)
	go func() {
		_, err := client.Control(ctx, "broker", "hold")
		ended <- err
	}()
	<-g.reached
	s.lab.doings()
	var f *fault.Fault
	if err := client.Up(ctx, describe("other"), silent); !errors.As(err, &f) || f.What != "the lab is being changed already" {
		t.Errorf("got %v", err)
	}
	sameLines(t, "done", s.lab.doings())
	close(g.open)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := client.Up(ctx, describe("other"), silent); err != nil {
		t.Error(err)
	}
}
