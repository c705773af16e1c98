package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/page"
)

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

// bench is a page with what it shows.
type bench struct {
	*golden.Bench
	page *Page
}

func newBench(t testing.TB, f *fake, width, height int) *bench {
	return newBenchOf(t, golden.Theme(), f, width, height)
}

func newBenchOf(t testing.TB, theme kit.Theme, f *fake, width, height int) *bench {
	p := New(t.Context(), theme, f)
	return &bench{golden.NewBench(t, p, width, height, nil), p}
}

// TestFrames draws the page as it is on terminals of 80x24 and 200x60: the frame takes
// four lines.
func TestFrames(t *testing.T) {
	t.Parallel()
	for _, s := range [][2]int{{80, 20}, {200, 56}} {
		b := newBench(t, published(t), s[0], s[1])
		b.Settle(b.page.Show())
		b.Frame("subjects")
		b.Keys("enter")
		b.Frame("versions")
		b.Keys("d") // the last against the one before
		b.Frame("diff")
		if c := b.page.Crumb(); c != "alert-packet version 13 › 14" {
			t.Errorf("crumb %q", c)
		}
		b.page.Back()
		b.Keys("enter")
		b.page.Filter("psfFlux\"")
		b.Frame("text")
		if !b.page.Back() || b.page.view != versions || !b.page.Back() || b.page.view != subjects || b.page.Back() {
			t.Error("going back")
		}
	}
}

// TestTerminals draws every view on every kind of terminal.
func TestTerminals(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{"subjects": nil, "versions": {"enter", "m"}, "diff": {"enter", "d"}, "text": {"enter", "enter"}} {
		golden.Everywhere(t, name, func(theme kit.Theme) string {
			b := newBenchOf(t, theme, published(t), 80, 20)
			b.Settle(b.page.Show())
			b.Keys(keys...)
			b.page.Filter("flux")
			return b.page.View()
		})
	}
}

func TestDiffOfMarked(t *testing.T) {
	t.Parallel()
	f := published(t)
	b := newBench(t, f, 120, 30)
	b.Settle(b.page.Show())
	b.Keys("enter", "m")
	if text := b.Text(); !strings.Contains(text, "d compares with alert-packet version 14") {
		t.Errorf("marked:\n%s", text)
	}
	// Of another subject.
	b.page.Back()
	b.page.subjectTable.Select("lsst-alerts-v7.4-value")
	b.Keys("enter", "d")
	if fmt.Sprint(f.asked) != "[1100 704]" {
		t.Errorf("asked for %v", f.asked)
	}
	if text := b.Text(); !strings.Contains(text, "1100 › 704") || !strings.Contains(text, "diaSource.x_y_Cov") {
		t.Errorf("the diff:\n%s", text)
	}
	b.page.Filter("alertId")
	if shown, all := b.page.changeTable.Len(); shown != 1 || all < 50 {
		t.Errorf("%d of %d", shown, all)
	}
	// The first version of a subject has none before it.
	b.page.Back()
	b.page.marked = nil
	b.Keys("d")
	if text := b.Text(); !strings.Contains(text, "there is no version before this one") || !strings.Contains(text, "next: m on another version") {
		t.Errorf("the first:\n%s", text)
	}
	// Marked twice is not marked, and a version is like itself.
	b.page.Back()
	b.Keys("m", "m")
	if b.page.marked != nil {
		t.Error("still marked")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	f := published(t)
	b := newBench(t, f, 80, 20)
	b.Settle(b.page.Show())
	b.Keys("enter", "enter")
	b.page.Filter("psfFluxErr")
	if len(b.page.hits) < 3 || b.page.hit != 0 {
		t.Fatalf("%d hits, at %d", len(b.page.hits), b.page.hit)
	}
	n := len(b.page.hits)
	b.Keys("n")
	if b.page.hit != 1 {
		t.Errorf("at %d", b.page.hit)
	}
	b.Keys("N", "N")
	if text := b.Text(); b.page.hit != n-1 || !strings.Contains(text, fmt.Sprintf("%d found, at %d (n, N)", n, n)) || !strings.Contains(text, "psfFluxErr") {
		t.Errorf("at %d of %d:\n%s", b.page.hit, n, text)
	}
	b.page.Filter("nothing like it")
	b.Keys("n")
	if !strings.Contains(b.Text(), "0 found") {
		t.Error(b.Text())
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	f := &fake{err: fault.New(fault.StepFailed, "the schema registry at http://127.0.0.10:8081 does not do it", "connection refused", "alertlab status")}
	b := newBench(t, f, 80, 20)
	if !strings.Contains(b.Text(), "asking the registry…") {
		t.Error(b.Text())
	}
	b.Settle(b.page.Show())
	b.Frame("error")
	f.err = nil
	b.Keys("r")
	if !strings.Contains(b.Text(), "the registry holds nothing; next: alertlab schema sync") {
		t.Error(b.Text())
	}
	// What was read stays, with its time, when asking again fails.
	b = newBench(t, published(t), 80, 20)
	b.Settle(b.page.Show())
	src := b.page.source.(*fake)
	src.err = errors.New("connection refused")
	b.Keys("r")
	if text := b.Text(); !strings.Contains(text, "since then: connection refused") || !strings.Contains(text, "alert-packet") {
		t.Error(text)
	}
	b.Keys("enter", "enter")
	if text := b.Text(); !strings.Contains(text, "connection refused") || !strings.Contains(text, "q goes back") {
		t.Error(text)
	}
	// What the registry holds no more is said.
	b.page.Back()
	src.err, src.subjects = nil, nil
	b.Keys("r")
	if text := b.Text(); !strings.Contains(text, "holds subject alert-packet no more") {
		t.Error(text)
	}
	b.Keys("enter", "d", "m")
	if len(b.page.Keys()) < 6 || b.page.Typing() || b.page.Name() != "Registry" {
		t.Error("keys, typing or name")
	}
	for _, s := range [][2]int{{1, 1}, {30, 2}, {300, 90}} {
		b.Size(s[0], s[1])
		b.Text()
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
	bench.Settle(bench.page.Show())
	bench.Keys("enter", "enter")
	b.Run("registry, a schema, 200x60", func(b *testing.B) {
		for b.Loop() {
			_ = bench.page.View()
		}
	})
}
