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

// Control makes every fake part one that takes orders; only the broker obeys.
func (p *fakePart) Control(_ context.Context, verb string, args ...string) (string, error) {
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
