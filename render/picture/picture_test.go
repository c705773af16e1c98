package picture

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestDepths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ map[string]string
		want    Depth
	}{
		{map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"}, TrueColour},
		{map[string]string{"TERM": "xterm-256color"}, Colours256},
		{map[string]string{"TERM": "screen-256color"}, Colours256},
		{map[string]string{"TERM": "xterm"}, Sixteen},
		{map[string]string{"TERM": "linux"}, Sixteen},
		{map[string]string{"TERM": "screen"}, Sixteen}, // does not tell
	} {
		if got := depthIn(func(k string) string { return c.environ[k] }); got != c.want {
			t.Errorf("%v: %d, want %d", c.environ, got, c.want)
		}
	}
	if DepthOf(&bytes.Buffer{}, func(string) string { return "truecolor" }) != Shades {
		t.Error("what is no terminal has colours")
	}
	if DepthOf(&bytes.Buffer{}, func(k string) string { return map[string]string{"LC_ALL": "C"}[k] }) != Letters {
		t.Error("blocks where there is only ASCII")
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ x, y, w, h, columns, rows int }{
		{30, 30, 60, 10, 20, 10}, {30, 30, 12, 40, 12, 6}, {51, 51, 51, 26, 51, 26}, {4, 2, 80, 24, 80, 20}, {100, 1, 50, 10, 50, 1},
		{0, 5, 10, 10, 0, 0}, {5, 5, 0, 10, 0, 0},
	} {
		if columns, rows := Size(c.x, c.y, c.w, c.h); columns != c.columns || rows != c.rows {
			t.Errorf("%d x %d pixels in %d x %d cells: %d x %d, want %d x %d", c.x, c.y, c.w, c.h, columns, rows, c.columns, c.rows)
		}
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	// A ramp in both directions, and one pixel that is none.
	g := Grey{Width: 4, Height: 4, Levels: []float64{
		0, 0, 0.3, 1,
		0, 0.3, 0.6, 1,
		nan, 0.5, 1, 2,
		nan, nan, 1, -1,
	}}
	for _, c := range []struct {
		depth Depth
		want  string
	}{
		{Shades, "  ▒█|×▒█▒"},
		{Letters, " .=@|?+@+"},
		{Sixteen, `[30;40m▀[30;100m▀[90;47m▀[97;107m▀[0m|[35;45m▀[37;45m▀[97;107m▀[97;40m▀[0m`},
		{Colours256, `[38;5;16;48;5;16m▀[38;5;16;48;5;238m▀[38;5;238;48;5;246m▀[38;5;231;48;5;231m▀[0m|[38;5;53;48;5;53m▀[38;5;244;48;5;53m▀[38;5;231;48;5;231m▀[38;5;231;48;5;16m▀[0m`},
		{TrueColour, `[38;2;0;0;0;48;2;0;0;0m▀[38;2;0;0;0;48;2;76;76;76m▀[38;2;76;76;76;48;2;153;153;153m▀[38;2;255;255;255;48;2;255;255;255m▀[0m|` +
			`[38;2;64;0;64;48;2;64;0;64m▀[38;2;128;128;128;48;2;64;0;64m▀[38;2;255;255;255;48;2;255;255;255m▀[38;2;255;255;255;48;2;0;0;0m▀[0m`},
	} {
		lines := Draw(g, 4, 2, c.depth)
		if got := strings.ReplaceAll(strings.Join(lines, "|"), "\x1b", ""); got != c.want {
			t.Errorf("depth %d:\n%s\nwant\n%s", c.depth, got, c.want)
		}
		for _, l := range lines {
			if ansi.StringWidth(l) != 4 {
				t.Errorf("depth %d: a line of %d cells", c.depth, ansi.StringWidth(l))
			}
		}
	}
	// Same colours are said once.
	flat := Grey{Width: 3, Height: 2, Levels: make([]float64, 6)}
	if l := Draw(flat, 3, 1, Sixteen); l[0] != "\x1b[30;40m▀▀▀\x1b[0m" {
		t.Errorf("%q", l)
	}
	if Draw(Grey{Width: 3, Height: 3, Levels: []float64{1}}, 9, 9, Shades) != nil {
		t.Error("a picture without its pixels is drawn")
	}
}

// FuzzDraw: whatever the sizes, lines are as wide as Size says.
func FuzzDraw(f *testing.F) {
	f.Add(3, 5, 10, 10, uint8(1))
	f.Fuzz(func(t *testing.T, x, y, w, h int, depth uint8) {
		if x < 0 || y < 0 || x > 200 || y > 200 || w > 300 || h > 300 {
			return
		}
		g := Grey{Width: x, Height: y, Levels: make([]float64, x*y)}
		columns, rows := Size(x, y, w, h)
		lines := Draw(g, w, h, Depth(depth%4))
		if len(lines) != rows || rows > max(h, 0) || columns > max(w, 0) {
			t.Fatalf("%d lines of %d", len(lines), rows)
		}
		for _, l := range lines {
			if ansi.StringWidth(l) != columns {
				t.Fatalf("a line of %d cells, not %d", ansi.StringWidth(l), columns)
			}
		}
	})
}

func BenchmarkDraw(b *testing.B) {
	g := Grey{Width: 81, Height: 81, Levels: make([]float64, 81*81)}
	for i := range g.Levels {
		g.Levels[i] = float64(i%97) / 97
	}
	for b.Loop() {
		Draw(g, 60, 30, TrueColour)
	}
}
