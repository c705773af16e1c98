// Package lightcurve draws the light curve of an alert by band: a plot of the fluxes
// over time, and a legend of its glyphs, which tell bands and kinds apart without
// colour.
package lightcurve

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/lipgloss"

	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/render/curve"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// Looks say how it is drawn.
type Looks struct {
	Styles style.Styles
	ASCII  bool // for fonts without signs: bands are letters, capitals of detections
}

// LooksOf are those of a terminal with some styles.
func LooksOf(s style.Styles) Looks { return Looks{Styles: s, ASCII: s.ASCII} }

// signs of a band, for detections and for forced measurements.
type signs struct{ detected, forced rune }

var bands = map[string]signs{
	"u": {'▲', '△'}, "g": {'●', '○'}, "r": {'■', '□'}, "i": {'◆', '◇'}, "z": {'▼', '▽'}, "y": {'★', '☆'},
}

// style is a band's, of the few that there are.
func (l Looks) style(band string) lipgloss.Style {
	switch band {
	case "u":
		return l.Styles.Active
	case "g":
		return l.Styles.Good
	case "r":
		return l.Styles.Bad
	case "i":
		return l.Styles.Warn
	case "y":
		return l.Styles.Dim
	}
	return l.Styles.Plain
}

// glyph is that of a point. Where there is no sign for a band it is the band's letter:
// a capital of a detection.
func (l Looks) glyph(band string, kind record.Kind) rune {
	forced := kind == record.Forced
	if s, ok := bands[band]; ok && !l.ASCII {
		if forced {
			return s.forced
		}
		return s.detected
	}
	letter, _ := utf8.DecodeRuneInString(band)
	if !unicode.IsLetter(letter) || letter > unicode.MaxASCII {
		letter = '?'
	}
	if forced {
		return unicode.ToLower(letter)
	}
	return unicode.ToUpper(letter)
}

// around is how many lines stand above the plot: what it shows, and the legend.
const around = 2

// Lines draws within width and height cells. Where there is no room for the plot, or
// nothing to draw, they say so.
func Lines(c record.Curve, l Looks, width, height int) []string {
	if len(c.Points) == 0 {
		return []string{"The alert has no measurement with a time and a flux."}
	}
	kinds := fmt.Sprintf("   %c detected, %c forced", l.glyph("r", record.Detected), l.glyph("r", record.Forced))
	lines := []string{l.Styles.Heading.Render("difference flux in nJy over MJD, TAI") + l.Styles.Dim.Render(kinds), l.legend(c)}
	plot := curve.Plot{Axis: l.Styles.Dim, Bar: l.Styles.Dim, ASCII: l.ASCII}
	series := map[string]int{}
	add := func(x record.Point) {
		g := l.glyph(x.Band, x.Kind)
		key := x.Band + string(g)
		i, ok := series[key]
		if !ok {
			i = len(plot.Series)
			series[key] = i
			plot.Series = append(plot.Series, curve.Series{Glyph: g, Style: l.style(x.Band)})
		}
		point := curve.Point{X: x.MJD, Y: x.Flux, Series: i}
		if x.Err != nil {
			point.Err = *x.Err
		}
		plot.Points = append(plot.Points, point)
	}
	// Detections cover forced measurements of the same time.
	for _, forced := range []bool{true, false} {
		for _, x := range c.Points {
			if (x.Kind == record.Forced) == forced {
				add(x)
			}
		}
	}
	drawn := plot.Lines(width, height-around)
	if drawn == nil {
		return append(lines, "", "There is no room for the plot; alertlab alert show gives the points as a table.")
	}
	return append(lines, drawn...)
}

// legend says which glyph is which band, and how many points each has.
func (l Looks) legend(c record.Curve) string {
	var parts []string
	for _, band := range c.Bands() {
		n := map[bool]int{}
		for _, x := range c.Points {
			if x.Band == band {
				n[x.Kind == record.Forced]++
			}
		}
		part := phrase.Line(band)
		if n[false] > 0 {
			part += fmt.Sprintf(" %c%d", l.glyph(band, record.Detected), n[false])
		}
		if n[true] > 0 {
			part += fmt.Sprintf(" %c%d", l.glyph(band, record.Forced), n[true])
		}
		parts = append(parts, l.style(band).Render(part))
	}
	return strings.Join(parts, "  ")
}
