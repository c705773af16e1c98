package style

import (
	"bytes"
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
