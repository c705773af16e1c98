package alertdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/textinput"

	"github.com/alertlab/alertlab/tui/alertdb"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
)

var now = time.Date(2026, 6, 1, 12, 30, 0, 0, time.UTC)

// source is an alert database; untold is one whose ingester is in a pod.
type source struct{ untold bool }

func (x source) State(context.Context) (alertdb.State, error) {
	rate, lag, catchUp := 1234.0, int64(7000), 6.0
	s := alertdb.State{URL: "http://127.0.0.10:3000/v1", Ready: true, Stored: 300000, DeadLetters: 2, WireBytes: 24e9, ObjectBytes: 18e9, Rate: &rate, Lag: &lag, CatchUp: &catchUp,
		Retries: map[string]int64{"store alert": 3}, Trouble: "store alert: connection refused", TroubleAt: now}
	for i := range 20 {
		s.Latest = append(s.Latest, alertdb.Stored{ID: 8954399885997637789 - int64(i), At: now.Add(-time.Duration(i) * time.Millisecond), Bytes: 65000})
	}
	if x.untold {
		s.Stored, s.WireBytes, s.ObjectBytes, s.Retries, s.Trouble, s.Latest, s.Untold = 0, 0, 0, nil, "", nil, "its counts since it began are in its pod, at /metrics"
	}
	return s, nil
}

func (x source) Contents(context.Context) (alertdb.Contents, error) {
	return alertdb.Contents{At: now, Alerts: 10000, Bytes: 650e6, DeadLetters: 2, Newest: []alertdb.Stored{{ID: 8954399885997637789, At: now, Bytes: 65000}}, Letters: []alertdb.Letter{
		{Topic: "alerts-simulated", Partition: 3, Offset: 1200, At: now, Bytes: 17, Reason: "it has no Confluent header: begins with 0x7b"},
		{Topic: "alerts-simulated", Partition: 0, Offset: 7, At: now, Bytes: 80000, Reason: "the registry has no schema 999"}}}, nil
}

func (source) Fetch(_ context.Context, id int64) (string, error) {
	if id == 41 {
		return "", errors.New("not in the alert database")
	}
	return fmt.Sprintf("FIELD  VALUE\nid     %d\nschema 11.0 (id 1100)\n", id), nil
}

func page(width, height int, keys ...string) *alertdb.Page {
	return pageOf(golden.Theme(), width, height, keys...)
}

func pageOf(theme kit.Theme, width, height int, keys ...string) *alertdb.Page {
	return pageOn(theme, source{}, width, height, keys...)
}

func pageOn(theme kit.Theme, of source, width, height int, keys ...string) *alertdb.Page {
	in := textinput.New()
	in.Prompt = ""
	in.Cursor.SetMode(cursor.CursorStatic)
	p := alertdb.New(context.Background(), theme, in, of)
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	for _, k := range keys {
		golden.Settle(p, p.Update(golden.Key(k)))
	}
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"database": nil, "letters": {"d"}, "fetched": {"down", "enter"}, "asking": {"f", "4", "2"}, "missing": {"f", "4", "1", "enter"}} {
		golden.Everywhere(t, name, func(theme kit.Theme) string { return pageOf(theme, 80, 20, keys...).View() })
		for _, size := range golden.Sizes {
			golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, page(size.Width, size.Height, keys...).View())
		}
	}
	for _, size := range golden.Sizes {
		golden.Frame(t, "untold-"+size.Name, size.Width, size.Height, pageOn(golden.Theme(), source{untold: true}, size.Width, size.Height).View())
	}
}

func TestAsking(t *testing.T) {
	t.Parallel()
	p := page(80, 20, "f", "x", "enter")
	if got := p.View(); !p.Typing() || !strings.Contains(got, "decimal number") {
		t.Errorf("what is no id:\n%s", got)
	}
	if !p.Back() || p.Typing() || p.Back() {
		t.Error("back does not leave the question")
	}
}
