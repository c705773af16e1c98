package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// The size of a cell, and of the margin around all, in pixels. The width is that of
// DejaVu Sans Mono, whose characters measure 0.602 of the font's size, so that a viewer
// that does not know textLength draws it as well.
const (
	cellWidth  = 8.43
	cellHeight = 18.0
	margin     = 14.0
)

// The colours of the picture's terminal: the sixteen, background and foreground.
var palette = [16]string{
	"#45475a", "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#bac2de",
	"#585b70", "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#cdd6f4",
}

const (
	background = "#1e1e2e"
	foreground = "#cdd6f4"
)

// look is how a cell is drawn; empty colours are the terminal's own.
type look struct {
	fore, back           string
	bold, faint, reverse bool
}

// cell is a character with its look.
type cell struct {
	text  string
	width int
	look
}

// plain is a screen without its colours.
func plain(screen string) string { return ansi.Strip(screen) }

// parse takes a screen apart, as tmux captures it: lines of text with SGR sequences,
// whose effect lasts until the next one, also over the end of a line.
func parse(screen string) [][]cell {
	var out [][]cell
	var now look
	for _, line := range strings.Split(strings.TrimRight(screen, "\n"), "\n") {
		var cells []cell
		for line != "" {
			if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
				end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
				if end < 0 {
					break
				}
				if rest[end] == 'm' {
					now = now.sgr(rest[:end])
				}
				line = rest[end+1:]
				continue
			}
			if strings.HasPrefix(line, "\x1b") || strings.HasPrefix(line, "\x0e") || strings.HasPrefix(line, "\x0f") {
				line = line[1:]
				continue
			}
			_, size := utf8.DecodeRuneInString(line)
			cells = append(cells, cell{line[:size], max(ansi.StringWidth(line[:size]), 1), now})
			line = line[size:]
		}
		out = append(out, cells)
	}
	return out
}

// sgr is the look after a sequence of the parameters of Select Graphic Rendition
// (ECMA-48, 8.3.117).
func (l look) sgr(parameters string) look {
	numbers := []int{}
	for _, p := range strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' }) {
		n, err := strconv.Atoi(p)
		if err != nil {
			return l
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		return look{}
	}
	for i := 0; i < len(numbers); i++ {
		switch n := numbers[i]; {
		case n == 0:
			l = look{}
		case n == 1:
			l.bold = true
		case n == 2:
			l.faint = true
		case n == 7:
			l.reverse = true
		case n == 22:
			l.bold, l.faint = false, false
		case n == 27:
			l.reverse = false
		case n >= 30 && n <= 37:
			l.fore = palette[n-30]
		case n >= 40 && n <= 47:
			l.back = palette[n-40]
		case n >= 90 && n <= 97:
			l.fore = palette[n-90+8]
		case n >= 100 && n <= 107:
			l.back = palette[n-100+8]
		case n == 39:
			l.fore = ""
		case n == 49:
			l.back = ""
		case n == 38 || n == 48:
			colour, used := extended(numbers[i+1:])
			i += used
			if n == 38 {
				l.fore = colour
			} else {
				l.back = colour
			}
		}
	}
	return l
}

// extended reads a colour of 256 or of 24 bits, and how many numbers it took.
func extended(numbers []int) (string, int) {
	switch {
	case len(numbers) >= 2 && numbers[0] == 5:
		return indexed(numbers[1]), 2
	case len(numbers) >= 4 && numbers[0] == 2:
		return fmt.Sprintf("#%02x%02x%02x", numbers[1]&255, numbers[2]&255, numbers[3]&255), 4
	}
	return "", len(numbers)
}

// indexed is one of xterm's 256 colours: sixteen, a cube of six, and greys.
func indexed(n int) string {
	switch {
	case n < 0 || n > 255:
		return ""
	case n < 16:
		return palette[n]
	case n >= 232:
		grey := 8 + 10*(n-232)
		return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey)
	}
	steps := [6]int{0, 95, 135, 175, 215, 255}
	n -= 16
	return fmt.Sprintf("#%02x%02x%02x", steps[n/36], steps[n/6%6], steps[n%6])
}

// colours are what is drawn with, after reversal.
func (l look) colours() (fore, back string) {
	fore, back = l.fore, l.back
	if l.reverse {
		if fore == "" {
			fore = foreground
		}
		if back == "" {
			back = background
		}
		fore, back = back, fore
	}
	if fore == "" {
		fore = foreground
	}
	return fore, back
}

// block gives the part of its cell that a block character fills, from 0 to 1: left,
// top, right, bottom. They are drawn as rectangles, so that none has a gap.
func block(text string) (x0, y0, x1, y1 float64, ok bool) {
	r, _ := utf8.DecodeRuneInString(text)
	switch {
	case r == '█':
		return 0, 0, 1, 1, true
	case r == '▀':
		return 0, 0, 1, 0.5, true
	case r >= '▁' && r <= '▇':
		return 0, 1 - float64(r-'▁'+1)/8, 1, 1, true
	case r == '▌':
		return 0, 0, 0.5, 1, true
	case r == '▐':
		return 0.5, 0, 1, 1, true
	}
	return 0, 0, 0, 0, false
}

// draw draws a screen that is width cells wide as SVG.
func draw(screen string, width int) string {
	rows := parse(screen)
	for len(rows) > 0 && blank(rows[len(rows)-1]) {
		rows = rows[:len(rows)-1]
	}
	var b strings.Builder
	var backs, blocks shapes
	w, h := float64(width)*cellWidth+2*margin, float64(len(rows))*cellHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", background)
	var texts strings.Builder
	for y, row := range rows {
		top := margin + float64(y)*cellHeight
		x := 0
		for i := 0; i < len(row); {
			j, cells := i, 0
			for j < len(row) && row[j].look == row[i].look {
				cells += row[j].width
				j++
			}
			fore, back := row[i].colours()
			if back != "" {
				backs.add(back, margin+float64(x)*cellWidth, top, float64(cells)*cellWidth, cellHeight)
			}
			x = span(&texts, &blocks, row[i:j], x, top, fore)
			i = j
		}
	}
	backs.write(&b)
	blocks.write(&b)
	b.WriteString(texts.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// blank says whether nothing is seen of a line.
func blank(cells []cell) bool {
	return !slices.ContainsFunc(cells, func(c cell) bool {
		_, back := c.colours()
		return strings.TrimSpace(c.text) != "" || back != ""
	})
}

// shapes are rectangles by colour: one path for each, because a picture in half blocks
// has thousands of them.
type shapes struct {
	colours []string
	paths   map[string]*strings.Builder
}

func (s *shapes) add(colour string, x, y, width, height float64) {
	if s.paths == nil {
		s.paths = map[string]*strings.Builder{}
	}
	if s.paths[colour] == nil {
		s.paths[colour] = &strings.Builder{}
		s.colours = append(s.colours, colour)
	}
	fmt.Fprintf(s.paths[colour], "M%s %sh%sv%sh-%sz", short(x), short(y), short(width), short(height), short(width))
}

// short writes a number of pixels to the hundredth.
func short(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

func (s *shapes) write(b *strings.Builder) {
	for _, c := range s.colours {
		fmt.Fprintf(b, `<path fill="%s" shape-rendering="crispEdges" d="%s"/>`+"\n", c, s.paths[c])
	}
}

// span draws cells of one look from a column on, and gives the column behind them.
func span(b *strings.Builder, blocks *shapes, cells []cell, x int, top float64, fore string) int {
	text, from, length := "", x, 0
	flush := func() {
		if strings.TrimSpace(text) != "" {
			style := ""
			if cells[0].bold {
				style += ` font-weight="bold"`
			}
			if cells[0].faint {
				style += ` opacity="0.6"`
			}
			fmt.Fprintf(b, `<text x="%.2f" y="%.2f" fill="%s"%s textLength="%.2f" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
				margin+float64(from)*cellWidth, top+cellHeight*0.75, fore, style, float64(length)*cellWidth, html.EscapeString(text))
		}
		text, length = "", 0
	}
	for _, c := range cells {
		if x0, y0, x1, y1, ok := block(c.text); ok {
			flush()
			blocks.add(fore, margin+(float64(x)+x0)*cellWidth, top+y0*cellHeight, (x1-x0)*cellWidth, (y1-y0)*cellHeight)
		} else {
			if text == "" {
				from = x
			}
			text += c.text
			length += c.width
		}
		x += c.width
	}
	flush()
	return x
}
