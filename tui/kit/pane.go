package kit

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
)

// Pane shows lines of text that may be longer than it is high. Lines have their looks
// already.
type Pane struct {
	Theme Theme
	// Tail keeps the end in view while lines come, until somebody moves up.
	Tail bool

	width, height, top int
	lines              []string
}

// SetSize gives the size in cells.
func (p *Pane) SetSize(width, height int) { p.width, p.height = width, height; p.bound() }

// SetLines replaces the text.
func (p *Pane) SetLines(lines []string) {
	tail := p.Tail && p.AtEnd()
	p.lines = lines
	if tail {
		p.top = len(lines)
	}
	p.bound()
}

// AtEnd says whether the last line is in view.
func (p *Pane) AtEnd() bool { return p.top >= len(p.lines)-p.height }

// Top moves to the first line, and End to the last.
func (p *Pane) Top() { p.top = 0 }

// End moves to the last line.
func (p *Pane) End() { p.top = len(p.lines); p.bound() }

// Show brings a line into view.
func (p *Pane) Show(i int) {
	if i < p.top || i >= p.top+p.height {
		p.top = i - p.height/2
		p.bound()
	}
}

// Update moves, and says whether the message was for the pane.
func (p *Pane) Update(msg tea.Msg) bool {
	at, moved := move(msg, p.top, len(p.lines)+1, max(p.height-1, 1))
	if moved {
		p.top = at
		p.bound()
	}
	return moved
}

func (p *Pane) bound() { p.top = max(min(p.top, len(p.lines)-p.height), 0) }

// Lines draws what is in view, in exactly the height.
func (p *Pane) Lines() []string {
	out := make([]string, max(p.height, 0))
	for i := range out {
		if at := p.top + i; at < len(p.lines) {
			out[i] = p.Theme.Cut(p.lines[at], p.width)
		}
	}
	return out
}

// Rest says how much stands outside of the view, "" when nothing does.
func (p *Pane) Rest() string {
	var parts []string
	if p.top > 0 {
		parts = append(parts, p.Theme.Signs.Up+" "+phrase.Number(int64(p.top)))
	}
	if below := len(p.lines) - p.top - p.height; below > 0 {
		parts = append(parts, p.Theme.Signs.Down+" "+phrase.Number(int64(below)))
	}
	return strings.Join(parts, "  ")
}
