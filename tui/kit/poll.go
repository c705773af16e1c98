package kit

import (
	"context"
	"errors"
	"fmt"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
)

// Poll reads something again and again while it is wanted. What it read last stays
// while a later attempt fails, with the time that it is of.
type Poll[T any] struct {
	ctx   context.Context
	every time.Duration
	read  func(context.Context) (T, error)

	Value T         // as read last
	At    time.Time // when that was; zero before the first
	Err   error     // of the last attempt

	round   int // counts Starts, so that what an earlier one began is known
	running bool
	stop    context.CancelFunc
}

type (
	pollRead[T any] struct {
		of    *Poll[T]
		round int
		value T
		err   error
		at    time.Time
	}
	pollDue[T any] struct {
		of    *Poll[T]
		round int
	}
)

// NewPoll makes a poll that is not started. ctx is the program's; every is the time
// between the end of a reading and the next one, 0 for a single reading.
func NewPoll[T any](ctx context.Context, every time.Duration, read func(context.Context) (T, error)) *Poll[T] {
	return &Poll[T]{ctx: ctx, every: every, read: read}
}

// Start begins to read, at once.
func (p *Poll[T]) Start() tea.Cmd {
	p.Stop()
	p.round++
	p.running = true
	return p.once()
}

// Stop ends it; what is being read is given up.
func (p *Poll[T]) Stop() {
	p.running = false
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// Loaded says whether something was read.
func (p *Poll[T]) Loaded() bool { return !p.At.IsZero() }

func (p *Poll[T]) once() tea.Cmd {
	ctx, stop := context.WithCancel(p.ctx)
	p.stop = stop
	round, read := p.round, p.read
	return func() tea.Msg {
		value, err := read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return pollRead[T]{p, round, value, err, time.Now()}
	}
}

// Update takes the poll's own messages, and says whether there is something new.
func (p *Poll[T]) Update(msg tea.Msg) (cmd tea.Cmd, news bool) {
	switch msg := msg.(type) {
	case pollRead[T]:
		if msg.of != p || msg.round != p.round || !p.running {
			return nil, false
		}
		p.Err = msg.err
		if msg.err == nil {
			p.Value, p.At = msg.value, msg.at
		}
		p.Stop()
		if p.every == 0 {
			return nil, true
		}
		p.running = true
		round := p.round
		return After(p.ctx, p.every, pollDue[T]{p, round}), true
	case pollDue[T]:
		if msg.of == p && msg.round == p.round && p.running {
			return p.once(), false
		}
	}
	return nil, false
}

// State is a line about what was read: that it is being read for the first time, or
// why the last attempt failed; "" when all is well.
func (p *Poll[T]) State(t Theme) string {
	switch {
	case p.Err != nil && p.Loaded():
		return t.Draw(Warn, "as of "+p.At.Local().Format("15:04:05")+"; since then: "+Explain(p.Err))
	case p.Err != nil:
		return t.Draw(Bad, Explain(p.Err))
	case !p.Loaded():
		return t.Draw(Dim, "reading"+t.Signs.Ellipsis)
	}
	return ""
}

// Explain is an error on one line.
func Explain(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return phrase.Line(err.Error())
}

// After gives a message after a time, or nothing when ctx ends before.
func After(ctx context.Context, d time.Duration, msg tea.Msg) tea.Cmd {
	return func() tea.Msg {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return msg
		}
	}
}

// Crash is what a command that panicked leaves: the dashboard ends with it.
type Crash struct {
	Value string
	Stack string
}

func (c *Crash) Error() string { return fmt.Sprintf("the dashboard crashed: %s", c.Value) }
