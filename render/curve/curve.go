// Package curve draws measurements over time as a plot of characters: each series
// with a glyph of its own, so that it is told without colour, error bars, and axes
// with numbers. The canvas and its axes are ntcharts'.
//
// It imports nothing of alertlab, and knows nothing of what is measured.
package curve

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/NimbleMarkets/ntcharts/canvas"
	"github.com/NimbleMarkets/ntcharts/linechart"
	"github.com/charmbracelet/lipgloss"
)

// Series is how the points of one kind are drawn.
type Series struct {
	Glyph rune
	Style lipgloss.Style
}

// Point is one measurement.
type Point struct {
	X, Y   float64
	Err    float64 // of Y, 0 for none
	Series int     // index of its Series
}

// Plot is what is drawn. Later points cover earlier ones.
type Plot struct {
	Series []Series
	Points []Point
	Axis   lipgloss.Style // of the axes and their numbers
	Bar    lipgloss.Style // of error bars
	ASCII  bool           // axes and bars of plain characters
}

// The least size in which a plot is drawn.
const (
	LeastWidth  = 24
	LeastHeight = 6
)

// Lines draws within width and height cells; nothing when there is no room or no
// point.
func (p Plot) Lines(width, height int) []string {
	if width < LeastWidth || height < LeastHeight || len(p.Points) == 0 {
		return nil
	}
	minX, maxX := math.Inf(1), math.Inf(-1)
	minY, maxY := math.Inf(1), math.Inf(-1)
	for _, q := range p.Points {
		if finite(q.X) && finite(q.Y) {
			minX, maxX = min(minX, q.X), max(maxX, q.X)
			minY, maxY = min(minY, q.Y-q.err()), max(maxY, q.Y+q.err())
		}
	}
	if minX > maxX {
		return nil
	}
	minX, maxX = apart(minX, maxX, 0.5)
	minY, maxY = apart(minY, maxY, math.Max(math.Abs(maxY)*0.1, 1))

	// The library's own numbers stand a cell off where its points are drawn: these
	// are of the row and column in which a point of that value is.
	var columns int
	rows := height - 2
	yLabel := func(i int, _ float64) string {
		if i == 0 {
			return ""
		}
		return number(minY+(maxY-minY)*float64(i-1)/float64(rows-1), maxY-minY)
	}
	xLabel := func(i int, _ float64) string {
		if i == 0 {
			i = 1 // the axis itself
		}
		return number(minX+(maxX-minX)*float64(i-1)/float64(max(columns-1, 1)), (maxX-minX)/float64(max(columns, 1))*4)
	}
	m := linechart.New(width, height, minX, maxX, minY, maxY,
		linechart.WithXYSteps(max(12, len(xLabel(0, 0))+3), max(2, rows/5)),
		linechart.WithStyles(p.Axis, p.Axis, lipgloss.NewStyle()),
		linechart.WithXLabelFormatter(xLabel), linechart.WithYLabelFormatter(yLabel))
	columns = m.GraphWidth()
	if columns < 4 {
		return nil
	}
	m.DrawXYAxisAndLabel()
	p.bars(&m, minY, maxY, rows)
	for _, q := range p.Points {
		if s := p.Series[q.Series]; finite(q.X) && finite(q.Y) {
			m.DrawRuneWithStyle(canvas.Float64Point{X: q.X, Y: q.Y}, s.Glyph, s.Style)
		}
	}
	return p.text(&m.Canvas)
}

// plain are what lines are drawn with where a font has no lines.
var plain = map[rune]string{'│': "|", '─': "-", '└': "+"}

// text writes the canvas. Its own View dresses every empty cell, which takes ten
// times as long.
func (p Plot) text(c *canvas.Model) []string {
	lines := make([]string, c.Height())
	for y := range lines {
		var b strings.Builder
		for x := range c.Width() {
			cell := c.Cell(canvas.Point{X: x, Y: y})
			switch text, there := plain[cell.Rune]; {
			case cell.Rune == 0 || cell.Rune == ' ':
				b.WriteByte(' ')
			case there && p.ASCII:
				b.WriteString(cell.Style.Render(text))
			default:
				b.WriteString(cell.Style.Render(string(cell.Rune)))
			}
		}
		lines[y] = b.String()
	}
	return lines
}

// bars draws what an error is more than a cell.
func (p Plot) bars(m *linechart.Model, minY, maxY float64, rows int) {
	cell := (maxY - minY) / float64(max(rows-1, 1))
	for _, q := range p.Points {
		if !finite(q.X) || !finite(q.Y) || q.err() < cell/2 {
			continue
		}
		for y := q.Y - q.err(); y <= q.Y+q.err(); y += cell {
			m.DrawRuneWithStyle(canvas.Float64Point{X: q.X, Y: y}, '│', p.Bar)
		}
		m.DrawRuneWithStyle(canvas.Float64Point{X: q.X, Y: q.Y + q.err()}, '│', p.Bar)
	}
}

func (q Point) err() float64 {
	if !finite(q.Err) || q.Err < 0 {
		return 0
	}
	return q.Err
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// apart gives limits that are not the same, the plot's margin included.
func apart(low, high, least float64) (float64, float64) {
	margin := (high - low) * 0.02
	if high-low < 1e-9*math.Max(math.Abs(high), 1) {
		margin = least
	}
	return low - margin, high + margin
}

// number writes a value to as many digits as tell it from its neighbours over a
// range.
func number(v, over float64) string {
	digits := 0
	if over < 20 && over > 0 {
		digits = min(int(math.Ceil(math.Log10(20/over))), 6)
	}
	if math.Abs(v) >= 1e7 {
		return fmt.Sprintf("%.3g", v)
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		return strconv.FormatFloat(0, 'f', digits, 64)
	}
	return text
}
