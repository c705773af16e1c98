package render

import (
	"context"
	"time"

	"github.com/alertlab/alertlab/lab/event"
)

// Renderer shows the events of one walk. Event may be called from many
// goroutines, so that it can serve as an event.Sink. Close writes what is still
// owed and gives the first error of the writer; it does not close the writer.
//
// A renderer shows the problems of a walk with their remedies. Who ends the
// process because of such a problem takes its code and does not print it again.
type Renderer interface {
	Event(event.Event)
	Close() error
}

// ticker is a renderer that has something to say while no event comes, for
// instance that a gate is still shut.
type ticker interface {
	Tick(now time.Time)
}

// Follow shows events until one of the kind Finished was shown, the channel is
// closed, or the context ends, and closes the renderer. It gives the cause of
// the context's end, or else the renderer's error. How the walk ended is for
// the sender of the events to know.
func Follow(ctx context.Context, r Renderer, events <-chan event.Event) error {
	var ticks <-chan time.Time
	tick := func(time.Time) {}
	if t, ok := r.(ticker); ok {
		clock := time.NewTicker(time.Second)
		defer clock.Stop()
		ticks, tick = clock.C, t.Tick
	}
	for {
		select {
		case <-ctx.Done():
			_ = r.Close() // the end of the context is the better reason
			return context.Cause(ctx)
		case now := <-ticks:
			tick(now)
		case e, ok := <-events:
			if !ok {
				return r.Close()
			}
			r.Event(e)
			if e.Kind == event.Finished {
				return r.Close()
			}
		}
	}
}
