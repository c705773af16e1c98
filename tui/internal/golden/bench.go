package golden

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// around is how many lines of the terminal the dashboard's frame takes.
const around = 4

// Page is what a Bench drives.
type Page interface {
	Update(tea.Msg) tea.Cmd
	View() string
	SetSize(width, height int)
}

// Bench drives a page whose commands follow something: what they bring is handed back
// until all that is left waits for what does not come.
type Bench struct {
	t       testing.TB
	page    Page
	blocked <-chan struct{}

	width, height int
	msgs          chan tea.Msg
	under         int // commands under way
}

// NewBench gives a page a size in cells. Each command that waits for what does not come
// says so on blocked, which is nil where there is none.
func NewBench(t testing.TB, page Page, width, height int, blocked <-chan struct{}) *Bench {
	b := &Bench{t: t, page: page, blocked: blocked, msgs: make(chan tea.Msg, 64)}
	b.Size(width, height)
	return b
}

// Size gives the page another size.
func (b *Bench) Size(width, height int) {
	b.width, b.height = width, height
	b.page.SetSize(width, height)
}

func (b *Bench) start(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	b.under++
	msgs := b.msgs
	go func() { msgs <- cmd() }()
}

// Settle runs a command, and what it leads to, until nothing moves.
func (b *Bench) Settle(cmd tea.Cmd) {
	b.t.Helper()
	b.start(cmd)
	deadline := time.After(time.Minute)
	for b.under > 0 {
		select {
		case <-b.blocked:
			b.under--
		case msg := <-b.msgs:
			b.under--
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					b.start(c)
				}
			} else if msg != nil {
				b.start(b.page.Update(msg))
			}
		case <-deadline:
			b.t.Fatalf("a command does not end:\n%s", b.page.View())
		}
	}
	// What was blocked ends with its context, and its message stays where nobody reads.
	b.msgs = make(chan tea.Msg, 64)
}

// Keys presses keys, each until nothing moves.
func (b *Bench) Keys(names ...string) {
	b.t.Helper()
	for _, n := range names {
		b.Settle(b.page.Update(Key(n)))
	}
}

// Text is the frame without its looks, which must have exactly the page's size.
func (b *Bench) Text() string {
	b.t.Helper()
	lines := strings.Split(b.page.View(), "\n")
	if len(lines) != b.height {
		b.t.Errorf("%d lines of %d", len(lines), b.height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w != b.width {
			b.t.Errorf("line %d has %d cells of %d: %q", i+1, w, b.width, l)
		}
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Frame compares the frame with the one that is kept, under its name with the size of
// the terminal.
func (b *Bench) Frame(name string) {
	b.t.Helper()
	Frame(b.t, fmt.Sprintf("%s-%dx%d", name, b.width, b.height+around), b.width, b.height, b.page.View())
}
