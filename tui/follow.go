package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/term"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/style"
	_ "github.com/alertlab/alertlab/tui/unasked" // must be initialised before bubbletea
)

// The ways in which a reader leaves a walk that goes on.
var (
	// ErrDetached says that the reader pressed q: the walk goes on unseen.
	ErrDetached = errors.New("left the view, the walk goes on")
	// ErrAbandoned says that the reader pressed Ctrl-C a second time and did
	// not wait until everything that was begun is stopped.
	ErrAbandoned = errors.New("left before everything was stopped")
)

// Suits reports whether the live view can be drawn on a writer: it is a
// terminal that can move its cursor. Elsewhere use render.Plain.
func Suits(out io.Writer) bool {
	return style.Terminal(out) && os.Getenv("TERM") != "dumb"
}

// Follow shows a walk until its Finished event was seen or events is closed,
// and returns nil then; how the walk ended is for the sender of the events to
// know. A Ctrl-C calls cancel, once, and the view goes on to show what is
// being stopped; a second Ctrl-C ends the view at once with ErrAbandoned, q
// ends it with ErrDetached, the end of the context with the context's cause.
// In every case the last frame, with all steps and problems, stays on the
// terminal.
//
// Keys are read when in is a terminal (or, for tests, no file at all); else
// Ctrl-C is a signal, and signals are the caller's business, through ctx.
// about is what is known of the walk besides. After an early end nobody reads events any more: the sender must not block
// on them for ever.
func Follow(ctx context.Context, out io.Writer, in io.Reader, events <-chan event.Event, cancel func(), about About) error {
	inner, stop := context.WithCancel(ctx)
	defer stop() // releases the commands that wait for events

	styles := style.New(out, os.Getenv)
	m := newModel(styles, glyphsFor(styles.ASCII), time.Now())
	m.about = about
	m.next = nextEvents(inner, events)
	m.cancel = func() tea.Msg { cancel(); return nil }
	if f, ok := out.(*os.File); ok {
		// Known from the start, the first frame is drawn as wide as it may be.
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			m = m.SetSize(w, h)
		}
	}
	if _, isFile := in.(*os.File); isFile && !style.Terminal(in) {
		in = nil
	}
	program := tea.NewProgram(m,
		tea.WithInput(in),
		tea.WithOutput(out),
		tea.WithFPS(30),
		tea.WithoutSignalHandler(),
		tea.WithoutBracketedPaste(),
	)
	last, err := program.Run()
	if err != nil {
		return fmt.Errorf("live view: %w", err)
	}
	end := last.(model)
	// Bubble Tea cuts a frame that is higher than the terminal. The last one is
	// written after it, so that it stays as a whole.
	if _, err := io.WriteString(out, strings.TrimRight(end.Report(), "\n")+"\n"); err != nil {
		return fmt.Errorf("live view: %w", err)
	}
	switch end.leave {
	case detached:
		return ErrDetached
	case abandoned:
		return ErrAbandoned
	case expired:
		return context.Cause(ctx)
	}
	return nil
}

// batch bounds how many events are taken before the view is drawn again.
const batch = 256

// nextEvents makes the command that waits for an event and takes with it all
// that are there already: a walk may send faster than frames are drawn.
func nextEvents(ctx context.Context, events <-chan event.Event) tea.Cmd {
	return func() tea.Msg {
		var got eventsMsg
		select {
		case <-ctx.Done():
			return expiredMsg{}
		case e, ok := <-events:
			if !ok {
				return closedMsg{}
			}
			got = append(got, e)
		}
		for len(got) < batch {
			select {
			case e, ok := <-events:
				if !ok {
					return got // the next command finds it closed again
				}
				got = append(got, e)
			default:
				return got
			}
		}
		return got
	}
}
