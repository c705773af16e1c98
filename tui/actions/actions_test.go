package actions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/textinput"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/actions"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
)

type source struct {
	did  []string
	fail error
}

func (*source) About() tui.About { return tui.About{} }

func (*source) Actions(context.Context) ([]actions.Action, error) {
	return []actions.Action{
		{Name: "broker kill", Does: "Kill a broker", Fields: []actions.Field{{Name: "broker", Hint: "its id", Options: []string{"0", "1", "2"}}}},
		{Name: "user add", Does: "Add a user", Fields: []actions.Field{{Name: "user", Hint: "its name"}, {Name: "topics", Hint: "with commas", Default: "alerts"}, {Name: "remark", Hint: "may be empty", Optional: true}}},
		{Name: "simulator pause", Does: "Let it rest"},
		{Name: "down --purge", Does: "Delete the lab", Confirm: "mine"},
		{Name: "down", Does: "Stop the lab", Refused: "the lab does not run"},
	}, nil
}

func (s *source) Plan(_ context.Context, action string, values actions.Values) (string, error) {
	return fmt.Sprintf("plan to %s\n  1. update kafka (kfake): %v\n       why    it was asked for\n  ~  conceded: nothing\n", action, values), s.fail
}

func (s *source) Do(_ context.Context, action string, values actions.Values, sink event.Sink) (string, error) {
	s.did = append(s.did, fmt.Sprint(action, values))
	if action == "user add" {
		at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
		sink(event.Event{Time: at, Kind: event.Planned, Steps: []event.Step{{Key: "kafka-users", Title: "13 users"}}})
		sink(event.Event{Time: at, Kind: event.Began, Step: "kafka-users"})
		sink(event.Event{Time: at.Add(time.Second), Kind: event.Done, Step: "kafka-users"})
		sink(event.Event{Time: at.Add(time.Second), Kind: event.Finished})
	}
	return action + " is done", nil
}

func page(s *source, width, height int, keys ...string) *actions.Page {
	return pageOf(golden.Theme(), s, width, height, keys...)
}

func pageOf(theme kit.Theme, s *source, width, height int, keys ...string) *actions.Page {
	in := textinput.New()
	in.Prompt = ""
	in.Cursor.SetMode(cursor.CursorStatic)
	p := actions.New(context.Background(), theme, in, s)
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	for _, k := range keys {
		golden.Settle(p, p.Update(golden.Key(k)))
	}
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{
		"actions": nil, "choosing": {"enter", "right"}, "asking": {"down", "enter", "b", "o", "b", "enter"}, "plan": {"enter", "right", "enter"},
		"confirm": {"down", "down", "down", "enter", "m"},
	} {
		golden.Everywhere(t, name, func(theme kit.Theme) string { return pageOf(theme, &source{}, 80, 20, keys...).View() })
		for _, size := range golden.Sizes {
			golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, page(&source{}, size.Width, size.Height, keys...).View())
		}
	}
}

func TestDone(t *testing.T) {
	t.Parallel()
	for _, size := range golden.Sizes {
		s := &source{}
		p := page(s, size.Width, size.Height, "down", "enter", "b", "o", "b", "enter", "enter", "enter")
		if len(s.did) > 0 {
			t.Fatalf("%q was done before it was confirmed", s.did)
		}
		golden.Drive(t, p, p.Update(golden.Key("y")), func() bool {
			return strings.Contains(p.View(), "user add is done") && strings.Contains(p.View(), "all done")
		})
		golden.Frame(t, "done-"+size.Name, size.Width, size.Height, p.View())
		if len(s.did) != 1 || s.did[0] != "user addmap[remark: topics:alerts user:bob]" {
			t.Errorf("done was %q", s.did)
		}
	}
}

// What must not happen by a slip does not.
func TestNothingIsDoneUnasked(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{
		"left at the plan":            {"enter", "enter", "n"},
		"left at the question":        {"enter", "esc", "y"},
		"y without a plan":            {"y"},
		"an empty field":              {"down", "enter", "enter", "y"},
		"another word than the lab's": {"down", "down", "down", "enter", "m", "i", "enter"},
		"y where the name is wanted":  {"down", "down", "down", "enter", "y", "enter"},
		"what is refused":             {"end", "enter", "enter", "y"},
		"enter where a y is wanted":   {"enter", "enter", "enter", "enter"},
	} {
		s := &source{}
		page(s, 80, 20, keys...)
		if len(s.did) > 0 {
			t.Errorf("%s: %q was done", name, s.did)
		}
	}
	s := &source{fail: errors.New("there is no broker 0\n next: alertlab console brokers")}
	p := page(s, 80, 20, "enter", "enter", "y")
	if len(s.did) > 0 || !strings.Contains(p.View(), "there is no broker 0") || !strings.Contains(p.View(), "alertlab console brokers") {
		t.Errorf("what cannot be planned: %q was done\n%s", s.did, p.View())
	}
}

func TestConfirmedByName(t *testing.T) {
	t.Parallel()
	s := &source{}
	p := page(s, 80, 20, "down", "down", "down", "enter")
	if !p.Typing() {
		t.Fatal("the name is not asked for")
	}
	for _, k := range []string{"m", "i", "n", "e"} {
		p.Update(golden.Key(k))
	}
	golden.Drive(t, p, p.Update(golden.Key("enter")), func() bool { return strings.Contains(p.View(), "is done") })
	if !slices.Equal(s.did, []string{"down --purgemap[]"}) {
		t.Errorf("done was %q", s.did)
	}
}
