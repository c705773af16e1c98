package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

// Background is a Process that is one function running until its context ends.
type Background struct {
	// Check says whether a gate is open.
	Check func(ctx context.Context, gate string) (open bool, seen string, err error)
	// About gives the facts.
	About func() []event.Fact
	// Orders carries out an order; nil takes none. See runner.Controllable.
	Orders func(ctx context.Context, verb string, args ...string) (said string, err error)
	// Details gives what a program reads; nil gives nothing.
	Details func() json.RawMessage

	cancel context.CancelFunc
	ended  chan error
	over   chan struct{}
	err    error // valid once over is closed
}

// Go runs work in the background. The context that it gets outlives ctx and ends
// with Stop; work must return when it ends.
func (b *Background) Go(ctx context.Context, work func(context.Context) error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel, b.ended, b.over = cancel, make(chan error, 1), make(chan struct{})
	go func() {
		defer close(b.over)
		b.err = work(life)
		if life.Err() == nil {
			b.ended <- b.err
			close(b.ended)
		}
	}()
}

// Probe implements Process.
func (b *Background) Probe(ctx context.Context, gate string) (bool, string, error) {
	return b.Check(ctx, gate)
}

// Facts implements Process.
func (b *Background) Facts() []event.Fact { return b.About() }

// Detail gives what a program reads, nil for nothing.
func (b *Background) Detail() json.RawMessage {
	if b.Details == nil {
		return nil
	}
	return b.Details()
}

// Control carries out an order.
func (b *Background) Control(ctx context.Context, verb string, args ...string) (string, error) {
	if b.Orders == nil {
		return "", fault.New(fault.BadInput, "this part takes no orders", fmt.Sprintf("%q is none of its verbs", verb), "alertlab status")
	}
	return b.Orders(ctx, verb, args...)
}

// Ended implements Process.
func (b *Background) Ended() <-chan error { return b.ended }

// Stop implements Process. The error is what the work returned, unless that is
// only the end of its context.
func (b *Background) Stop(ctx context.Context) error {
	b.cancel()
	select {
	case <-b.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	if errors.Is(b.err, context.Canceled) {
		return nil
	}
	return b.err
}
