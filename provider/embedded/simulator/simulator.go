// Package simulator is the embedded twin of the alert stream simulator: it plays
// the reservoir as one visit after the other.
package simulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/lab/event"
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

// New makes the part.
func New(host *embedded.Host) plan.Part {
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
			last := &lastCycle{}
			player, err := simulator.NewPlayer(simulator.PlayConfig{Login: login, Source: in.Source, Destination: in.Topic, Interval: interval, Log: host.Log("simulator"),
				Observe: last.set})
			if err != nil {
				return nil, nil, err
			}
			b := &embedded.Background{
				Check: func(context.Context, string) (bool, string, error) {
					return player.Status().Running, "it prepares its first visit", nil
				},
				About: func() []event.Fact { return facts(player.Status(), last.get()) },
			}
			b.Go(ctx, func(ctx context.Context) error {
				_, err := player.Run(ctx)
				return err
			})
			return b, nil, nil
		}}
}

// lastCycle keeps the account of the visit that was played last.
type lastCycle struct {
	mu    sync.Mutex
	cycle *simulator.Cycle
}

func (l *lastCycle) set(c simulator.Cycle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cycle = &c
}

func (l *lastCycle) get() *simulator.Cycle {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cycle
}

func facts(st simulator.Status, last *simulator.Cycle) []event.Fact {
	out := []event.Fact{{Name: "published", Value: fmt.Sprintf("%d alerts", st.Acked)}}
	if !st.Next.IsZero() {
		out = append(out, event.Fact{Name: "next visit", Value: st.Next.Format("15:04:05")})
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
