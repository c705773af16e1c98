package curve

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() Plot {
	p := Plot{Series: []Series{{Glyph: '●'}, {Glyph: '□'}}}
	for i := range 12 {
		p.Points = append(p.Points, Point{X: 61000 + 9*float64(i), Y: 1500 * math.Sin(float64(i)/2), Err: 400, Series: i % 2})
	}
	return p
}

func TestLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plot          Plot
		width, height int
	}{
		"wide":      {sample(), 76, 16},
		"small":     {sample(), 30, 8},
		"one-point": {Plot{Series: []Series{{Glyph: '*'}}, Points: []Point{{X: 61000.25, Y: 7}}, ASCII: true}, 40, 8},
		"hours":     {Plot{Series: []Series{{Glyph: 'g'}}, Points: []Point{{X: 61000.25, Y: 0.001}, {X: 61000.26, Y: 0.002, Err: math.NaN()}, {X: math.NaN(), Y: 5}}}, 60, 9},
	} {
		lines := c.plot.Lines(c.width, c.height)
		if len(lines) != c.height {
			t.Errorf("%s: %d lines of %d", name, len(lines), c.height)
		}
		for _, l := range lines {
			if w := ansi.StringWidth(l); w != c.width {
				t.Errorf("%s: a line of %d columns, not %d: %q", name, w, c.width, l)
			}
		}
		var got strings.Builder
		for _, l := range lines {
			got.WriteString(strings.TrimRight(ansi.Strip(l), " ") + "\n")
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s: go test ./render/curve -update writes\n%s\nwant\n%s", name, got.String(), want)
		}
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []Plot{{}, {Series: []Series{{}}, Points: []Point{{X: math.Inf(1), Y: 2}}}} {
		if lines := p.Lines(80, 24); lines != nil {
			t.Errorf("%q", lines)
		}
	}
	if sample().Lines(LeastWidth-1, 20) != nil || sample().Lines(80, LeastHeight-1) != nil {
		t.Error("drawn without room")
	}
}

func BenchmarkLines(b *testing.B) {
	p := sample()
	for i := range p.Series {
		p.Series[i].Style = lipgloss.NewStyle()
	}
	for b.Loop() {
		p.Lines(120, 30)
	}
}
