package runner

import (
	"context"
	"sync"

	"github.com/alertlab/alertlab/lab/event"
)

// hub keeps the events of the current walk and hands them to every follower from
// the first one on, so that one who comes late sees the whole walk. A follower
// that reads slowly holds nobody up.
type hub struct {
	mu     sync.Mutex
	events []event.Event
	over   bool
	subs   map[*subscription]bool
}

// subscription is one follower's place in the events.
type subscription struct {
	hub  *hub
	from int
	// wake holds at most one token: there is something new.
	wake chan struct{}
	// events holds the rest of a walk that another walk has replaced.
	events []event.Event
	ended  bool
}

// restart begins a new walk and subscribes to it. Followers of the walk before,
// which is over, keep what they have not read yet.
func (h *hub) restart() *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) > 0 { // else who follows has waited for this walk
		for sub := range h.subs {
			sub.events, sub.ended = h.events[sub.from:], true
			sub.ping()
		}
		h.events, h.over, h.subs = nil, false, nil
	}
	return h.add()
}

// subscribe joins the current walk, or the last one when none goes on.
func (h *hub) subscribe() *subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.add()
}

func (h *hub) add() *subscription {
	if h.subs == nil {
		h.subs = map[*subscription]bool{}
	}
	sub := &subscription{hub: h, wake: make(chan struct{}, 1)}
	h.subs[sub] = true
	sub.ping()
	return sub
}

func (h *hub) unsubscribe(sub *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, sub)
}

// publish adds an event; event.Finished ends the walk.
func (h *hub) publish(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	h.over = h.over || e.Kind == event.Finished
	for sub := range h.subs {
		sub.ping()
	}
}

func (sub *subscription) ping() {
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// next waits for events and returns those that came; open is false when no more
// will come.
func (sub *subscription) next(ctx context.Context) (batch []event.Event, open bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case <-sub.wake:
	}
	h := sub.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if sub.ended {
		return sub.events, false
	}
	batch = h.events[sub.from:]
	sub.from = len(h.events)
	return batch, !h.over
}
