package dash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/term"

	"github.com/alertlab/alertlab/tui/kit"
	_ "github.com/alertlab/alertlab/tui/unasked" // must be initialised before bubbletea
)

// Options say what the dashboard shows, and where.
type Options struct {
	In    io.Reader
	Out   io.Writer
	Theme kit.Theme
	Lab   string // its name
	First rune   // the page that is in view first; 0 for the first of all
	// Health looks at the lab. It must end when its context does.
	Health func(context.Context) Health
	// Pages makes the pages, and the view in which a lab is brought up. What they
	// begin ends with the context, which ends with the dashboard.
	Pages func(context.Context) ([]Entry, Starter)
	// Trace keeps what is known of a crash, and says where.
	Trace func(*kit.Crash) (path string, err error)
	// Size is that of the terminal at first, in cells; nil asks Out.
	Size func() (width, height int)
}

// CrashError says that the dashboard crashed, and where the trace lies.
type CrashError struct {
	*kit.Crash
	Trace string // "" when it could not be written: Err says why
	Err   error
}

// Unwrap gives the crash.
func (c *CrashError) Unwrap() error { return c.Crash }

// goodbye bounds the wait for commands that are under way when the dashboard ends:
// each ends with its context, so that this is never reached.
const goodbye = 3 * time.Second

// Run shows the dashboard until it is left, and gives the terminal back as it was. The
// error is *CrashError after a crash, or the context's.
func Run(ctx context.Context, o Options) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	g := newGuard(inner, o)
	pages, starter := g.frame.pages, g.frame.starter
	// Known from the start, the first frame is drawn at once.
	if f, ok := o.Out.(interface{ Fd() uintptr }); ok && o.Size == nil {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			g.frame.setSize(width, height)
		}
	} else if o.Size != nil {
		g.frame.setSize(o.Size())
	}
	program := tea.NewProgram(g,
		tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithFPS(60), tea.WithAltScreen(), tea.WithMouseCellMotion(),
		tea.WithoutSignalHandler())
	_, err := program.Run()
	stop()
	for _, e := range pages {
		e.Page.Hide()
	}
	starter.Hide()
	g.calls.wait(goodbye)
	if g.crash != nil {
		out := &CrashError{Crash: g.crash}
		if o.Trace != nil {
			out.Trace, out.Err = o.Trace(g.crash)
		}
		return out
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, tea.ErrProgramKilled) {
		return fmt.Errorf("dashboard: %w", err)
	}
	return nil
}

// New makes the dashboard as a model, which Run runs: for measuring it.
func New(ctx context.Context, o Options) tea.Model { return newGuard(ctx, o) }

func newGuard(ctx context.Context, o Options) *guard {
	pages, starter := o.Pages(ctx)
	return &guard{frame: newFrame(ctx, o, pages, starter), calls: &calls{}}
}

// guard is the frame as a tea.Model. A panic in it, or in one of its commands, ends
// the program in the usual way, so that the terminal is as it was.
type guard struct {
	frame *frame
	crash *kit.Crash
	calls *calls
}

// Init implements tea.Model.
func (g *guard) Init() tea.Cmd { return g.watched(g.frame.Init()) }

// Update implements tea.Model.
func (g *guard) Update(msg tea.Msg) (model tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			g.crash, model, cmd = caught(r), g, tea.Quit
		}
	}()
	if c, ok := msg.(*kit.Crash); ok {
		g.crash = c
	}
	if g.crash != nil {
		return g, tea.Quit
	}
	return g, g.watched(g.frame.Update(msg))
}

// View implements tea.Model.
func (g *guard) View() (text string) {
	if g.crash != nil {
		return ""
	}
	defer func() {
		if r := recover(); r != nil {
			g.crash = caught(r)
			text = ""
		}
	}()
	return g.frame.View()
}

func caught(r any) *kit.Crash { return &kit.Crash{Value: fmt.Sprint(r), Stack: string(debug.Stack())} }

// watched counts a command while it is under way, and catches its panic.
func (g *guard) watched(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		if !g.calls.begin() {
			return nil
		}
		defer g.calls.end()
		defer func() {
			if r := recover(); r != nil {
				msg = caught(r)
			}
		}()
		msg = cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for i := range batch {
				batch[i] = g.watched(batch[i])
			}
		}
		return msg
	}
}

// calls counts what is under way.
type calls struct {
	mu    sync.Mutex
	n     int
	over  bool
	empty chan struct{}
}

// begin is false once nothing may begin any more.
func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.n++
	return true
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.empty != nil {
		close(c.empty)
	}
}

// wait lets nothing begin any more, and waits for what is under way.
func (c *calls) wait(atMost time.Duration) {
	c.mu.Lock()
	c.over, c.empty = true, make(chan struct{})
	if c.n == 0 {
		close(c.empty)
	}
	c.mu.Unlock()
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-c.empty:
	case <-timer.C:
	}
}
