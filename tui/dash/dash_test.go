package dash

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
)

// fake is a page that notes what is done with it.
type fake struct {
	name          string
	width, height int
	did           []string
	typing, inner bool
	offline       bool
	done          bool
	panics        string
}

func (p *fake) note(what string)   { p.did = append(p.did, what) }
func (p *fake) Name() string       { return p.name }
func (p *fake) Show() tea.Cmd      { p.note("show"); return nil }
func (p *fake) Hide()              { p.note("hide") }
func (p *fake) SetSize(w, h int)   { p.width, p.height = w, h }
func (p *fake) Filter(text string) { p.note("filter " + text) }
func (p *fake) Typing() bool       { return p.typing }
func (p *fake) Offline() bool      { return p.offline }
func (p *fake) Offer()             { p.note("offer") }
func (p *fake) Watch()             { p.note("watch") }
func (p *fake) Done() bool         { was := p.done; p.done = false; return was }
func (p *fake) Keys() []key.Binding {
	return []key.Binding{bind("e", "do e", "e"), bind("enter", "open", "enter")}
}
func (p *fake) Back() bool { was := p.inner; p.inner = false; return was }
func (p *fake) View() string {
	return golden.Theme().Block([]string{" this is " + p.name}, p.width, p.height)
}
func (p *fake) Update(msg tea.Msg) tea.Cmd {
	if k, ok := msg.(tea.KeyMsg); ok {
		p.note(k.String())
		switch p.panics {
		case "update":
			panic("the page fell over")
		case "command":
			return func() tea.Msg { panic("the command fell over") }
		}
	}
	return nil
}

type rig struct {
	*frame
	pages   []*fake
	starter *fake
	health  Health
}

func newRig(health Health) *rig { return newRigOf(golden.Theme(), health) }

func newRigOf(theme kit.Theme, health Health) *rig {
	r := &rig{health: health, starter: &fake{name: "bring-up"}}
	var entries []Entry
	for i, name := range []string{"Lab", "Kafka", "Logs"} {
		p := &fake{name: name, offline: name == "Logs"}
		r.pages = append(r.pages, p)
		entries = append(entries, Entry{rune('1' + i), p})
	}
	r.frame = newFrame(context.Background(), Options{Theme: theme, Lab: "mine", Health: func(context.Context) Health { return r.health }}, entries, r.starter)
	r.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	r.look()
	return r
}

// look has the frame see how the lab is now.
func (r *rig) look() { golden.Settle(r, r.frame.health.Start()) }

// press presses keys, and says whether the dashboard is left by one of them.
func (r *rig) press(names ...string) (quit bool) {
	for _, n := range names {
		if cmd := r.Update(golden.Key(n)); cmd != nil {
			switch msg := cmd().(type) {
			case tea.QuitMsg:
				quit = true
			case tea.BatchMsg:
				for _, c := range msg {
					if c != nil {
						if _, ok := c().(tea.QuitMsg); ok {
							quit = true
						}
					}
				}
			}
		}
	}
	return quit
}

func ready() Health { return Health{Condition: Ready, Profile: "local", Provider: "embedded"} }

func (r *rig) screen() string { return ansi.Strip(r.View()) }

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		health        Health
		width, height int
		keys          []string
	}{
		{"ready-80x24", ready(), 80, 24, nil},
		{"ready-200x60", ready(), 200, 60, []string{"2"}},
		{"help-80x24", ready(), 80, 24, []string{"?"}},
		{"command-80x24", ready(), 80, 24, []string{":", "l"}},
		{"filter-80x24", ready(), 80, 24, []string{"/", "a", "b", "enter"}},
		{"stopped-80x24", Health{Condition: Stopped, Profile: "local", Provider: "embedded", Why: "its data lies in /labs/mine", Next: "alertlab up --lab mine"}, 80, 24, nil},
		{"unreachable-80x24", Health{Condition: Unreachable, Why: "its runner is there and gives no answer: no answer in time", Next: "alertlab logs runner --lab mine"}, 80, 24, nil},
		{"coming-80x24", Health{Condition: Coming, Why: "a walk of its plan goes on", Next: "alertlab attach --lab mine"}, 80, 24, nil},
		{"absent-80x24", Health{Condition: Absent, Why: "nothing is kept under this name", Next: "alertlab up --lab mine"}, 80, 24, []string{"1"}},
		{"faulty-80x24", Health{Condition: Faulty, Profile: "local", Provider: "embedded"}, 80, 24, nil},
	} {
		r := newRig(c.health)
		r.Update(tea.WindowSizeMsg{Width: c.width, Height: c.height})
		r.press(c.keys...)
		golden.Frame(t, c.name, c.width, c.height, r.View())
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys  []string
		page  string // in view afterwards
		quit  bool
		did   string // last, with the page in view
		inner bool   // an inner view is open in the page in view at first
	}{
		"a digit opens a page":          {keys: []string{"2"}, page: "Kafka", did: "show"},
		"keys go to the page":           {keys: []string{"2", "e"}, page: "Kafka", did: "e"},
		"what was typed ahead":          {keys: []string{"2e"}, page: "Kafka", did: "e"},
		"tab goes round":                {keys: []string{"tab", "tab", "tab"}, page: "Lab", did: "show"},
		"back round":                    {keys: []string{"shift+tab"}, page: "Logs", did: "show"},
		"a command":                     {keys: []string{":", "kafka", "enter"}, page: "Kafka", did: "show"},
		"a command's beginning":         {keys: []string{":", "k", "enter"}, page: "Kafka", did: "show"},
		"a completed command":           {keys: []string{":", "lo", "tab", "enter"}, page: "Logs", did: "show"},
		"a number as command":           {keys: []string{":", "3", "enter"}, page: "Logs", did: "show"},
		"an unknown command":            {keys: []string{":", "zzz", "enter"}, page: "Lab", did: "show"},
		"a command that is left":        {keys: []string{":", "k", "esc"}, page: "Lab", did: "show"},
		"a command that is taken back":  {keys: []string{":", "k", "backspace", "backspace", "2"}, page: "Kafka", did: "show"},
		"quit as command":               {keys: []string{":", "quit", "enter"}, page: "Lab", quit: true, did: "show"},
		"q quits":                       {keys: []string{"q"}, page: "Lab", quit: true, did: "show"},
		"q leaves an inner view first":  {keys: []string{"q"}, page: "Lab", did: "show", inner: true},
		"esc does not quit":             {keys: []string{"esc"}, page: "Lab", did: "show"},
		"ctrl-c quits":                  {keys: []string{"ctrl+c"}, page: "Lab", quit: true, did: "show"},
		"a filter is the page's":        {keys: []string{"/", "x"}, page: "Lab", did: "filter x"},
		"q ends a filter before":        {keys: []string{"/", "x", "enter", "q"}, page: "Lab", did: "filter "},
		"help is left by q":             {keys: []string{"?", "q"}, page: "Lab", did: "show"},
		"help gives way to a page":      {keys: []string{"?", "2"}, page: "Kafka", did: "show"},
		"digits in a prompt are text":   {keys: []string{"/", "2"}, page: "Lab", did: "filter 2"},
		"watch":                         {keys: []string{"w"}, page: "bring-up", did: "show"},
		"watch and back":                {keys: []string{"w", "q"}, page: "Lab", did: "show"},
		"u is the page's while it runs": {keys: []string{"u"}, page: "Lab", did: "u"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(ready())
			r.pages[0].inner = c.inner
			quit := r.press(c.keys...)
			p := r.current().(*fake)
			if p.name != c.page || quit != c.quit || p.did[len(p.did)-1] != c.did {
				t.Errorf("page %s that did %q, quit %v; want %s, %q, %v", p.name, p.did, quit, c.page, c.did, c.quit)
			}
		})
	}
}

func TestWhoTypesGetsEveryKey(t *testing.T) {
	t.Parallel()
	r := newRig(ready())
	r.pages[0].typing = true
	r.press("2", "q", "/", "?")
	if got := strings.Join(r.pages[0].did, " "); !strings.HasSuffix(got, "2 q / ?") || r.current() != r.pages[0] {
		t.Errorf("the page got %q", got)
	}
	if !r.press("ctrl+c") {
		t.Error("ctrl-c does not leave")
	}
}

// A lab that goes away takes the pages with it, and brings them back when it comes
// back, without a key.
func TestLabGoesAndComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(ready())
	r.press("2")
	r.health = Health{Condition: Stopped, Why: "it was stopped"}
	r.look()
	if got := r.screen(); !strings.Contains(got, "lab mine is stopped") || strings.Contains(got, "this is Kafka") {
		t.Errorf("a page of a lab that is stopped:\n%s", got)
	}
	r.press("3")
	if got := r.screen(); !strings.Contains(got, "this is Logs") {
		t.Errorf("logs cannot be read while the lab is stopped:\n%s", got)
	}
	r.press("2")
	r.health = ready()
	r.look()
	if got := r.screen(); !strings.Contains(got, "this is Kafka") {
		t.Errorf("the page does not come back:\n%s", got)
	}
	if got := slices.DeleteFunc(slices.Clone(r.pages[1].did), func(s string) bool { return strings.HasPrefix(s, "filter") }); !slices.Equal(got, []string{"show", "hide", "show"}) {
		t.Errorf("the page was shown and hidden so: %q", got)
	}
}

func TestNoLabYet(t *testing.T) {
	t.Parallel()
	r := newRig(Health{Condition: Absent})
	if r.current() != r.starter || !slices.Contains(r.starter.did, "offer") {
		t.Fatalf("no profile is offered: %q", r.starter.did)
	}
	r.starter.done = true
	r.health = ready()
	r.look()
	if r.current() != r.pages[0] || !slices.Contains(r.pages[0].did, "show") {
		t.Errorf("the dashboard does not follow the bring-up: %q", r.pages[0].did)
	}
	r = newRig(Health{Condition: Stopped})
	r.press("u")
	if r.current() != r.starter {
		t.Error("u does not offer to bring a stopped lab up")
	}
}

func TestMouse(t *testing.T) {
	t.Parallel()
	r := newRig(ready())
	click := func(x, y int) {
		r.Update(tea.MouseMsg{X: x, Y: y, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft})
	}
	click(8, 1) // in "2 Kafka", which begins behind " 1 Lab "
	if r.current() != r.pages[1] {
		t.Errorf("a click on a tab opened %s", r.current().Name())
	}
	click(79, 1)
	if r.current() != r.pages[1] {
		t.Errorf("a click beside the tabs opened %s", r.current().Name())
	}
}

// What a terminal says of itself is no key: neither its colours nor its name, in one
// piece or in several.
func TestAnswersAreNoKeys(t *testing.T) {
	t.Parallel()
	alt := func(r rune) tea.Msg { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: true} }
	key := func(name string) tea.Msg { return golden.Key(name) }
	bell := tea.KeyMsg{Type: tea.KeyCtrlG}
	for name, c := range map[string]struct {
		msgs []tea.Msg
		page string
	}{
		"its background":             {[]tea.Msg{alt(']'), key("11;rgb:ffff/ffff/ffff"), alt('\\'), key("2")}, "Kafka"},
		"its background with a bell": {[]tea.Msg{alt(']'), key("11;rgb:2f"), key("2f/2222/"), key("2"), bell}, "Lab"},
		"its name":                   {[]tea.Msg{alt('P'), key(">|tmux"), tea.KeyMsg{Type: tea.KeySpace, Runes: []rune{' '}}, key("3.3a"), alt('\\')}, "Lab"},
		"an answer that has no end":  {[]tea.Msg{alt(']'), key("11;rgb:ff"), key("esc"), key("2")}, "Kafka"},
		"escape and a bracket":       {[]tea.Msg{alt(']'), key("e"), key("2")}, "Kafka"},
	} {
		r := newRig(ready())
		for _, m := range c.msgs {
			r.Update(m)
		}
		if p := r.current().(*fake); p.name != c.page || r.prompt != noPrompt {
			t.Errorf("%s: page %s, prompt %v", name, p.name, r.prompt)
		}
	}
}

// TestTerminals draws the frame on every kind of terminal.
func TestTerminals(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"a page": {"2"}, "help": {"?"}, "a command": {":", "l"}, "a filter": {"/", "a", "enter"}} {
		for _, h := range []Health{ready(), {Condition: Stopped, Why: "it was stopped", Next: "alertlab up"}, {Condition: Faulty}} {
			golden.Everywhere(t, name, func(theme kit.Theme) string {
				r := newRigOf(theme, h)
				r.press(keys...)
				return r.View()
			})
		}
	}
}

func TestAnySize(t *testing.T) {
	t.Parallel()
	r := newRig(ready())
	for _, keys := range [][]string{nil, {"?"}, {"q", ":"}, {"esc", "/"}} {
		r.press(keys...)
		for _, size := range [][2]int{{1, 1}, {20, 5}, {79, 24}, {80, 23}, {80, 24}, {81, 25}, {300, 100}} {
			r.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			lines := strings.Split(r.View(), "\n")
			if len(lines) > size[1] {
				t.Errorf("%d lines at %v after %q", len(lines), size, keys)
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > size[0] {
					t.Errorf("%d cells at %v after %q: %q", w, size, keys, l)
				}
			}
			if small := size[0] < Width || size[1] < Height; small && size[0] >= 79 && !strings.Contains(r.screen(), "needs 80 columns and 24 lines") {
				t.Errorf("at %v it does not say that this is too small:\n%s", size, r.screen())
			}
		}
	}
}

// run runs a dashboard on pipes until keys leave it.
func run(t *testing.T, p *fake, keys string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	in, press := io.Pipe()
	defer press.Close()
	var out bytes.Buffer
	var traced *kit.Crash
	go func() {
		for _, k := range keys {
			if _, err := press.Write([]byte(string(k))); err != nil {
				return
			}
		}
	}()
	err := Run(ctx, Options{In: in, Out: &out, Theme: golden.Theme(), Lab: "mine", Health: func(context.Context) Health { return ready() },
		Pages: func(context.Context) ([]Entry, Starter) { return []Entry{{'1', p}}, &fake{name: "bring-up"} },
		Trace: func(c *kit.Crash) (string, error) { traced = c; return "/labs/mine/trace.txt", nil },
		Size:  func() (int, int) { return Width, Height }})
	var crash *CrashError
	if errors.As(err, &crash) && (crash.Trace != "/labs/mine/trace.txt" || traced == nil || !strings.Contains(traced.Stack, "dash_test.go")) {
		t.Errorf("the trace: %+v", crash)
	}
	return out.String(), err
}

// After a crash the terminal is as it was: the other screen is left, the cursor is
// there, the mouse is let go of.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"update", "command"} {
		// The page gets keys once it is in view; until then they are nobody's.
		out, err := run(t, &fake{name: "Lab", panics: where}, strings.Repeat("e", 2000))
		var crash *CrashError
		if !errors.As(err, &crash) || !strings.HasPrefix(err.Error(), "the dashboard crashed: the ") || !strings.HasSuffix(err.Error(), " fell over") {
			t.Errorf("a panic in the %s: %v", where, err)
		}
		for what, seq := range map[string]string{"the other screen is not left": "\x1b[?1049l", "the cursor stays hidden": "\x1b[?25h", "the mouse is not let go of": "\x1b[?1002l"} {
			if !strings.Contains(out, seq) {
				t.Errorf("a panic in the %s: %s", where, what)
			}
		}
	}
}

// Nothing of the dashboard goes on after it was left.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		if _, err := run(t, &fake{name: "Lab"}, "q"); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(30 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		default:
			runtime.Gosched()
		}
	}
}
