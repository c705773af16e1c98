package render

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// quietTime is how long a step may go on before a line says what it does or
// waits for, and the least time between two such lines.
const quietTime = 10 * time.Second

// Plain writes one line for each event that is worth one: the time since the
// walk began, the key of the step (or the name of the lab), and what happened.
// A step that counts or waits gets a line every ten seconds, so that a log
// shows neither noise nor a silence without reason. All times come from the
// events and from Tick; Plain has no clock of its own.
type Plain struct {
	mu       sync.Mutex
	w        lineWriter
	lab      string
	start    time.Time
	column   int // width of the keys
	steps    map[string]*plainStep
	order    []*plainStep
	tally    map[event.Kind]int
	problems []event.Problem // to be shown in full at the end
}

// plainStep is what is known of one step.
type plainStep struct {
	key, title  string
	running     bool
	began       time.Time
	waiting     bool // a gate was the last thing heard of, not a count
	gate, seen  string
	waitingFrom time.Time
	count       int64
	total       int64
	unit        string
	meter       phrase.Meter
	said        time.Time // when a line last said something of this step
}

// NewPlain makes a plain renderer.
func NewPlain(w io.Writer) *Plain {
	return &Plain{
		w:      lineWriter{w: w, Styles: style.New(w, os.Getenv)},
		column: 16,
		steps:  map[string]*plainStep{},
		tally:  map[event.Kind]int{},
	}
}

// Event writes the event's line, if it is worth one now, and the lines of
// other steps that have been silent for too long.
func (p *Plain) Event(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.start.IsZero() {
		p.start = e.Time
	}
	if e.Lab != "" {
		p.lab = phrase.Line(e.Lab)
	}
	p.take(e)
	p.breakSilence(e.Time)
}

// Tick tells the time while no event comes.
func (p *Plain) Tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakSilence(now)
}

// Close writes the problems that no Finished event has brought out, and gives
// the first error of the writer.
func (p *Plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeProblems()
	return p.w.err
}

func (p *Plain) take(e event.Event) {
	switch e.Kind {
	case event.Planned:
		for _, s := range e.Steps {
			st := p.step(s.Key)
			st.title = phrase.Line(s.Title)
			p.column = min(max(p.column, ansi.StringWidth(st.key)), 28)
		}
		if len(e.Steps) > 0 || e.Text != "" {
			p.line(e.Time, p.lab, p.w.Plain, phrase.Count(len(e.Steps), "step")+text(e))
		}
	case event.Began:
		s := p.step(e.Step)
		s.running, s.began, s.said = true, e.Time, e.Time
		what := s.title + text(e)
		if s.title == "" { // not of the plan
			what = phrase.Line(e.Text)
		}
		if what == "" {
			what = strings.TrimSpace(phrase.Line(e.Action) + " " + s.key)
		}
		p.line(e.Time, s.key, p.w.Plain, what)
	case event.Progress:
		s := p.step(e.Step)
		s.waiting, s.count, s.total, s.unit = false, e.Count, e.Total, phrase.Line(e.Unit)
		s.meter.Observe(e.Time, e.Count)
	case event.Waiting:
		s := p.step(e.Step)
		gate := phrase.Line(e.Gate)
		if !s.waiting || s.gate != gate {
			s.waitingFrom = e.Time
		}
		s.waiting, s.gate, s.seen = true, gate, phrase.Line(e.Seen)
	case event.Done:
		s := p.end(e)
		what := "done in " + phrase.Elapsed(spent(e, s.began))
		if s.count > 0 {
			what += fmt.Sprintf(", %d %s", s.count, s.unit)
		}
		p.line(e.Time, s.key, p.w.Good, what+text(e))
	case event.Failed:
		s := p.end(e)
		what := "failed after " + phrase.Elapsed(spent(e, s.began))
		if reason := phrase.Reason(e.Problem); reason != "" {
			what += ": " + reason
		}
		p.line(e.Time, s.key, p.w.Bad, what+text(e))
		if !phrase.Cancelled(e.Problem) { // which Finished says once for all steps
			p.owe(e.Problem)
		}
	case event.Skipped:
		p.line(e.Time, p.end(e).key, p.w.Dim, "not begun"+text(e))
	case event.Note:
		key := phrase.Line(e.Step)
		if key == "" {
			key = p.lab
		}
		p.line(e.Time, key, p.w.Warn, "note"+text(e))
	case event.Finished:
		p.owe(e.Problem)
		p.finish(e)
		p.writeProblems()
	}
}

// finish writes the walk's last line.
func (p *Plain) finish(e event.Event) {
	after := phrase.Elapsed(spent(e, p.start))
	tally := fmt.Sprintf("%d done, %d failed, %d not begun", p.tally[event.Done], p.tally[event.Failed], p.tally[event.Skipped])
	switch {
	case e.Problem == nil && e.Unchanged:
		p.line(e.Time, p.lab, p.w.Good, "nothing to do"+text(e))
	case e.Problem == nil:
		p.line(e.Time, p.lab, p.w.Good, fmt.Sprintf("all done in %s, %s%s", after, phrase.Count(p.tally[event.Done], "step"), text(e)))
	case phrase.Cancelled(e.Problem):
		p.line(e.Time, p.lab, p.w.Warn, fmt.Sprintf("cancelled after %s: %s%s", after, tally, text(e)))
	default:
		p.line(e.Time, p.lab, p.w.Bad, fmt.Sprintf("failed after %s: %s%s", after, tally, text(e)))
	}
}

// breakSilence writes a line for every running step of which nothing was said
// for too long.
func (p *Plain) breakSilence(now time.Time) {
	for _, s := range p.order {
		if !s.running || now.Sub(s.said) < quietTime {
			continue
		}
		s.said = now
		p.line(now, s.key, p.w.Dim, s.state(now))
	}
}

// state says what a running step does.
func (s *plainStep) state(now time.Time) string {
	switch {
	case s.waiting:
		what := fmt.Sprintf("waits %s for: %s", phrase.About(now.Sub(s.waitingFrom)), s.gate)
		if s.seen != "" {
			what += "; saw last: " + s.seen
		}
		return what
	case s.total > 0 || s.count > 0:
		what := phrase.Progress(s.count, s.total, s.unit)
		if speed := s.meter.Text(s.total, s.unit); speed != "" {
			what += ", " + speed
		}
		return what
	}
	return "goes on, " + phrase.About(now.Sub(s.began))
}

// step finds a step, and makes one that the plan did not have.
func (p *Plain) step(key string) *plainStep {
	s := p.steps[key]
	if s == nil {
		s = &plainStep{key: phrase.Line(key)}
		p.steps[key] = s
		p.order = append(p.order, s)
	}
	return s
}

func (p *Plain) end(e event.Event) *plainStep {
	s := p.step(e.Step)
	s.running = false
	p.tally[e.Kind]++
	return s
}

// owe keeps a problem for the end, where it is looked for. The same problem is
// shown once: a walk usually ends with that of its failed step.
func (p *Plain) owe(problem *event.Problem) {
	if problem != nil && !slices.Contains(p.problems, *problem) {
		p.problems = append(p.problems, *problem)
	}
}

func (p *Plain) writeProblems() {
	for i := range p.problems {
		p.w.block(p.w.Bad, phrase.Remedy(&p.problems[i]))
	}
	p.problems = nil
}

func (p *Plain) line(at time.Time, key string, look lipgloss.Style, what string) {
	pad := strings.Repeat(" ", max(p.column-ansi.StringWidth(key), 0))
	p.w.line(p.w.Dim.Render(fmt.Sprintf("%7s", phrase.Elapsed(at.Sub(p.start)))) + "  " + key + pad + "  " + look.Render(what))
}

// spent is the time an event states, or else the time since.
func spent(e event.Event, since time.Time) time.Duration {
	if e.Elapsed != 0 || since.IsZero() {
		return time.Duration(e.Elapsed)
	}
	return e.Time.Sub(since)
}

// text is the event's own line, to be put after another.
func text(e event.Event) string {
	if t := phrase.Line(e.Text); t != "" {
		return ": " + t
	}
	return ""
}

// lineWriter writes lines until the first error, which it keeps: an event has
// nobody to return it to.
type lineWriter struct {
	w   io.Writer
	err error
	style.Styles
}

func (l *lineWriter) line(s string) {
	if l.err == nil {
		// One write for each line, so that lines of several writers of one
		// terminal do not run into each other.
		_, l.err = io.WriteString(l.w, s+"\n")
	}
}

// block writes lines of which the first is coloured.
func (l *lineWriter) block(look lipgloss.Style, s string) {
	first, rest, more := strings.Cut(s, "\n")
	l.line(look.Render(first))
	if more {
		l.line(rest)
	}
}
