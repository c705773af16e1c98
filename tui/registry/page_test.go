package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

var update = flag.Bool("update", false, "write the golden files")

var _ page.Page = (*Page)(nil)

type fake struct {
	subjects []Subject
	texts    map[int]string
	err      error
	asked    []int
}

func (f *fake) Subjects(context.Context) ([]Subject, error) { return f.subjects, f.err }

func (f *fake) Schema(_ context.Context, id int) (string, error) {
	f.asked = append(f.asked, id)
	if f.err != nil {
		return "", f.err
	}
	return f.texts[id], nil
}

// published is a registry as a lab has it: all versions in one subject, and each in
// that of its topic.
func published(t testing.TB) *fake {
	t.Helper()
	f := &fake{texts: map[int]string{}}
	all := Subject{Name: "alert-packet", Compatibility: "NONE", Inherited: true, Mode: "IMPORT"}
	var others []Subject
	for i, v := range packet.Versions() {
		s, err := packet.Published(v)
		if err != nil {
			t.Fatal(err)
		}
		f.texts[s.ID()] = s.Canonical()
		version := Version{Version: i + 1, ID: s.ID(), Name: v.Namespace() + ".alert", Bytes: len(s.Canonical())}
		all.Versions = append(all.Versions, version)
		version.Version = 1
		others = append(others, Subject{Name: "lsst-alerts-v" + v.String() + "-value", Versions: []Version{version}, Compatibility: "FORWARD_TRANSITIVE", Mode: "READWRITE"})
	}
	slices.SortFunc(others, func(a, b Subject) int { return strings.Compare(a.Name, b.Name) })
	f.subjects = append([]Subject{all}, others...)
	return f
}

type bench struct {
	t    testing.TB
	page *Page
}

func newBench(t testing.TB, f *fake, width, height int) *bench {
	theme := kit.NewTheme(style.New(&bytes.Buffer{}, func(string) string { return "" }), "xterm")
	b := &bench{t, New(t.Context(), theme, f)}
	b.page.SetSize(width, height)
	return b
}

// run does what the page asks for until there is nothing left.
func (b *bench) run(cmd tea.Cmd) {
	for cmd != nil {
		msg := cmd()
		if msg == nil {
			return
		}
		cmd = b.page.Update(msg)
	}
}

func (b *bench) keys(names ...string) {
	for _, n := range names {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(n)}
		switch n {
		case "enter":
			msg = tea.KeyMsg{Type: tea.KeyEnter}
		case "down":
			msg = tea.KeyMsg{Type: tea.KeyDown}
		case "up":
			msg = tea.KeyMsg{Type: tea.KeyUp}
		}
		b.run(b.page.Update(msg))
	}
}

func (b *bench) text() string {
	b.t.Helper()
	lines := strings.Split(b.page.View(), "\n")
	if len(lines) != b.page.height {
		b.t.Errorf("%d lines of %d", len(lines), b.page.height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w != b.page.width {
			b.t.Errorf("line %d has %d cells of %d: %q", i, w, b.page.width, l)
		}
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b *bench) golden(name string) {
	b.t.Helper()
	got := b.text()
	path := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, b.page.width, b.page.height))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if got != string(want) {
		b.t.Errorf("%s: go test ./tui/registry -update writes\n%s\nwant\n%s", path, got, want)
	}
}

// TestFrames draws the page as it is on terminals of 80x24 and 200x60: the frame takes
// four lines.
func TestFrames(t *testing.T) {
	t.Parallel()
	for _, s := range [][2]int{{80, 20}, {200, 56}} {
		b := newBench(t, published(t), s[0], s[1])
		b.run(b.page.Show())
		b.golden("subjects")
		b.keys("enter")
		b.golden("versions")
		b.keys("d") // the last against the one before
		b.golden("diff")
		if c := b.page.Crumb(); c != "alert-packet version 13 › alert-packet version 14" {
			t.Errorf("crumb %q", c)
		}
		b.page.Back()
		b.keys("enter")
		b.page.Filter("psfFlux\"")
		b.golden("text")
		if !b.page.Back() || b.page.view != versions || !b.page.Back() || b.page.view != subjects || b.page.Back() {
			t.Error("going back")
		}
	}
}

func TestDiffOfMarked(t *testing.T) {
	t.Parallel()
	f := published(t)
	b := newBench(t, f, 120, 30)
	b.run(b.page.Show())
	b.keys("enter", "m")
	if text := b.text(); !strings.Contains(text, "d compares with alert-packet version 14") {
		t.Errorf("marked:\n%s", text)
	}
	// Of another subject.
	b.page.Back()
	b.page.subjectTable.Select("lsst-alerts-v7.4-value")
	b.keys("enter", "d")
	if fmt.Sprint(f.asked) != "[1100 704]" {
		t.Errorf("asked for %v", f.asked)
	}
	if text := b.text(); !strings.Contains(text, "1100 › 704") || !strings.Contains(text, "diaSource.x_y_Cov") {
		t.Errorf("the diff:\n%s", text)
	}
	b.page.Filter("alertId")
	if shown, all := b.page.changeTable.Len(); shown != 1 || all < 50 {
		t.Errorf("%d of %d", shown, all)
	}
	// The first version of a subject has none before it.
	b.page.Back()
	b.page.marked = nil
	b.keys("d")
	if text := b.text(); !strings.Contains(text, "there is no version before this one") || !strings.Contains(text, "next: m on another version") {
		t.Errorf("the first:\n%s", text)
	}
	// Marked twice is not marked, and a version is like itself.
	b.page.Back()
	b.keys("m", "m")
	if b.page.marked != nil {
		t.Error("still marked")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	f := published(t)
	b := newBench(t, f, 80, 20)
	b.run(b.page.Show())
	b.keys("enter", "enter")
	b.page.Filter("psfFluxErr")
	if len(b.page.hits) < 3 || b.page.hit != 0 {
		t.Fatalf("%d hits, at %d", len(b.page.hits), b.page.hit)
	}
	n := len(b.page.hits)
	b.keys("n")
	if b.page.hit != 1 {
		t.Errorf("at %d", b.page.hit)
	}
	b.keys("N", "N")
	if text := b.text(); b.page.hit != n-1 || !strings.Contains(text, fmt.Sprintf("%d found, at %d (n, N)", n, n)) || !strings.Contains(text, "psfFluxErr") {
		t.Errorf("at %d of %d:\n%s", b.page.hit, n, text)
	}
	b.page.Filter("nothing like it")
	b.keys("n")
	if !strings.Contains(b.text(), "0 found") {
		t.Error(b.text())
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	f := &fake{err: fault.New(fault.StepFailed, "the schema registry at http://127.0.0.10:8081 does not do it", "connection refused", "alertlab status")}
	b := newBench(t, f, 80, 20)
	if !strings.Contains(b.text(), "asking the registry…") {
		t.Error(b.text())
	}
	b.run(b.page.Show())
	b.golden("error")
	f.err = nil
	b.keys("r")
	if !strings.Contains(b.text(), "the registry holds nothing; next: alertlab schema sync") {
		t.Error(b.text())
	}
	// What was read stays, with its time, when asking again fails.
	b = newBench(t, published(t), 80, 20)
	b.run(b.page.Show())
	src := b.page.source.(*fake)
	src.err = errors.New("connection refused")
	b.keys("r")
	if text := b.text(); !strings.Contains(text, "since then: connection refused") || !strings.Contains(text, "alert-packet") {
		t.Error(text)
	}
	b.keys("enter", "enter")
	if text := b.text(); !strings.Contains(text, "connection refused") || !strings.Contains(text, "q goes back") {
		t.Error(text)
	}
	// What the registry holds no more is said.
	b.page.Back()
	src.err, src.subjects = nil, nil
	b.keys("r")
	if text := b.text(); !strings.Contains(text, "holds subject alert-packet no more") {
		t.Error(text)
	}
	b.keys("enter", "d", "m")
	if len(b.page.Keys()) < 6 || b.page.Typing() || b.page.Name() != "Registry" {
		t.Error("keys, typing or name")
	}
	for _, s := range [][2]int{{1, 1}, {30, 2}, {300, 90}} {
		b.page.SetSize(s[0], s[1])
		b.text()
	}
}

func TestPretty(t *testing.T) {
	t.Parallel()
	got := strings.Join(pretty(`{"type":"record","name":"a","fields":[{"name":"b","type":["null","float"],"n":1.50},{"name":"c","type":{"type":"array","items":"a<b"}}],"x":[],"y":{}}`, 40), "\n")
	want := `{
  "type": "record",
  "name": "a",
  "fields": [
    {
      "name": "b",
      "type": ["null", "float"],
      "n": 1.50
    },
    {
      "name": "c",
      "type": {
        "type": "array",
        "items": "a<b"
      }
    }
  ],
  "x": [],
  "y": {}
}`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	for _, text := range []string{"{\n", `{"a":1} 2`, "no\nJSON", strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if got := strings.Join(pretty(text, 40), "\n"); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// FuzzPretty: what is laid out is the JSON that it was.
func FuzzPretty(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":"d"}`, 10)
	f.Add(`[[],{},"é\u0000"]`, 0)
	f.Fuzz(func(t *testing.T, text string, width int) {
		got := strings.Join(pretty(text, width), "\n")
		if got == text {
			return
		}
		var a, b bytes.Buffer
		if json.Compact(&b, []byte(got)) != nil {
			t.Fatalf("%q became %q", text, got)
		}
		if json.Compact(&a, []byte(text)) == nil && !strings.Contains(text, `\`) && a.String() != b.String() && json.Valid([]byte(text)) && strings.ToValidUTF8(text, "") == text && !strings.ContainsAny(text, "\u2028\u2029") {
			t.Fatalf("%s became %s", a.String(), b.String())
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	bench := newBench(b, published(b), 200, 56)
	bench.run(bench.page.Show())
	bench.keys("enter", "enter")
	b.Run("registry, a schema, 200x60", func(b *testing.B) {
		for b.Loop() {
			_ = bench.page.View()
		}
	})
}
