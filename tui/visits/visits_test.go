package visits_test

import (
	"context"
	"testing"
	"time"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/visits"
)

var now = time.Date(2026, 6, 1, 12, 30, 0, 0, time.UTC)

func state() visits.State {
	s := visits.State{Topic: "alerts-simulated", Interval: 37 * time.Second, Next: now.Add(4500 * time.Millisecond), Played: 30, Missed: 1, Skipped: 2, Published: 300000}
	lag := int64(7000)
	s.Lag = &lag
	for i := range 30 {
		due := now.Add(time.Duration(i-30) * 37 * time.Second)
		v := visits.Visit{Number: i + 1, Due: due, Late: time.Duration(i*i) * time.Millisecond, Alerts: 10000, Bytes: 800e6}
		v.Started = due.Add(v.Late)
		v.Finished = v.Started.Add(time.Duration(1000+100*(i%7)) * time.Millisecond)
		archived := int64(10000)
		switch i {
		case 29:
			archived = 3000
		case 27:
			v.Error = "a broker went away"
		case 26:
			v.Missed = 1
		}
		v.Archived = &archived
		s.Visits = append(s.Visits, v)
	}
	return s
}

func TestFrames(t *testing.T) {
	t.Parallel()
	paused := state()
	paused.Paused, paused.Visits, paused.Notes = true, nil, []string{"how far the archive is cannot be told: no answer in time"}
	for name, c := range map[string]struct {
		state visits.State
		keys  []string
	}{"visits": {state(), nil}, "visit": {state(), []string{"down", "down", "enter"}}, "paused": {paused, nil}} {
		draw := func(theme kit.Theme, width, height int) string {
			p := visits.New(context.Background(), theme, func() time.Time { return now }, func(context.Context) (visits.State, error) { return c.state, nil })
			p.SetSize(width, height)
			golden.Settle(p, p.Show())
			for _, k := range c.keys {
				p.Update(golden.Key(k))
			}
			return p.View()
		}
		golden.Everywhere(t, name, func(theme kit.Theme) string { return draw(theme, 80, 20) })
		for _, size := range golden.Sizes {
			golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, draw(golden.Theme(), size.Width, size.Height))
		}
	}
}
