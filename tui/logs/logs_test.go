package logs_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/logs"
)

type source struct {
	err    error
	closed int
	opened [][]string
}

func (s *source) Names() ([]string, error) { return []string{"kafka", "simulator"}, s.err }

func (s *source) Open(names []string) logs.Tail {
	s.opened = append(s.opened, names)
	return &tail{s, names}
}

type tail struct {
	*source
	names []string
}

func (t *tail) Read() ([]logs.Line, error) {
	var out []logs.Line
	for _, l := range []logs.Line{
		{"kafka", `time=2026-06-01T12:00:00.123Z level=INFO msg="six brokers listen" port=9094`},
		{"kafka", `time=2026-06-01T12:00:01.000Z level=WARN msg="a connection broke" error="\x1b[2J reset"`},
		{"simulator", `time=2026-06-01T12:00:02.000Z level=ERROR msg="visit failed" visit=3 error="a broker went away while the visit was played, and did not come back in the time that it had"`},
		{"simulator", "panic: what was not foreseen"},
		{"simulator", `time=2026-06-01T12:00:03.000Z level=DEBUG msg=tick`},
	} {
		for _, n := range t.names {
			if n == l.Component {
				out = append(out, l)
			}
		}
	}
	return out, nil
}

func (t *tail) Close() { t.closed++ }

func page(s *source, width, height int, keys ...string) *logs.Page {
	p := logs.New(context.Background(), golden.Theme(), s)
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	for _, k := range keys {
		golden.Settle(p, p.Update(golden.Key(k)))
	}
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"all": nil, "one": {"right", "right"}, "warnings": {"v"}, "errors": {"v", "v"}, "wrapped": {"x"}, "choosing": {"c"}, "chosen": {"c", "down", "enter"}} {
		for _, size := range golden.Sizes {
			golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, page(&source{}, size.Width, size.Height, keys...).View())
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	p := page(&source{}, 80, 20)
	p.Filter("VISIT")
	if got := p.View(); !strings.Contains(got, "visit failed") || strings.Contains(got, "six brokers") {
		t.Errorf("the search:\n%s", got)
	}
	p.Filter("")
	if got := p.View(); !strings.Contains(got, "six brokers") {
		t.Errorf("after the search:\n%s", got)
	}
}

// Every log that was opened is closed when the page goes out of view, also one that is
// just being read.
func TestNothingStaysOpen(t *testing.T) {
	t.Parallel()
	s := &source{}
	p := logs.New(context.Background(), golden.Theme(), s)
	p.SetSize(80, 20)
	reading := p.Show()
	p.Hide()
	golden.Settle(p, reading)
	golden.Settle(p, p.Show())
	golden.Settle(p, p.Update(golden.Key("right")))
	p.Hide()
	if s.closed != len(s.opened) || len(s.opened) != 3 {
		t.Errorf("%d of %d logs were closed", s.closed, len(s.opened))
	}
}

func TestNoLogs(t *testing.T) {
	t.Parallel()
	if got := page(&source{err: errors.New("there are no logs")}, 80, 20).View(); !strings.Contains(got, "there are no logs") {
		t.Errorf("a failure is not said:\n%s", got)
	}
}
