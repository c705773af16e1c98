package tui

import (
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// The messages of the model, besides keys and sizes.
type (
	eventsMsg  []event.Event // in the order in which they were sent
	closedMsg  struct{}      // no event will come any more
	expiredMsg struct{}      // the context of Follow has ended
	tickMsg    time.Time     // the time, for the spinner and the elapsed times
	logMsg     struct {      // the last lines of a step's log
		step  string
		lines []string
	}
)

// tickEvery is the time between two turns of the spinner.
const tickEvery = 100 * time.Millisecond

// state is where a step is.
type state int

const (
	waiting state = iota
	running
	done
	failed
	skipped
)

// leaving says why the view ends.
type leaving int

const (
	staying   leaving = iota
	ended             // the walk has ended, or nothing more is heard of it
	detached          // q
	abandoned         // the second Ctrl-C
	expired           // the context's end
)

// step is what is known of one step.
type step struct {
	key, title string
	needs      []string // keys of steps of this walk
	branch     string   // what is drawn before the title: the branches of the tree
	state      state
	began      time.Time
	spent      time.Duration // once it has ended
	gate, seen string        // what is waited for; "" when nothing
	count      int64
	total      int64
	unit       string
	meter      phrase.Meter
}

// model is the state of the view. Update changes no model that it was given:
// an older one still draws what it drew.
type model struct {
	styles style.Styles
	glyphs glyphs
	next   tea.Cmd // waits for events
	cancel tea.Cmd // asks the walk to stop

	width, height int // of the terminal; height 0 is without bound
	start, now    time.Time
	frame         int // of the spinner

	lab      string
	planned  bool
	steps    []step
	notes    []string
	problems []event.Problem
	finished *event.Event

	about   About
	cursor  string   // key of the step that was chosen; "" follows what happens
	logging bool     // the log of the step under the cursor is shown
	logOf   string   // whose log this is
	log     []string // its last lines

	stopping bool // Ctrl-C was pressed
	leave    leaving
}

// About is what is known of a walk besides its events.
type About struct {
	// Last is how long each step took when it was done last, by its key; nil when
	// nothing is known.
	Last map[string]time.Duration
	// Log reads the last lines of a step's log; nil when there are none to read.
	Log func(step string, lines int) []string
	// Leave says what q does; empty where the view cannot be left.
	Leave string
}

// newModel makes a model that knows nothing of the walk yet.
func newModel(styles style.Styles, g glyphs, now time.Time) model {
	return model{styles: styles, glyphs: g, width: 80, start: now, now: now}
}

// SetSize fits the view to a terminal of width columns and height lines.
func (m model) SetSize(width, height int) model {
	if width > 0 {
		m.width = width
	}
	m.height = max(height, 0)
	return m
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return tea.Batch(m.next, tick()) }

func tick() tea.Cmd {
	return tea.Tick(tickEvery, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		return m.SetSize(msg.Width, msg.Height), nil
	case tickMsg:
		m.now = time.Time(msg)
		m.frame++
		if m.logging && m.frame%logTicks == 0 {
			return m, tea.Batch(tick(), m.readLog())
		}
		return m, tick()
	case logMsg:
		m.logOf, m.log = msg.step, msg.lines
		return m, nil
	case eventsMsg:
		m = m.takeAll(msg)
		if m.finished != nil {
			return m.quit(ended)
		}
		return m, m.next
	case closedMsg:
		return m.quit(ended)
	case expiredMsg:
		return m.quit(expired)
	case tea.KeyMsg:
		switch msg.String() {
		case "ctrl+c":
			if m.stopping {
				return m.quit(abandoned)
			}
			m.stopping = true
			return m, m.cancel
		case "q":
			return m.quit(detached)
		}
		return m.pressed(msg.String())
	}
	return m, nil
}

// takeAll learns from events; the model that it was called on stays as it was.
func (m model) takeAll(events []event.Event) model {
	m.steps = slices.Clone(m.steps)
	for _, e := range events {
		m = m.take(e)
	}
	return m
}

// pressed takes a key that neither stops nor leaves.
func (m model) pressed(key string) (tea.Model, tea.Cmd) {
	by := 0
	switch key {
	case "l":
		m.logging = !m.logging && m.about.Log != nil
	case "up", "k":
		by = -1
	case "down", "j":
		by = 1
	default:
		return m, nil
	}
	if n := len(m.steps); by != 0 && n > 0 {
		at := max(slices.IndexFunc(m.steps, func(s step) bool { return s.key == m.under() }), 0)
		m.cursor = m.steps[min(max(at+by, 0), n-1)].key
		m.logging = m.about.Log != nil
	}
	if !m.logging {
		m.cursor = ""
		return m, nil
	}
	return m, m.readLog()
}

// under is the key of the step under the cursor: the one that was chosen, else the
// first that failed, else the first that runs.
func (m model) under() string {
	if m.cursor != "" {
		return m.cursor
	}
	for _, st := range []state{failed, running} {
		if i := slices.IndexFunc(m.steps, func(s step) bool { return s.state == st }); i >= 0 {
			return m.steps[i].key
		}
	}
	return ""
}

const (
	logLines = 6  // of a log that are shown
	logTicks = 10 // between two readings of a log
)

func (m model) readLog() tea.Cmd {
	key, read := m.under(), m.about.Log
	if key == "" || read == nil {
		return nil
	}
	return func() tea.Msg {
		lines := read(key, logLines)
		for i := range lines {
			lines[i] = phrase.Line(lines[i])
		}
		return logMsg{key, lines}
	}
}

// quit ends the view. The first reason stays.
func (m model) quit(why leaving) (tea.Model, tea.Cmd) {
	if m.leave == staying {
		m.leave = why
	}
	return m, tea.Quit
}

// take learns from one event. The model must own its steps.
func (m model) take(e event.Event) model {
	if e.Time.After(m.now) {
		m.now = e.Time
	}
	if e.Lab != "" {
		m.lab = phrase.Line(e.Lab)
	}
	switch e.Kind {
	case event.Planned:
		m.planned = true
		m.start = e.Time
		for _, s := range e.Steps {
			known := m.step(s.Key)
			known.title, known.needs = phrase.Line(s.Title), s.Needs
		}
		m.steps = tree(m.steps, m.glyphs)
	case event.Began:
		s := m.step(e.Step)
		s.state, s.began = running, e.Time
		if s.title == "" {
			s.title = phrase.Line(e.Text)
		}
	case event.Progress:
		s := m.step(e.Step)
		s.count, s.total, s.unit = e.Count, e.Total, phrase.Line(e.Unit)
		s.meter.Observe(e.Time, e.Count)
		s.gate, s.seen = "", ""
	case event.Waiting:
		s := m.step(e.Step)
		s.gate, s.seen = phrase.Line(e.Gate), phrase.Line(e.Seen)
	case event.Done:
		m.step(e.Step).end(done, e)
	case event.Failed:
		m.step(e.Step).end(failed, e)
		if !phrase.Cancelled(e.Problem) { // which Finished says once for all steps
			m = m.owe(e.Problem)
		}
	case event.Skipped:
		m.step(e.Step).end(skipped, e)
	case event.Note:
		if text := phrase.Line(e.Text); text != "" {
			m.notes = append(slices.Clip(m.notes), text)
		}
	case event.Finished:
		m = m.owe(e.Problem)
		m.finished = &e
	}
	return m
}

// owe keeps a problem to be shown in full. A walk usually ends with that of
// its failed step, which is shown once.
func (m model) owe(p *event.Problem) model {
	if p == nil {
		return m
	}
	if slices.Contains(m.problems, *p) {
		return m
	}
	m.problems = append(slices.Clip(m.problems), *p)
	return m
}

// step finds a step, and makes one that the plan did not have, as happens when
// something is stopped after a cancel. The pointer is good until the next call.
func (m *model) step(key string) *step {
	key = phrase.Line(key)
	i := slices.IndexFunc(m.steps, func(s step) bool { return s.key == key })
	if i < 0 {
		i = len(m.steps)
		m.steps = append(m.steps, step{key: key})
	}
	return &m.steps[i]
}

func (s *step) end(st state, e event.Event) {
	s.spent = time.Duration(e.Elapsed)
	if s.spent == 0 && !s.began.IsZero() {
		s.spent = e.Time.Sub(s.began)
	}
	s.state = st
}
