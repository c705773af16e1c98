package start_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/start"
)

type source struct {
	known bool
	fail  error
	upped []start.Choice
	goOn  chan struct{}
}

func (s *source) Known() bool       { return s.known }
func (*source) Providers() []string { return []string{"embedded", "k3d"} }
func (*source) About() tui.About    { return tui.About{} }
func (*source) Profiles() []start.Profile {
	return []start.Profile{{"ci", "Two brokers, small visits, for tests"}, {"local", "Six brokers on this machine"}, {"usdfprod", "The production environment at SLAC"}}
}

func (s *source) Plan(_ context.Context, c start.Choice) (string, error) {
	return "plan to bring up lab mine: profile " + c.Profile + ", provider " + c.Provider + "\n  1. create kafka (kfake): 6 brokers\n       why    it is not there\n  ~  conceded: topics are stored once\n", s.fail
}

var at = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func (s *source) Up(ctx context.Context, c start.Choice, sink event.Sink) error {
	s.upped = append(s.upped, c)
	sink(event.Event{Time: at, Kind: event.Planned, Steps: []event.Step{{Key: "kafka", Title: "6 brokers"}, {Key: "kafka-topics", Title: "3 topics", Needs: []string{"kafka"}}}})
	sink(event.Event{Time: at, Kind: event.Began, Step: "kafka"})
	select {
	case <-s.goOn:
	case <-ctx.Done():
		p := &event.Problem{What: "cancelled", Code: 130}
		sink(event.Event{Time: at.Add(time.Second), Kind: event.Finished, Problem: p})
		return errors.New("cancelled")
	}
	sink(event.Event{Time: at.Add(time.Second), Kind: event.Done, Step: "kafka"})
	sink(event.Event{Time: at.Add(time.Second), Kind: event.Began, Step: "kafka-topics"})
	if s.fail != nil {
		p := &event.Problem{What: "the topics cannot be made", Why: "a broker is gone", Next: "alertlab logs kafka", Code: 1}
		sink(event.Event{Time: at.Add(2 * time.Second), Kind: event.Failed, Step: "kafka-topics", Problem: p})
		sink(event.Event{Time: at.Add(2 * time.Second), Kind: event.Finished, Problem: p})
		return s.fail
	}
	sink(event.Event{Time: at.Add(2 * time.Second), Kind: event.Done, Step: "kafka-topics"})
	sink(event.Event{Time: at.Add(2 * time.Second), Kind: event.Finished})
	return nil
}

func (s *source) Attach(ctx context.Context, sink event.Sink) error {
	return s.Up(ctx, start.Choice{}, sink)
}

func view(s *source, width, height int, keys ...string) *start.View {
	return viewOf(golden.Theme(), s, width, height, keys...)
}

func viewOf(theme kit.Theme, s *source, width, height int, keys ...string) *start.View {
	v := start.New(context.Background(), theme, s)
	v.SetSize(width, height)
	v.Offer()
	golden.Settle(v, v.Show())
	for _, k := range keys {
		golden.Settle(v, v.Update(golden.Key(k)))
	}
	return v
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"choose": nil, "provider": {"down", "p"}} {
		golden.Everywhere(t, name, func(theme kit.Theme) string { return viewOf(theme, &source{}, 80, 20, keys...).View() })
	}
	for _, size := range golden.Sizes {
		golden.Frame(t, "choose-"+size.Name, size.Width, size.Height, view(&source{}, size.Width, size.Height).View())
		golden.Frame(t, "provider-"+size.Name, size.Width, size.Height, view(&source{}, size.Width, size.Height, "down", "p").View())
		golden.Frame(t, "stopped-"+size.Name, size.Width, size.Height, view(&source{known: true}, size.Width, size.Height).View())
		golden.Frame(t, "refused-"+size.Name, size.Width, size.Height, view(&source{fail: errors.New("the profile cannot be read")}, size.Width, size.Height).View())
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	s := &source{goOn: make(chan struct{})}
	v := view(s, 80, 20)
	told := false
	golden.Drive(t, v, v.Update(golden.Key("enter")), func() bool {
		if !told && strings.Contains(v.View(), "└ 3 topics") {
			told = true
			if v.Done() {
				t.Error("it is done before it is")
			}
			close(s.goOn)
		}
		return told && v.Done()
	})
	if len(s.upped) != 1 || s.upped[0] != (start.Choice{Profile: "local", Provider: "embedded"}) {
		t.Errorf("brought up was %+v", s.upped)
	}
	if v.Done() {
		t.Error("it is said twice that it is done")
	}
	if got := v.View(); !strings.Contains(got, "all done in 2.0s, 2 steps") {
		t.Errorf("the end:\n%s", got)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	v := view(&source{}, 80, 20)
	cancelled := false
	golden.Drive(t, v, v.Update(golden.Key("enter")), func() bool {
		if !cancelled && strings.Contains(v.View(), "6 brokers") {
			cancelled = v.Interrupt()
		}
		return strings.Contains(v.View(), "cancelled after 1.0s")
	})
	if v.Interrupt() || v.Done() {
		t.Error("what is over can be cancelled, or counts as done")
	}
}

// A failure stays in view, with what to do about it.
func TestFailure(t *testing.T) {
	t.Parallel()
	s := &source{goOn: make(chan struct{}), known: true}
	v := view(s, 80, 20)
	s.fail = errors.New("a step failed")
	close(s.goOn)
	v.Watch()
	golden.Drive(t, v, v.Show(), func() bool { return strings.Contains(v.View(), "failed after 2.0s") })
	if got := v.View(); !strings.Contains(got, "a broker is gone") || !strings.Contains(got, "next: alertlab logs kafka") || v.Done() {
		t.Errorf("the failure:\n%s", got)
	}
}
