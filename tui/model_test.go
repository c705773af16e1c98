package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/style"
	_ "github.com/alertlab/alertlab/tui/internal/golden" // for its flag -update: frames here stand in the tests
)

var t0 = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// taken is the problem of a port that is in use.
var taken = event.Problem{
	What: "the registry does not start",
	Why:  "listen tcp 127.0.0.10:8081: bind: address already in use",
	Next: "ss -ltnp 'sport = :8081'\nalertlab up",
	Code: 1,
}

var plan = event.Event{Time: at(0), Lab: "default", Kind: event.Planned, Steps: []event.Step{
	{Key: "kafka", Title: "start six brokers"},
	{Key: "schema-registry", Title: "start the schema registry"},
	{Key: "reservoir", Title: "load 300 alerts into alerts-static"},
	{Key: "alert-database", Title: "日本語の表題でとても長いステップ"},
}}

func began(s float64, step string) event.Event {
	return event.Event{Time: at(s), Kind: event.Began, Step: step}
}

func over(s float64, kind event.Kind, step string) event.Event {
	return event.Event{Time: at(s), Kind: kind, Step: step}
}

func fresh() model { return newModel(style.New(&bytes.Buffer{}, os.Getenv), glyphsFor(false), at(0)) }

// feed gives messages to a model, one after the other.
func feed(m model, msgs ...tea.Msg) model {
	for _, msg := range msgs {
		next, _ := m.Update(msg)
		m = next.(model)
	}
	return m
}

func walk(events ...event.Event) tea.Msg { return eventsMsg(events) }

func key(s string) tea.Msg {
	if s == "ctrl+c" {
		return tea.KeyMsg{Type: tea.KeyCtrlC}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(s)}
}

// busy is a walk in full swing.
func busy() model {
	return feed(fresh(),
		walk(plan, began(0, "kafka"), over(2, event.Done, "kafka"),
			began(2, "schema-registry"), began(2, "reservoir"),
			event.Event{Time: at(3), Kind: event.Waiting, Step: "schema-registry", Gate: "GET /subjects answers", Seen: "connection\nrefused"},
			event.Event{Time: at(3), Kind: event.Progress, Step: "reservoir", Total: 300, Unit: "alerts"},
			event.Event{Time: at(13), Kind: event.Progress, Step: "reservoir", Count: 120, Total: 300, Unit: "alerts"},
		),
		tickMsg(at(14.2)))
}

func same(t *testing.T, got, want string) {
	t.Helper()
	got, want = strings.TrimRight(ansi.Strip(got), "\n"), strings.Trim(want, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestViewWhileTheWalkGoesOn(t *testing.T) {
	t.Parallel()
	same(t, fresh().View(), `⠋ waiting for the plan…`)
	same(t, busy().View(), `
✓ start six brokers                   kafka              2.0s
⠙ start the schema registry           schema-registry   12.2s
  waits for: GET /subjects answers
  saw last:  connection refused
⠙ load 300 alerts into alerts-static  reservoir         12.2s
  █████████░░░░░░░░░░░░░░░ 120 of 300 alerts  12/s, 15s left
· 日本語の表題でとても長いステップ    alert-database
1 of 4 steps  14.2s  (ctrl-c stops)`)
}

func TestViewAtFortyColumns(t *testing.T) {
	t.Parallel()
	same(t, feed(busy(), tea.WindowSizeMsg{Width: 40, Height: 24}).View(), `
✓ start six brokers                2.0s
⠙ start the schema registry       12.2s
  waits for: GET /subjects answers
  saw last:  connection refused
⠙ load 300 alerts into alerts-…   12.2s
  ███████░░░░░░░░░░░░ 120 of 300 alerts
· 日本語の表題でとても長いステ…
1 of 4 steps  14.2s  (ctrl-c stops)`)
}

func TestViewOnALowTerminal(t *testing.T) {
	t.Parallel()
	same(t, feed(busy(), tea.WindowSizeMsg{Width: 60, Height: 7}).View(), `
✓ 1 step done
⠙ start the schema registry            12.2s
  waits for: GET /subjects answers
… 3 more lines
· 1 step to come
1 of 4 steps  14.2s  (ctrl-c stops)`)
}

// Whatever the size and the state, no line is wider than the terminal and the
// frame is not higher; only problems, which must be read, may be.
func TestViewKeepsToTheTerminal(t *testing.T) {
	t.Parallel()
	stopping := feed(busy(), key("ctrl+c"), walk(event.Event{Kind: event.Note, Text: strings.Repeat("日本 note ", 20)}))
	stuck := feed(busy(), walk(event.Event{Time: at(15), Kind: event.Failed, Step: "schema-registry", Problem: &taken}))
	for name, m := range map[string]model{"empty": fresh(), "busy": busy(), "stopping": stopping, "failed": stuck} {
		for width := 12; width <= 120; width++ {
			for _, height := range []int{5, 8, 24, 60} {
				sized := feed(m, tea.WindowSizeMsg{Width: width, Height: height})
				frames := map[string]string{"view": sized.View(), "report": sized.Report()}
				for what, frame := range frames {
					for _, l := range strings.Split(frame, "\n") {
						if w := ansi.StringWidth(l); w > width {
							t.Fatalf("%s %s at %dx%d: %q is %d columns wide", name, what, width, height, l, w)
						}
					}
				}
				if lines := strings.Count(frames["view"], "\n") + 1; lines > height && name != "failed" {
					t.Fatalf("%s at %dx%d: %d lines high\n%s", name, width, height, lines, frames["view"])
				}
			}
		}
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	m := feed(busy(), walk(
		event.Event{Time: at(15), Kind: event.Failed, Step: "schema-registry", Problem: &taken},
		over(16, event.Done, "reservoir"),
		over(16, event.Skipped, "alert-database")))
	if got := ansi.Strip(m.View()); !strings.Contains(got, "✗ start the schema registry") || !strings.Contains(got, "next: ss -ltnp") {
		t.Errorf("the failure is not shown at once:\n%s", got)
	}
	m = feed(m, walk(event.Event{Time: at(16.5), Kind: event.Finished, Problem: &taken}), tea.WindowSizeMsg{Width: 66})
	if m.View() != "" {
		t.Errorf("something is left under the report: %q", m.View())
	}
	same(t, m.Report(), `
✓ start six brokers                   kafka              2.0s
✗ start the schema registry           schema-registry   13.0s
✓ load 300 alerts into alerts-static  reservoir         14.0s
– 日本語の表題でとても長いステップ    alert-database

error: the registry does not start: listen tcp 127.0.0.10:8081:
bind: address already in use
 next: ss -ltnp 'sport = :8081'
       alertlab up

failed after 16.5s, 2 of 4 steps done`)
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	m := feed(busy(), walk(
		event.Event{Kind: event.Note, Text: "2 partitions a topic instead of 45"},
		over(20, event.Done, "schema-registry"), over(20, event.Done, "reservoir"),
		began(20, "alert-database"), over(21, event.Done, "alert-database"),
		event.Event{Time: at(21), Kind: event.Finished, Elapsed: event.Duration(21 * time.Second)}))
	same(t, m.Report(), `
✓ start six brokers                   kafka              2.0s
✓ start the schema registry           schema-registry   18.0s
✓ load 300 alerts into alerts-static  reservoir         18.0s
✓ 日本語の表題でとても長いステップ    alert-database     1.0s
! 2 partitions a topic instead of 45
all done in 21.0s, 4 steps`)

	same(t, feed(fresh(), walk(event.Event{Kind: event.Planned, Time: at(0)},
		event.Event{Kind: event.Finished, Time: at(0.1), Unchanged: true, Text: "the lab is up"})).Report(),
		"nothing to do: the lab is up")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	asked := 0
	m := busy()
	m.cancel = func() tea.Msg { asked++; return nil }
	next, cmd := m.Update(key("ctrl+c"))
	m = next.(model)
	if cmd == nil || cmd() != nil || asked != 1 {
		t.Fatalf("the first Ctrl-C asked for a stop %d times, want once", asked)
	}
	cancelled := event.Problem{What: "cancelled", Why: "Ctrl-C", Next: "alertlab up", Code: 130}
	stopped := event.Problem{What: "wait for the registry", Why: "context canceled", Code: 130}
	m = feed(m, walk(event.Event{Time: at(15), Kind: event.Began, Step: "stop-kafka", Text: "stop six brokers"}))
	same(t, feed(m, tea.WindowSizeMsg{Width: 40}).View(), `
✓ start six brokers                2.0s
⠙ start the schema registry       13.0s
  waits for: GET /subjects answers
  saw last:  connection refused
⠙ load 300 alerts into alerts-…   13.0s
  ███████░░░░░░░░░░░░ 120 of 300 alerts
· 日本語の表題でとても長いステ…
⠙ stop six brokers                 0.0s
1 of 5 steps  15.0s  stopping…`)
	m = feed(m, walk(
		event.Event{Time: at(15), Kind: event.Failed, Step: "schema-registry", Problem: &stopped},
		event.Event{Time: at(15), Kind: event.Failed, Step: "reservoir", Problem: &stopped},
		over(15, event.Skipped, "alert-database"),
		over(16, event.Done, "stop-kafka"),
		event.Event{Time: at(16), Kind: event.Finished, Problem: &cancelled}))
	same(t, m.Report(), `
✓ start six brokers                   kafka              2.0s
✗ start the schema registry           schema-registry   13.0s
✗ load 300 alerts into alerts-static  reservoir         13.0s
– 日本語の表題でとても長いステップ    alert-database
✓ stop six brokers                    stop-kafka         1.0s

error: cancelled: Ctrl-C
 next: alertlab up

cancelled after 16.0s, 2 of 5 steps done`)
}

func TestUpdateLeavesOlderModelsAlone(t *testing.T) {
	t.Parallel()
	old := busy()
	view := old.View()
	one := feed(old, walk(event.Event{Kind: event.Note, Text: "one"}, over(15, event.Done, "reservoir")))
	want := one.View()
	feed(old, walk(event.Event{Kind: event.Note, Text: "another"}, event.Event{Time: at(15), Kind: event.Failed, Step: "reservoir", Problem: &taken}))
	if old.View() != view || one.View() != want {
		t.Error("a message changed a model that was not its own")
	}
}

func TestForeignTextCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	evil := "\x1b[2J\x1b]0;x\x07\r\u009bHowned"
	m := feed(fresh(), walk(
		event.Event{Time: at(0), Lab: evil, Kind: event.Planned, Steps: []event.Step{{Key: evil, Title: evil}, {Key: "b", Title: "b"}}},
		began(0, evil), began(0, "b"+evil),
		event.Event{Time: at(1), Kind: event.Waiting, Step: evil, Gate: evil, Seen: evil},
		event.Event{Time: at(1), Kind: event.Progress, Step: "b" + evil, Count: 1, Total: 3, Unit: evil},
		event.Event{Time: at(1), Kind: event.Note, Text: evil},
		event.Event{Time: at(1), Kind: event.Failed, Step: "b", Problem: &event.Problem{What: evil, Why: evil, Next: evil}}))
	for _, frame := range []string{m.View(), m.Report()} {
		if i := strings.IndexFunc(frame, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("a control character at %d of %q", i, frame)
		}
	}
}

func TestGlyphsOfTheLinuxConsoleAreASCII(t *testing.T) {
	t.Parallel()
	m := busy()
	m.glyphs = glyphsFor(true)
	m.steps = m.steps[:3]
	for _, r := range m.View() {
		if r > 0x7e {
			t.Fatalf("%q in\n%s", r, m.View())
		}
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	if view := busy().View(); view != ansi.Strip(view) {
		t.Errorf("colours on what is no terminal: %q", view)
	}
	m := busy()
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.ANSI)
	m.styles.Good = r.NewStyle().Foreground(lipgloss.Color("2"))
	if view := m.View(); !strings.Contains(view, "\x1b[32m✓\x1b[0m ") {
		t.Errorf("the mark of what is done is not coloured: %q", view)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	good := []event.Event{plan, began(0, "kafka"), over(1, event.Done, "kafka"), {Time: at(1), Kind: event.Finished}}
	late := errors.New("the time is over")
	for name, c := range map[string]struct {
		events []event.Event
		close  bool
		keys   string
		expire bool
		want   error
		cancel bool // a cancel is wanted
		report string
	}{
		"finished":     {events: good, report: "all done in 1.0s, 1 step"},
		"closed":       {events: good[:2], close: true, report: "nothing more is heard of the walk"},
		"closed first": {close: true, report: "nothing more is heard of the walk"},
		"q":            {events: good[:2], keys: "q", want: ErrDetached, report: "the walk goes on"},
		"two Ctrl-C":   {events: good[:2], keys: "\x03\x03", want: ErrAbandoned, cancel: true, report: "not everything is stopped yet"},
		"context":      {events: good[:2], expire: true, want: late, report: "nothing more is heard of the walk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, giveUp := context.WithTimeout(context.Background(), time.Minute)
			defer giveUp()
			ctx, expire := context.WithCancelCause(ctx)
			defer expire(nil)

			events := make(chan event.Event, len(c.events))
			for _, e := range c.events {
				events <- e
			}
			if c.close {
				close(events)
			}
			if c.expire {
				expire(late)
			}
			var in io.Reader
			if c.keys != "" {
				keys, press := io.Pipe()
				defer press.Close()
				in = keys
				go func() {
					for _, k := range c.keys {
						fmt.Fprint(press, string(k))
					}
				}()
			}
			cancelled := make(chan struct{}, 2)
			var out bytes.Buffer
			err := Follow(ctx, &out, in, events, func() { cancelled <- struct{}{} }, About{})
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.cancel {
				select {
				case <-cancelled:
				case <-ctx.Done():
					t.Error("cancel was not called")
				}
			}
			if len(cancelled) > 0 {
				t.Error("cancel was called once more")
			}
			if got := strings.Count(ansi.Strip(out.String()), c.report); got != 1 {
				t.Errorf("%q is in the output %d times, want once:\n%q", c.report, got, out.String())
			}
		})
	}
}

func TestCancelAndSeeTheEnd(t *testing.T) {
	t.Parallel()
	ctx, giveUp := context.WithTimeout(context.Background(), time.Minute)
	defer giveUp()
	events := make(chan event.Event, 8)
	events <- plan
	events <- began(0, "kafka")
	keys, press := io.Pipe()
	defer press.Close()
	go fmt.Fprint(press, "\x03")
	var out bytes.Buffer
	err := Follow(ctx, &out, keys, events, func() {
		events <- over(1, event.Skipped, "reservoir")
		events <- event.Event{Time: at(1), Kind: event.Finished, Problem: &event.Problem{What: "cancelled", Code: 130}}
	}, About{})
	if err != nil {
		t.Fatal(err)
	}
	if got := ansi.Strip(out.String()); !strings.Contains(got, "cancelled after 1.0s, 0 of 4 steps done") {
		t.Errorf("the end of the cancelled walk is not shown:\n%q", got)
	}
}

// rooted is a walk whose steps need each other, of which some took their time before.
func rooted() model {
	m := fresh()
	m.about = About{Last: map[string]time.Duration{"kafka": 4 * time.Second, "topics": time.Second, "registry": 5 * time.Second},
		Log: func(step string, lines int) []string {
			return []string{"the log of " + step, fmt.Sprint(lines, " lines at most\x1b[2J")}
		}, Leave: "leaves it going on"}
	return feed(m, walk(event.Event{Time: at(0), Kind: event.Planned, Steps: []event.Step{
		{Key: "kafka", Title: "six brokers"},
		{Key: "store", Title: "an object store"},
		{Key: "topics", Title: "three topics", Needs: []string{"kafka"}},
		{Key: "registry", Title: "a registry", Needs: []string{"kafka", "topics"}},
		{Key: "users", Title: "users", Needs: []string{"kafka"}},
	}}, began(0, "kafka"), over(4, event.Done, "kafka"), began(4, "topics")), tickMsg(at(4.5)))
}

func TestTree(t *testing.T) {
	t.Parallel()
	same(t, feed(rooted(), tea.WindowSizeMsg{Width: 120, Height: 24}).View(), `
✓ six brokers      kafka       4.0s
⠙ ├ three topics   topics      0.5s
· │ └ a registry   registry
· └ users          users
· an object store  store
████░░░░░░░░░░░░ 1 of 5 steps  4.5s, about 10.0s last time  (ctrl-c stops, q leaves it going on, l log)`)
}

// Without the times of an earlier walk nothing is said of them.
func TestExpected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last map[string]time.Duration
		want time.Duration
		ok   bool
	}{
		"the longest way counts": {map[string]time.Duration{"kafka": 4, "topics": 1, "registry": 5, "users": 7, "store": 9}, 11, true},
		"one is not known":       {map[string]time.Duration{"kafka": 4}, 4, true},
		"of other steps":         {map[string]time.Duration{"else": 4}, 0, false},
		"nothing is known":       {nil, 0, false},
	} {
		if got, ok := expected(rooted().steps, c.last); got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v; want %d, %v", name, got, ok, c.want, c.ok)
		}
	}
	m := feed(rooted(), walk(over(5, event.Done, "topics"), over(6, event.Done, "store"), over(7, event.Done, "users"), began(5, "registry")))
	if part := weighed(m.steps, m.about.Last, at(100000)); part >= 1 || part < 0.9 {
		t.Errorf("a step that runs for ever is %g done", part)
	}
}

func TestLogOfAStep(t *testing.T) {
	t.Parallel()
	m := rooted()
	press := func(k string) {
		next, cmd := m.Update(key(k))
		m = next.(model)
		if cmd != nil {
			m = feed(m, cmd())
		}
	}
	press("l") // of the step that runs
	if got := ansi.Strip(m.View()); !strings.Contains(got, "log of topics\n  the log of topics\n  6 lines at most\n") {
		t.Errorf("the log of what runs:\n%s", got)
	}
	press("k")
	press("k")
	if got := ansi.Strip(m.View()); !strings.Contains(got, "log of kafka\n") {
		t.Errorf("the log of the first step:\n%s", got)
	}
	press("l")
	if got := ansi.Strip(m.View()); strings.Contains(got, "log of") {
		t.Errorf("the log stays:\n%s", got)
	}
}
