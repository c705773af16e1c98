package smoke_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/smoke"
)

var now = time.Date(2026, 6, 1, 12, 30, 0, 0, time.UTC)

type source struct {
	asked chan []string
	end   chan error // each run waits for it
}

func (source) Checks() []smoke.Check {
	return []smoke.Check{
		{Name: "brokers-answer", Sentence: "every broker answers at its own address"},
		{Name: "registry-read-only", Sentence: "the registry answers GET and refuses every change through its front"},
		{Name: "scope", Sentence: "the alert database refuses who has no token"},
		{Name: "kill-broker", Sentence: "killing a broker loses no acknowledged record", Disruptive: true},
	}
}

func (s source) Run(ctx context.Context, only []string, disruptive bool, waiting func(check, what string), result func(smoke.Result)) error {
	s.asked <- only
	waiting("registry-read-only", "the second visit")
	result(smoke.Result{Check: "brokers-answer", Status: "passed", Evidence: "6 of 6 brokers answer", Duration: 50 * time.Millisecond})
	result(smoke.Result{Check: "scope", Status: "skipped", Reason: "the profile asks for no token"})
	select {
	case err := <-s.end:
		if err == nil {
			result(smoke.Result{Check: "registry-read-only", Status: "failed", Reason: "expected 405; saw 200", Expected: "405", Seen: "200", Next: "alertlab logs registry-front", Duration: time.Second})
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (source) History(context.Context) ([]smoke.Run, error) {
	return []smoke.Run{{Started: now.Add(-time.Hour), Duration: 3440 * time.Millisecond, Seed: 42, Results: []smoke.Result{
		{Check: "brokers-answer", Status: "failed", Reason: "expected 6 brokers; saw 5"}, {Check: "scope", Status: "skipped", Reason: "no token"}}}}, nil
}

func page(s source, width, height int) *smoke.Page { return pageOf(golden.Theme(), s, width, height) }

func pageOf(theme kit.Theme, s source, width, height int) *smoke.Page {
	p := smoke.New(context.Background(), theme, func() time.Time { return now }, s)
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, size := range golden.Sizes {
		s := source{asked: make(chan []string, 9), end: make(chan error, 1)}
		p := page(s, size.Width, size.Height)
		frame := func(name string) { golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, p.View()) }
		frame("checks")
		run := p.Update(golden.Key("a"))
		// What is under way is told as it comes.
		golden.Drive(t, p, run, func() bool {
			if strings.Contains(p.View(), "2 of 3 done") {
				if len(s.end) == 0 {
					frame("running")
					s.end <- nil
				}
			}
			return strings.Contains(p.View(), "1 passed, 1 failed, 1 skipped in")
		})
		frame("done")
		p.Update(golden.Key("down"))
		p.Update(golden.Key("enter"))
		frame("detail")
		p.Back()
		p.Update(golden.Key("h"))
		frame("history")
		p.Update(golden.Key("enter"))
		frame("old")
	}
}

// TestTerminals draws what a run leaves on every kind of terminal.
func TestTerminals(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"done": nil, "detail": {"down", "enter"}, "history": {"h"}, "old": {"h", "enter"}} {
		golden.Everywhere(t, name, func(theme kit.Theme) string {
			s := source{asked: make(chan []string, 9), end: make(chan error, 1)}
			s.end <- nil
			p := pageOf(theme, s, 80, 20)
			golden.Drive(t, p, p.Update(golden.Key("a")), func() bool { return strings.Contains(p.View(), "1 passed, 1 failed, 1 skipped in") })
			for _, k := range keys {
				p.Update(golden.Key(k))
			}
			return p.View()
		})
	}
}

func TestRunOneAndCancel(t *testing.T) {
	t.Parallel()
	s := source{asked: make(chan []string, 9), end: make(chan error)}
	p := page(s, 80, 20)
	if p.Interrupt() {
		t.Error("there is something to cancel before anything runs")
	}
	p.Update(golden.Key("end")) // the disruptive one, which is run when it is asked for by itself
	cmd := p.Update(golden.Key("r"))
	if again := p.Update(golden.Key("a")); again != nil {
		t.Error("a second run begins beside the first")
	}
	cancelled := false
	golden.Drive(t, p, cmd, func() bool {
		if len(s.asked) > 0 && !cancelled {
			cancelled = p.Interrupt()
		}
		return cancelled && strings.Contains(p.View(), "context canceled")
	})
	if only := <-s.asked; len(only) != 1 || only[0] != "kill-broker" {
		t.Errorf("%q was run", only)
	}
}

func TestFailureToRun(t *testing.T) {
	t.Parallel()
	s := source{asked: make(chan []string, 9), end: make(chan error, 1)}
	s.end <- errors.New("the lab does not run")
	p := page(s, 80, 20)
	golden.Drive(t, p, p.Update(golden.Key("a")), func() bool { return strings.Contains(p.View(), "the lab does not run") })
}
