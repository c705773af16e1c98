// Package picture draws a picture of grey levels as text: two pixels in a cell of a
// terminal by half blocks, in true colour, 256 or 16 colours, or by shades where
// there is no colour.
//
// It imports nothing of alertlab but styles, and knows nothing of what the picture is.
package picture

import (
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/muesli/termenv"

	"github.com/alertlab/alertlab/render/style"
)

// Depth is how many greys a terminal shows.
type Depth int

// The depths.
const (
	Shades     Depth = iota // none: characters that are more or less filled
	Sixteen                 // the four greys of sixteen colours
	Colours256              // 26 greys
	TrueColour              // 256 greys
	Letters                 // none, and no blocks either: characters of ASCII
)

// DepthOf is that of a writer: characters of ASCII where style.UTF8 says no more, none
// where style.Colour says no colour, else what the environment tells (COLORTERM, TERM).
// getenv is os.Getenv outside of tests.
func DepthOf(w io.Writer, getenv func(string) string) Depth {
	if !style.UTF8(getenv) {
		return Letters
	}
	if !style.Colour(w, getenv) {
		return Shades
	}
	return depthIn(getenv)
}

func depthIn(getenv func(string) string) Depth {
	switch style.Profile(getenv) {
	case termenv.TrueColor:
		return TrueColour
	case termenv.ANSI256:
		return Colours256
	}
	return Sixteen
}

// Grey is a picture: levels from 0, black, to 1, row by row from the top, NaN where
// there is nothing.
type Grey struct {
	Width, Height int
	Levels        []float64
}

// Size is the size in cells in which a picture of so many pixels is drawn, within
// width and height cells and in its proportions: a cell is as high as two pixels.
func Size(pixelsX, pixelsY, width, height int) (columns, rows int) {
	if pixelsX < 1 || pixelsY < 1 || width < 1 || height < 1 {
		return 0, 0
	}
	scale := min(float64(width)/float64(pixelsX), 2*float64(height)/float64(pixelsY))
	columns = min(max(int(math.Round(scale*float64(pixelsX))), 1), width)
	rows = min(max(int(math.Round(scale*float64(pixelsY)/2)), 1), height)
	return columns, rows
}

// Draw gives the lines of a picture within width and height cells, as Size says.
func Draw(g Grey, width, height int, depth Depth) []string {
	columns, rows := Size(g.Width, g.Height, width, height)
	if len(g.Levels) != g.Width*g.Height {
		return nil
	}
	lines := make([]string, rows)
	for row := range lines {
		var b strings.Builder
		last := ""
		for col := range columns {
			upper := g.mean(col, columns, 2*row, 2*rows)
			lower := g.mean(col, columns, 2*row+1, 2*rows)
			if depth == Shades || depth == Letters {
				b.WriteString(depth.shade(upper, lower))
				continue
			}
			// What a cell and the one before it have in common is not said again.
			if sgr := depth.sgr(upper, lower); sgr != last {
				b.WriteString(sgr)
				last = sgr
			}
			b.WriteString("▀")
		}
		if last != "" {
			b.WriteString("\x1b[0m")
		}
		lines[row] = b.String()
	}
	return lines
}

// mean is that of the pixels under one of columns by rows fields, at least of the
// one in its middle.
func (g Grey) mean(col, columns, row, rows int) float64 {
	x0, x1 := col*g.Width/columns, (col+1)*g.Width/columns
	y0, y1 := row*g.Height/rows, (row+1)*g.Height/rows
	if x1 <= x0 {
		x0 = (2*col + 1) * g.Width / (2 * columns)
		x1 = x0 + 1
	}
	if y1 <= y0 {
		y0 = (2*row + 1) * g.Height / (2 * rows)
		y1 = y0 + 1
	}
	sum, n := 0.0, 0
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			if v := g.Levels[y*g.Width+x]; !math.IsNaN(v) {
				sum += min(max(v, 0), 1)
				n++
			}
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// shades and letters fill a cell more and more; they work on light backgrounds as a
// negative does.
var (
	shades  = []string{" ", "░", "▒", "▓", "█"}
	letters = []string{" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"}
)

func (d Depth) shade(upper, lower float64) string {
	ramp, none := shades, "×"
	if d == Letters {
		ramp, none = letters, "?"
	}
	switch {
	case math.IsNaN(upper) && math.IsNaN(lower):
		return none
	case math.IsNaN(upper):
		upper = lower
	case math.IsNaN(lower):
		lower = upper
	}
	return ramp[step((upper+lower)/2, len(ramp))]
}

// step is the place of a level among n steps.
func step(level float64, n int) int { return min(int(level*float64(n)), n-1) }

// sgr chooses the colours of a cell's halves: upper in the foreground, lower behind.
func (d Depth) sgr(upper, lower float64) string {
	return "\x1b[" + d.colour(upper, true) + ";" + d.colour(lower, false) + "m"
}

// greys16 are black, dark grey, light grey and white.
var greys16 = []int{0, 8, 7, 15}

func (d Depth) colour(level float64, foreground bool) string {
	extended := "48;"
	if foreground {
		extended = "38;"
	}
	none := math.IsNaN(level)
	switch d {
	case TrueColour:
		if none {
			return extended + "2;64;0;64"
		}
		v := strconv.Itoa(step(level, 256))
		return extended + "2;" + v + ";" + v + ";" + v
	case Colours256:
		// 16 is black, 232 to 255 are greys, 231 is white.
		const greys = 26
		c := 53 // purple
		if !none {
			switch s := step(level, greys); s {
			case 0:
				c = 16
			case greys - 1:
				c = 231
			default:
				c = 231 + s
			}
		}
		return extended + "5;" + strconv.Itoa(c)
	}
	c := 5 // magenta
	if !none {
		c = greys16[step(level, len(greys16))]
	}
	base := 40
	if foreground {
		base = 30
	}
	if c >= 8 {
		base, c = base+60, c-8
	}
	return strconv.Itoa(base + c)
}
