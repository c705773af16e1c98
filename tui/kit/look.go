package kit

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/render/style"
)

// Look says what a text means; the theme says how that is drawn.
type Look int

// The looks. They are few, so that each means something.
const (
	Plain   Look = iota
	Dim          // beside the point
	Good         // as it should be
	Warn         // to be looked at
	Bad          // failed
	Active       // going on
	Heading      // titles
	Chosen       // the row or tab under the cursor
)

// Theme is how everything is drawn: in the colours of package style, and in none when
// the terminal shall have none.
type Theme struct {
	// looks are what is written before and behind a text: the same for every text, so
	// that a frame of thousands of cells is drawn quickly.
	looks [Chosen + 1][2]string
	Signs Signs
	// Styles are what the theme was made of.
	Styles style.Styles
}

// Signs are the characters that the terminal's font has.
type Signs struct {
	Mark, Ellipsis, Rule, Bar, Rest, Up, Down, Between string
	Good, Bad, Wait, Run, Skip                         string
	// Levels are the heights of a bar in one cell, the lowest first.
	Levels []string
}

// NewTheme makes a theme of the looks that a terminal has.
func NewTheme(s style.Styles) Theme {
	t := Theme{Styles: s}
	for look, of := range [...]lipgloss.Style{
		Plain: s.Plain, Dim: s.Dim, Good: s.Good, Warn: s.Warn, Bad: s.Bad, Active: s.Active, Heading: s.Heading,
		Chosen: s.Plain.Reverse(true),
	} {
		t.looks[look][0], t.looks[look][1], _ = strings.Cut(of.Render("x"), "x")
	}
	if s.ASCII {
		t.Signs = Signs{Mark: ">", Ellipsis: "...", Rule: "-", Bar: "#", Rest: ".", Up: "^", Down: "v", Between: ">",
			Good: "+", Bad: "x", Wait: ".", Run: "*", Skip: "-", Levels: []string{"_", "-", "=", "#"}}
	} else {
		t.Signs = Signs{Mark: "▸", Ellipsis: "…", Rule: "─", Bar: "█", Rest: "░", Up: "▴", Down: "▾", Between: "›",
			Good: "✓", Bad: "✗", Wait: "·", Run: "●", Skip: "–", Levels: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}}
	}
	return t
}

// Draw gives a text its look.
func (t Theme) Draw(l Look, text string) string {
	if text == "" || l == Plain {
		return text
	}
	return t.looks[l][0] + text + t.looks[l][1]
}

// Mono says that what is chosen cannot be drawn in reverse: a word stands in brackets
// then.
func (t Theme) Mono() bool { return t.looks[Chosen][0] == "" }

// Pick draws words of which one is chosen.
func (t Theme) Pick(chosen int, words ...string) string {
	parts := make([]string, len(words))
	for i, w := range words {
		switch {
		case i == chosen && t.Mono():
			parts[i] = "[" + w + "]"
		case i == chosen:
			parts[i] = t.Draw(Chosen, " "+w+" ")
		default:
			parts[i] = t.Draw(Dim, " "+w+" ")
		}
	}
	return strings.Join(parts, " ")
}

// Picked says which of the words of Pick is at a cell of its line, -1 for none.
func Picked(x int, words ...string) int {
	at := 0
	for i, w := range words {
		if width := Width(w) + 2; x >= at && x < at+width {
			return i
		} else {
			at += width + 1
		}
	}
	return -1
}

// keys are the names of keys that are no letters, in ASCII.
var keys = strings.NewReplacer("↑↓", "up, down", "↑ ↓", "up, down", "← →", "left, right", "←", "left", "→", "right", "…", "to", "±", "+-")

// Sign writes a text with the signs that the terminal has.
func (t Theme) Sign(text string) string {
	if t.Styles.ASCII {
		return keys.Replace(text)
	}
	return text
}

// Width is how many cells a text takes.
func Width(s string) int {
	for i := range len(s) { // most texts are ASCII without escapes
		if c := s[i]; c < ' ' || c > '~' {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// Cut shortens a text to width cells.
func (t Theme) Cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if Width(s) <= width {
		return s
	}
	return ansi.Truncate(s, width, t.Signs.Ellipsis)
}

// Fit cuts or fills a text to exactly width cells.
func (t Theme) Fit(s string, width int) string {
	s = t.Cut(s, width)
	return s + strings.Repeat(" ", max(width-Width(s), 0))
}

// FitRight is Fit with the text at the right.
func (t Theme) FitRight(s string, width int) string {
	s = t.Cut(s, width)
	return strings.Repeat(" ", max(width-Width(s), 0)) + s
}

// Ends puts one text at the left and one at the right end of a line; when there is
// no room for both, the left one is cut.
func (t Theme) Ends(left, right string, width int) string {
	r := Width(right)
	if r > 0 && r+2 > width {
		return t.Fit(left, width)
	}
	if r == 0 {
		return t.Fit(left, width)
	}
	return t.Fit(left, width-r-1) + " " + right
}

// Block gives exactly height lines of exactly width cells.
func (t Theme) Block(lines []string, width, height int) string {
	var b strings.Builder
	for i := range max(height, 0) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i < len(lines) {
			b.WriteString(t.Fit(lines[i], width))
		} else {
			b.WriteString(strings.Repeat(" ", max(width, 0)))
		}
	}
	return b.String()
}

// Margin is how many cells at either side of a page stay empty.
const Margin = 1

// Page gives exactly height lines of exactly width cells, the text within the margins.
func (t Theme) Page(lines []string, width, height int) string {
	within := make([]string, len(lines))
	for i, l := range lines {
		within[i] = " " + l
	}
	return t.Block(within, width, height)
}

// Beside puts columns of lines next to each other, each as wide as it says.
func (t Theme) Beside(gap int, columns ...Strip) []string {
	height := 0
	for _, c := range columns {
		height = max(height, len(c.Lines))
	}
	out := make([]string, height)
	for i := range out {
		var b strings.Builder
		for j, c := range columns {
			if j > 0 {
				b.WriteString(strings.Repeat(" ", gap))
			}
			line := ""
			if i < len(c.Lines) {
				line = c.Lines[i]
			}
			b.WriteString(t.Fit(line, c.Width))
		}
		out[i] = b.String()
	}
	return out
}

// Strip is a part of a page beside others.
type Strip struct {
	Lines []string
	Width int
}

// Wrap breaks a text between words into lines of at most width cells.
func Wrap(s string, width int) []string {
	return strings.Split(ansi.Wrap(s, max(width, 1), ""), "\n")
}
