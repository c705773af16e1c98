// Package simulator is the embedded twin of the alert stream simulator: it plays
// the reservoir as one visit after the other.
package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

// gatePlays opens when the player has found its reservoir and its grid stands.
const gatePlays = "plays"

type input struct {
	Bootstrap string `json:"bootstrap"` // host:port
	User      string `json:"user"`
	Source    string `json:"source"`   // topic that holds the reservoir
	Topic     string `json:"topic"`    // topic that visits are played to
	Interval  string `json:"interval"` // as Go writes a duration
}

// Want describes a profile's simulator.
func Want(p *profiles.Profile) plan.Want {
	return plan.Want{
		Title: fmt.Sprintf("play a visit of %d alerts into %s every %s", p.Simulator.Alerts, p.Simulator.Topic, p.Simulator.Interval),
		Input: plan.Input(input{Bootstrap: "${kafka.bootstrap}", User: profiles.SimulatorUser, Source: p.Simulator.StaticTopic,
			Topic: p.Simulator.Topic, Interval: p.Simulator.Interval.String()}),
		Gates: []plan.Gate{{Name: gatePlays, What: "the simulator runs on its grid", Deadline: 10 * time.Second}},
		Runs:  true,
	}
}

// New makes the part. A pause holds as long as the runner lives, also over a change
// of the lab that starts the simulator anew.
func New(host *embedded.Host) plan.Part {
	var paused atomic.Bool
	return &embedded.Twin[input]{Name: "the simulator",
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			login, err := host.Secrets.Login(in.Bootstrap, in.User)
			if err != nil {
				return nil, nil, err
			}
			interval, err := time.ParseDuration(in.Interval)
			if err != nil {
				return nil, nil, err
			}
			last := &history{}
			player, err := simulator.NewPlayer(simulator.PlayConfig{Login: login, Source: in.Source, Destination: in.Topic, Interval: interval, Log: host.Log("simulator"),
				Observe: last.add})
			if err != nil {
				return nil, nil, err
			}
			if paused.Load() {
				player.Pause()
			}
			b := &embedded.Background{
				Check: func(context.Context, string) (bool, string, error) {
					return player.Status().Running, "it prepares its first visit", nil
				},
				About:   func() []event.Fact { return Facts(player.Status(), last.last()) },
				Details: func() json.RawMessage { return detail(player.Status(), interval, last.all()) },
				Orders: func(_ context.Context, verb string, _ ...string) (string, error) {
					return control(player, &paused, verb)
				},
			}
			b.Go(ctx, func(ctx context.Context) error {
				_, err := player.Run(ctx)
				return err
			})
			return b, nil, nil
		}}
}

// control carries out an order.
func control(player *simulator.Player, paused *atomic.Bool, verb string) (string, error) {
	o, known := player.Order(verb)
	if !known {
		return "", fault.New(fault.BadInput, fmt.Sprintf("the simulator cannot %q", verb), "it knows "+simulator.OrderPause+" and "+simulator.OrderResume, "alertlab simulator --help")
	}
	paused.Store(o.Is.Paused)
	return o.Said(verb, time.Now()), nil
}

// clock gives a time of day.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }

// visitsKept is the number of visits whose account is kept: an hour of the
// observatory's cadence.
const visitsKept = 100

// history keeps the account of the visits that were played last.
type history struct {
	mu     sync.Mutex
	cycles []simulator.Cycle
}

func (h *history) add(c simulator.Cycle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.cycles) == visitsKept {
		h.cycles = append(h.cycles[:0], h.cycles[1:]...)
	}
	h.cycles = append(h.cycles, c)
}

func (h *history) last() *simulator.Cycle {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.cycles) == 0 {
		return nil
	}
	c := h.cycles[len(h.cycles)-1]
	return &c
}

func (h *history) all() []simulator.Cycle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]simulator.Cycle(nil), h.cycles...)
}

// Facts are what a player says of itself to people; last is its last visit, nil where
// nobody kept its account.
func Facts(st simulator.Status, last *simulator.Cycle) []event.Fact {
	out := []event.Fact{{Name: "published", Value: fmt.Sprintf("%d alerts", st.Acked)}}
	switch {
	case st.Paused:
		out = append(out, event.Fact{Name: "paused since", Value: clock(st.Since)})
	case !st.Next.IsZero():
		out = append(out, event.Fact{Name: "next visit", Value: clock(st.Next)})
	}
	if st.Missed > 0 {
		out = append(out, event.Fact{Name: "missed", Value: fmt.Sprintf("%d visits, each while the one before was still played", st.Missed)})
	}
	if st.Skipped > 0 {
		out = append(out, event.Fact{Name: "skipped in pauses", Value: fmt.Sprintf("%d visits", st.Skipped)})
	}
	if last != nil {
		text := fmt.Sprintf("visit %d: %d alerts in %.2f s, %s late", last.N+1, last.Alerts, last.Finished.Sub(last.Started).Seconds(), last.Lateness.Round(time.Millisecond/10))
		if last.Err != nil {
			text += ", " + last.Err.Error()
		}
		out = append(out, event.Fact{Name: "last visit", Value: text})
	}
	return out
}

// Detail is what status -o json says of the simulator.
type Detail struct {
	Paused          bool    `json:"paused"`
	IntervalSeconds float64 `json:"intervalSeconds"`
	Visits          int64   `json:"visits"`  // played, also those that broke off
	Missed          int64   `json:"missed"`  // points of the grid that a longer visit ran over
	Skipped         int64   `json:"skipped"` // points of the grid that passed in a pause
	Published       int64   `json:"published"`
	Last            []Visit `json:"last"` // the last hundred, oldest first
}

// Visit is the account of one visit.
type Visit struct {
	Number      int       `json:"number"` // on the grid, from 0
	Due         time.Time `json:"due"`
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished"`
	LateSeconds float64   `json:"lateSeconds"` // started after it was due
	Alerts      int64     `json:"alerts"`
	Bytes       int64     `json:"bytes"`
	Missed      int       `json:"missed"`
	Error       string    `json:"error,omitempty"`
}

func detail(st simulator.Status, interval time.Duration, cycles []simulator.Cycle) json.RawMessage {
	d := Detail{Paused: st.Paused, IntervalSeconds: interval.Seconds(), Visits: st.Visits, Missed: st.Missed, Skipped: st.Skipped,
		Published: st.Acked, Last: []Visit{}}
	for _, c := range cycles {
		v := Visit{Number: c.N, Due: c.Due, Started: c.Started, Finished: c.Finished, LateSeconds: c.Lateness.Seconds(),
			Alerts: c.Alerts, Bytes: c.Bytes, Missed: c.Missed}
		if c.Err != nil {
			v.Error = c.Err.Error()
		}
		d.Last = append(d.Last, v)
	}
	text, err := json.Marshal(d)
	if err != nil { // numbers that JSON has no form for; none of these can be
		return nil
	}
	return text
}
