package runner

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

// rest reads a subscription to its end and lists the steps that it got.
func rest(ctx context.Context, sub *subscription) []string {
	var got []string
	for {
		batch, open := sub.next(ctx)
		for _, e := range batch {
			got = append(got, e.Step)
		}
		if !open {
			return got
		}
	}
}

func TestHub(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var h hub
	first := h.restart()
	slow := h.subscribe()
	for _, step := range []string{"a", "b"} {
		h.publish(event.Event{Kind: event.Done, Step: step})
	}
	if batch, open := first.next(ctx); len(batch) != 2 || !open {
		t.Errorf("got %d events, open %v", len(batch), open)
	}
	late := h.subscribe()
	h.publish(event.Event{Kind: event.Finished, Step: "end"})
	if got := rest(ctx, first); !slices.Equal(got, []string{"end"}) {
		t.Errorf("the first follower got %v behind a and b", got)
	}
	if got := rest(ctx, late); !slices.Equal(got, []string{"a", "b", "end"}) {
		t.Errorf("the late follower got %v", got)
	}
	// A follower that has read nothing keeps its walk though another begins.
	second := h.restart()
	h.publish(event.Event{Kind: event.Finished, Step: "other"})
	if got := rest(ctx, slow); !slices.Equal(got, []string{"a", "b", "end"}) {
		t.Errorf("the slow follower got %v", got)
	}
	if got := rest(ctx, second); !slices.Equal(got, []string{"other"}) {
		t.Errorf("the second walk's follower got %v", got)
	}
	if got := rest(ctx, h.subscribe()); !slices.Equal(got, []string{"other"}) {
		t.Errorf("a follower after the end got %v", got)
	}
	h.unsubscribe(second)
	h.unsubscribe(second)
}

// Who follows before any walk has begun waits for the first one.
func TestHubBeforeTheFirstWalk(t *testing.T) {
	t.Parallel()
	var h hub
	early := h.subscribe()
	own := h.restart()
	h.publish(event.Event{Kind: event.Planned, Step: "plan"})
	h.publish(event.Event{Kind: event.Finished, Step: "end"})
	for _, sub := range []*subscription{early, own} {
		if got := rest(t.Context(), sub); !slices.Equal(got, []string{"plan", "end"}) {
			t.Errorf("got %v", got)
		}
	}
}

func TestHubFollowerGone(t *testing.T) {
	t.Parallel()
	var h hub
	ctx, cancel := context.WithCancel(t.Context())
	sub := h.restart()
	sub.next(ctx)
	cancel()
	if batch, open := sub.next(ctx); len(batch) != 0 || open {
		t.Errorf("got %d events, open %v", len(batch), open)
	}
}

// A runner that leaves begins no walk: its lock and socket go.
func TestNoWalkWhileLeaving(t *testing.T) {
	t.Parallel()
	s := &Server{}
	s.leaving.Store(true)
	_, _, err := s.begin()
	var f *fault.Fault
	if !errors.As(err, &f) || f.What != "the lab is being taken down" || f.Next == "" {
		t.Errorf("got %v", err)
	}
}

// The next walk begins behind the last event of the one before, whoever is faster.
func TestNextWalkBeginsBehindLastEvent(t *testing.T) {
	t.Parallel()
	s := &Server{}
	for range 500 {
		first, _, err := s.begin()
		if err != nil {
			t.Fatal(err)
		}
		s.hub.restart()
		s.hub.publish(event.Event{Kind: event.Began})
		go s.end(first, event.Event{Kind: event.Finished})
		second, _, err := s.begin()
		for err != nil { // as soon as it can
			runtime.Gosched()
			second, _, err = s.begin()
		}
		follower := s.hub.restart()
		if batch, open := follower.next(t.Context()); len(batch) != 0 || !open {
			t.Fatalf("a walk that has just begun shows %v", batch)
		}
		s.end(second, event.Event{Kind: event.Finished})
		<-second.over
	}
}
