package style

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
)

func TestColour(t *testing.T) {
	t.Parallel()
	// The master side of a new pseudo-terminal is a terminal that nobody reads.
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	defer tty.Close()
	if !Terminal(tty) {
		t.Skip("a pseudo-terminal's master is no terminal on this system")
	}
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for _, p := range pairs {
				if v, ok := strings.CutPrefix(p, name+"="); ok {
					return v
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		env  func(string) string
		want bool
	}{
		{env("TERM=xterm-256color"), true},
		{env("TERM=xterm-256color", "NO_COLOR="), true},
		{env("TERM=xterm-256color", "NO_COLOR=1"), false},
		{env("TERM=dumb"), false},
	} {
		if got := Colour(tty, c.env); got != c.want {
			t.Errorf("TERM=%q NO_COLOR=%q: %v, want %v", c.env("TERM"), c.env("NO_COLOR"), got, c.want)
		}
		if got := New(tty, c.env).Bad.Render("x") != "x"; got != c.want {
			t.Errorf("TERM=%q NO_COLOR=%q: coloured %v, want %v", c.env("TERM"), c.env("NO_COLOR"), got, c.want)
		}
	}
	if Colour(&bytes.Buffer{}, env("TERM=xterm")) {
		t.Error("a buffer gets colours")
	}
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Colour(file, env("TERM=xterm")) {
		t.Error("a file gets colours")
	}
}

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// The colours of xterm and of the Linux console, whose red, green, yellow and blue are
// the hardest to read of those in use, and of xterm's table of 256.
var (
	xterm = map[string]int{"1": 0xcd0000, "2": 0x00cd00, "3": 0xcdcd00, "4": 0x0000ee, "5": 0xcd00cd, "6": 0x00cdcd, "9": 0xff0000,
		"25": 0x005faf, "28": 0x008700, "124": 0xaf0000, "130": 0xaf5f00}
	console = map[string]int{"1": 0xaa0000, "2": 0x00aa00, "3": 0xaa5500, "4": 0x0000aa, "5": 0xaa00aa, "6": 0x00aaaa, "9": 0xff5555,
		"25": 0x005faf, "28": 0x008700, "124": 0xaf0000, "130": 0xaf5f00}
)

// luminance is that of WCAG 2.2, from 0 to 1.
func luminance(rgb int) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(rgb>>(16-8*i)&255) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// TestContrast holds the colours that are used where the background is known to a
// contrast of 4.5 with it, which WCAG 2.2 asks of text (1.4.3); on the console, which
// has no other yellow and green, to the 3 that it asks of large text.
func TestContrast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		colours colours
		palette map[string]int
		ground  int
		least   float64
	}{
		"xterm, black":     {onDark, xterm, 0x000000, 4.5},
		"the console":      {onDark, console, 0x000000, 3},
		"xterm, white":     {onLight, xterm, 0xffffff, 4.5},
		"a console, white": {onLight, console, 0xffffff, 4.5},
		"256, white":       {onLight256, xterm, 0xffffff, 4.5},
		"256, cream":       {onLight256, xterm, 0xfdf6e3, 4.1},
	} {
		for _, number := range []string{c.colours.good, c.colours.bad, c.colours.warn, c.colours.active} {
			if number == "" { // the terminal's own
				continue
			}
			rgb, known := c.palette[number]
			a, b := luminance(rgb)+0.05, luminance(c.ground)+0.05
			if contrast := max(a, b) / min(a, b); !known || contrast < c.least {
				t.Errorf("%s: colour %s has a contrast of %.1f, want %.1f", name, number, contrast, c.least)
			}
		}
	}
}

func TestGround(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]background{"": untold, "15;0": dark, "0;15": light, "0;default;15": light, "12;8": dark, "0;7": light, "12;default": untold, "x": untold, "0;99": untold, "11": light} {
		if got := ground(environment(map[string]string{"COLORFGBG": text})); got != want {
			t.Errorf("COLORFGBG=%q: %d, want %d", text, got, want)
		}
	}
	if ground(environment(map[string]string{"TERM": "linux"})) != dark {
		t.Error("the console is not black")
	}
}

func TestCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ     map[string]string
		utf8, signs bool
	}{
		{map[string]string{}, true, true},
		{map[string]string{"LANG": "de_DE.UTF-8"}, true, true},
		{map[string]string{"LANG": "C.utf8"}, true, true},
		{map[string]string{"LANG": "en_US.UTF-8@euro"}, true, true},
		{map[string]string{"LANG": "en_US"}, true, true},
		{map[string]string{"LANG": "C"}, false, false},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, false, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true, true},
		{map[string]string{"LC_CTYPE": "de_DE.ISO-8859-15@euro"}, false, false},
		{map[string]string{"TERM": "linux", "LANG": "C.UTF-8"}, true, false},
		{map[string]string{"TERM": "dumb"}, true, false},
	} {
		if utf8, signs := UTF8(environment(c.environ)), Signs(environment(c.environ)); utf8 != c.utf8 || signs != c.signs {
			t.Errorf("%v: UTF-8 %v, signs %v", c.environ, utf8, signs)
		}
	}
}
