// Package golden compares frames of the dashboard with those that are kept in testdata.
// It is for tests only. go test ./tui/... -update writes them anew.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/tui/kit"
)

var update = flag.Bool("update", false, "write the frames in testdata anew")

// Sizes are the terminals that frames are kept of, less the lines of the dashboard's
// frame.
var Sizes = []struct {
	Name          string
	Width, Height int
}{{"80x24", 80, 20}, {"200x60", 200, 56}}

// Theme is one without colours, with the signs of an ordinary terminal.
func Theme() kit.Theme { return ThemeOf(map[string]string{"NO_COLOR": "1"}) }

// Coloured is a theme as on an ordinary terminal.
func Coloured() kit.Theme { return ThemeOf(map[string]string{"TERM": "xterm"}) }

// ThemeOf is the theme on a terminal of an environment.
func ThemeOf(env map[string]string) kit.Theme {
	return kit.NewTheme(style.On(func(name string) string { return env[name] }))
}

// init puts every test at Greenwich, so that clocks show the same everywhere.
func init() { time.Local = time.UTC }

// Settle gives a page what its commands bring, once: what these begin in their turn,
// such as the next look after a while, is not waited for.
func Settle(p interface{ Update(tea.Msg) tea.Cmd }, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			Settle(p, c)
		}
	default:
		p.Update(msg)
	}
}

// Drive runs a page's commands side by side, as the program does, until none is left
// but those that only wait for a while, or until says so.
func Drive(t *testing.T, p interface {
	Update(tea.Msg) tea.Cmd
	View() string
}, cmd tea.Cmd, until func() bool) {
	t.Helper()
	msgs := make(chan tea.Msg, 64)
	start := func(cmd tea.Cmd) {
		if cmd != nil {
			go func() { msgs <- cmd() }()
		}
	}
	start(cmd)
	deadline := time.After(time.Minute)
	for !until() {
		select {
		case msg := <-msgs:
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					start(c)
				}
				continue
			}
			start(p.Update(msg))
		case <-deadline:
			t.Fatalf("it does not come to an end:\n%s", p.View())
		}
	}
}

// Key is a key as the terminal gives it.
func Key(name string) tea.KeyMsg {
	named := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
		"right": tea.KeyRight, "ctrl+c": tea.KeyCtrlC, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace}
	if t, ok := named[name]; ok {
		return tea.KeyMsg{Type: t}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(name)}
}

// Frame compares a frame, which must have exactly the size, with the one that is kept
// under a name. Blanks at the ends of lines do not count.
func Frame(t testing.TB, name string, width, height int, got string) {
	t.Helper()
	lines := strings.Split(got, "\n")
	if len(lines) != height {
		t.Errorf("%s: %d lines, want %d", name, len(lines), height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w != width {
			t.Errorf("%s: line %d is %d cells wide, want %d: %q", name, i+1, w, width, l)
		}
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	text := strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./tui/... -update writes it", err)
	}
	if string(want) != text {
		t.Errorf("%s is not the frame that is kept (go test ./tui/... -update writes it anew)\ngot\n%s\nwant\n%s", name, text, want)
	}
}
