package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/style"
)

// Walk is the live view of a walk as a part of something larger, such as a page of the
// dashboard. The zero value is of no use; see NewWalk.
type Walk struct {
	ctx    context.Context
	m      model
	cancel context.CancelFunc
	over   bool
	err    error
}

type walkMsg struct {
	of  *Walk
	msg tea.Msg
}

// walkOver is the end of what Start began.
type walkOver struct{ err error }

// NewWalk makes the view of a walk that is not begun. ctx is the program's: when it
// ends nothing more is drawn, and the walk goes on.
func NewWalk(ctx context.Context, styles style.Styles, about About) *Walk {
	m := newModel(styles, glyphsFor(styles.ASCII), time.Now())
	m.about = about
	return &Walk{ctx: ctx, m: m}
}

// Start begins the walk: do sends events to its sink until it returns. Its context
// ends by Cancel alone; what do began goes on when the program ends.
func (w *Walk) Start(do func(context.Context, event.Sink) error) tea.Cmd {
	walking, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	w.cancel = cancel
	events, gone := make(chan event.Event, 64), w.ctx.Done()
	result := make(chan error, 1)
	go func() {
		err := do(walking, func(e event.Event) {
			select {
			case events <- e:
			case <-gone: // nobody looks any more
			}
		})
		result <- err
		close(events)
	}()
	w.m.next = nextEvents(w.ctx, events)
	end := func() tea.Msg {
		select {
		case err := <-result:
			return walkMsg{w, walkOver{err}}
		case <-gone:
			return nil
		}
	}
	return tea.Batch(w.own(w.m.next), w.tick(), end)
}

func (w *Walk) tick() tea.Cmd {
	return func() tea.Msg {
		timer := time.NewTimer(tickEvery)
		defer timer.Stop()
		select {
		case now := <-timer.C:
			return walkMsg{w, tickMsg(now)}
		case <-w.ctx.Done():
			return nil
		}
	}
}

// own marks what a command gives as this walk's.
func (w *Walk) own(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() tea.Msg {
		msg := cmd()
		if msg == nil {
			return nil
		}
		return walkMsg{w, msg}
	}
}

// Update takes the walk's own messages, and keys: arrows and l.
func (w *Walk) Update(msg tea.Msg) tea.Cmd {
	if key, ok := msg.(tea.KeyMsg); ok {
		next, cmd := w.m.pressed(key.String())
		w.m = next.(model)
		return w.own(cmd)
	}
	own, ok := msg.(walkMsg)
	if !ok || own.of != w {
		return nil
	}
	switch msg := own.msg.(type) {
	case tickMsg:
		w.m.now = time.Time(msg)
		w.m.frame++
		switch {
		case w.Over():
			return nil
		case w.m.logging && w.m.frame%logTicks == 0:
			return tea.Batch(w.tick(), w.own(w.m.readLog()))
		}
		return w.tick()
	case eventsMsg:
		w.m = w.m.takeAll(msg)
		return w.own(w.m.next)
	case logMsg:
		w.m.logOf, w.m.log = msg.step, msg.lines
	case walkOver:
		w.over, w.err = true, msg.err
	}
	return nil
}

// Cancel asks the walk to stop.
func (w *Walk) Cancel() {
	w.m.stopping = true
	if w.cancel != nil {
		w.cancel()
	}
}

// Stopping says whether Cancel was called.
func (w *Walk) Stopping() bool { return w.m.stopping }

// Over says whether the walk has ended, and all that it said was seen.
func (w *Walk) Over() bool { return w.over && (w.m.finished != nil || w.err != nil || !w.m.planned) }

// Begun says whether the walk has said anything yet.
func (w *Walk) Begun() bool { return w.m.planned || len(w.m.steps) > 0 || w.m.finished != nil }

// Err is why it did not end well, nil when it did.
func (w *Walk) Err() error { return w.err }

// Told says whether the problem that the walk ended with is in view.
func (w *Walk) Told() bool { return len(w.m.problems) > 0 }

// Lines draws the walk on at most height lines of width cells.
func (w *Walk) Lines(width, height int) []string {
	m := w.m.SetSize(width+1, height+1)
	if !w.Over() {
		return strings.Split(m.View(), "\n")
	}
	var foot []string
	for _, n := range m.notes {
		foot = append(foot, m.cut(m.note(n)))
	}
	foot = append(foot, m.problemsInFull()...)
	foot = append(foot, m.logInView()...)
	if m.finished != nil {
		foot = append(foot, m.wrap(m.ending())...)
	}
	if len(foot) > height-3 { // what happened last counts
		foot = slices.Clone(foot[max(len(foot)-height+3, 0):])
	}
	if len(m.steps) == 0 {
		return foot
	}
	return append(m.list(max(height-len(foot), 1)), foot...)
}
