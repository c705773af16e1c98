package logs_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
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
		{"pods", `time=2026-06-01T12:00:04.010Z level=INFO msg="time=2026-06-01T12:00:04.000Z level=WARN msg=\"the store does not answer\" attempt=3" pod=ingester-0`},
		{"pods", `time=2026-06-01T12:00:05.010Z level=INFO msg="[2026-06-01 12:00:05,001] ERROR [ReplicaManager broker=0] a disk is full (kafka.server)" pod=kafka-0`},
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
	return pageOf(golden.Theme(), s, width, height, keys...)
}

func pageOf(theme kit.Theme, s *source, width, height int, keys ...string) *logs.Page {
	p := logs.New(context.Background(), theme, s)
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
		golden.Everywhere(t, name, func(theme kit.Theme) string { return pageOf(theme, &source{}, 80, 20, keys...).View() })
		for _, size := range golden.Sizes {
			golden.Frame(t, name+"-"+size.Name, size.Width, size.Height, page(&source{}, size.Width, size.Height, keys...).View())
		}
	}
}

// What a pod wrote is shown as itself, with its own level.
func TestLinesOfPods(t *testing.T) {
	t.Parallel()
	p := logs.New(context.Background(), golden.Theme(), podSource{&source{}})
	p.SetSize(120, 20)
	golden.Settle(p, p.Show())
	all := p.View()
	for _, want := range []string{"12:00:04.010 the store does not answer attempt=3 pod=ingester-0", "12:00:05.010 [ReplicaManager broker=0] a disk is full (kafka.server) pod=kafka-0"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	p.Update(golden.Key("v"))
	if warnings := p.View(); !strings.Contains(warnings, "the store does not answer") {
		t.Errorf("warnings:\n%s", warnings)
	}
	p.Update(golden.Key("v"))
	if grave := p.View(); !strings.Contains(grave, "a disk is full") || strings.Contains(grave, "does not answer") || !strings.Contains(grave, "1 of 2 lines") {
		t.Errorf("errors:\n%s", grave)
	}
	p.Filter("nothing like it")
	if none := p.View(); !strings.Contains(none, "no line holds nothing like it") {
		t.Errorf("a search for nothing:\n%s", none)
	}
}

// podSource has the log of pods alone.
type podSource struct{ *source }

func (s podSource) Names() ([]string, error) { return nil, nil }

func (s podSource) Open([]string) logs.Tail { return s.source.Open([]string{"pods"}) }

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
