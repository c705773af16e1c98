package kit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
)

func table(rows int) *kit.Table {
	t := &kit.Table{Theme: golden.Theme(), Empty: "nothing", Columns: []kit.Column{{Title: "name", Least: 8}, {Title: "size", Right: true}, {Title: "beside", Drop: 1}}}
	t.SetSize(40, 6)
	var all []kit.Row
	for i := range rows {
		all = append(all, kit.Row{Key: fmt.Sprint(i), Cells: []kit.Cell{kit.Text(fmt.Sprintf("row %d of a table", i)), kit.Text(fmt.Sprint(i * 100)), kit.Text("by the way")}})
	}
	t.SetRows(all)
	return t
}

func text(t *kit.Table) string {
	lines := t.Lines()
	for i := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}

func TestTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows   int
		size   [2]int
		keys   []string
		filter string
		want   string
	}{
		"empty":           {0, [2]int{40, 4}, nil, "", "  NAME  SIZE  BESIDE\n  nothing\n\n"},
		"whole":           {2, [2]int{40, 4}, nil, "", "  NAME              SIZE  BESIDE\n▸ row 0 of a table     0  by the way\n  row 1 of a table   100  by the way\n"},
		"a column goes":   {1, [2]int{24, 2}, nil, "", "  NAME              SIZE\n▸ row 0 of a table     0"},
		"a column is cut": {1, [2]int{18, 2}, nil, "", "  NAME        SIZE\n▸ row 0 of …     0"},
		"moved":           {9, [2]int{24, 4}, []string{"down", "down", "down"}, "", "  NAME              SIZE\n  row 1 of a table   100\n  row 2 of a table   200\n▸ row 3 of a table   300"},
		"to the end":      {9, [2]int{24, 3}, []string{"end"}, "", "  NAME              SIZE\n  row 7 of a table   700\n▸ row 8 of a table   800"},
		"beyond the top":  {9, [2]int{24, 3}, []string{"end", "pgup", "up", "home", "up"}, "", "  NAME              SIZE\n▸ row 0 of a table     0\n  row 1 of a table   100"},
		"filtered":        {20, [2]int{25, 3}, nil, "ROW 1 ", "  NAME              SIZE\n▸ row 1 of a table   100\n"},
		"filtered away":   {20, [2]int{24, 3}, nil, "zzz", "  NAME  SIZE  BESIDE\n  no row holds zzz\n"},
	} {
		tab := table(c.rows)
		tab.SetSize(c.size[0], c.size[1])
		for _, k := range c.keys {
			tab.Update(golden.Key(k))
		}
		tab.Filter(c.filter)
		if got := text(tab); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
		for _, l := range tab.Lines() {
			if ansi.StringWidth(l) > c.size[0] {
				t.Errorf("%s: %q is wider than %d cells", name, l, c.size[0])
			}
		}
	}
}

func TestTableKeepsItsRow(t *testing.T) {
	t.Parallel()
	tab := table(5)
	tab.Select("3")
	tab.SetRows([]kit.Row{{Key: "new"}, {Key: "3"}})
	if tab.Key() != "3" {
		t.Errorf("the cursor went to %q", tab.Key())
	}
	tab = table(3)
	tab.Newest = true
	tab.SetRows([]kit.Row{{Key: "newest"}, {Key: "0"}})
	if tab.Key() != "newest" {
		t.Errorf("the cursor on the newest row went to %q", tab.Key())
	}
	tab.SetRows(nil)
	if tab.Key() != "" {
		t.Errorf("the cursor is on %q of no rows", tab.Key())
	}
}

func TestForeignTextCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	tab := table(0)
	tab.SetRows([]kit.Row{{Key: "a", Cells: []kit.Cell{kit.Text("\x1b[2Jowned\r\n\u009bH")}}})
	if i := strings.IndexFunc(strings.Join(tab.Lines(), ""), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
		t.Errorf("a control character in %q", tab.Lines())
	}
}

func TestPane(t *testing.T) {
	t.Parallel()
	p := kit.Pane{Theme: golden.Theme(), Tail: true}
	p.SetSize(10, 2)
	p.SetLines([]string{"1", "2", "3"})
	if got := strings.Join(p.Lines(), " "); got != "2 3" || p.Rest() != "▴ 1" {
		t.Errorf("the end is not followed: %q, %q", got, p.Rest())
	}
	p.Update(golden.Key("up"))
	p.SetLines([]string{"1", "2", "3", "4"})
	if got := strings.Join(p.Lines(), " "); got != "1 2" || p.Rest() != "▾ 2" {
		t.Errorf("who reads is moved: %q, %q", got, p.Rest())
	}
	p.End()
	p.SetLines([]string{"1", "2", "3", "4", "5"})
	if got := strings.Join(p.Lines(), " "); got != "4 5" || !p.AtEnd() {
		t.Errorf("the end is not followed again: %q", got)
	}
}

// What an earlier start began is not taken for what the later one brings, and what was
// read stays while a later attempt fails.
func TestPoll(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, fail := 0, error(nil)
	p := kit.NewPoll(ctx, time.Hour, func(context.Context) (int, error) { n++; return n, fail })
	first := p.Start()
	if p.Loaded() || !strings.Contains(p.State(golden.Theme()), "reading") {
		t.Error("something is there before it was read")
	}
	second := p.Start()
	if msg := first(); msg != nil {
		t.Errorf("what was given up gave %v", msg)
	}
	next, news := p.Update(second())
	if !news || p.Value != 2 || next == nil || p.State(golden.Theme()) != "" {
		t.Errorf("got %d, news %v", p.Value, news)
	}
	fail = errors.New("it is gone")
	_, news = p.Update(p.Start()())
	if state := p.State(golden.Theme()); !news || p.Value != 2 || !strings.Contains(state, "it is gone") || !strings.HasPrefix(state, "as of ") {
		t.Errorf("after a failure: %d, %q", p.Value, state)
	}
	cmd := p.Start()
	p.Stop()
	if _, news := p.Update(cmd()); news {
		t.Error("a poll that was stopped goes on")
	}
	cancel()
	if msg := next(); msg != nil {
		t.Errorf("the next look is made after the end: %v", msg)
	}
}

// A click chooses a row, and opens the one that was chosen; elsewhere it does nothing.
func TestClick(t *testing.T) {
	t.Parallel()
	tab := table(9)
	tab.Under([]string{"what stands above", ""}) // rows from line 3 on
	click := func(x, y int) bool {
		return tab.Click(tea.MouseMsg{X: x, Y: y, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft})
	}
	for _, c := range []struct {
		x, y int
		key  string
		open bool
	}{{5, 4, "1", false}, {5, 4, "1", true}, {5, 2, "1", false}, {5, 0, "1", false}, {5, 99, "1", false}, {60, 5, "1", false}, {5, 7, "4", false}} {
		if open := click(c.x, c.y); open != c.open || tab.Key() != c.key {
			t.Errorf("a click at %d, %d: on row %s, open %v", c.x, c.y, tab.Key(), open)
		}
	}
	if tab.Click(tea.MouseMsg{X: 5, Y: 7, Action: tea.MouseActionRelease, Button: tea.MouseButtonLeft}) {
		t.Error("letting the button go opens")
	}
	for range 2 {
		tab.Click(tea.MouseMsg{X: 5, Y: 7, Action: tea.MouseActionPress, Button: tea.MouseButtonWheelDown})
	}
	if tab.Key() != "8" {
		t.Errorf("the wheel goes to row %s", tab.Key())
	}
	// Rows that were scrolled to.
	tab.Under(make([]string, 2))
	if click(5, 3); tab.Key() != "4" {
		t.Errorf("a click on the first row in view of a table that was scrolled: %s", tab.Key())
	}
}

// What there is no room for stands at the foot.
func TestFoot(t *testing.T) {
	t.Parallel()
	tab := table(9)
	tab.Foot = 2
	tab.SetSize(24, 8)
	tab.Update(golden.Key("end"))
	if got, want := text(tab), "  NAME              SIZE\n  row 4 of a table   400\n  row 5 of a table   500\n  row 6 of a table   600\n  row 7 of a table   700\n▸ row 8 of a table   800\n  beside by the way\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	tab.SetSize(24, 7) // too low for it
	if got := text(tab); strings.Contains(got, "by the way") || strings.Count(got, "\n") != 6 {
		t.Errorf("a low table:\n%s", got)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	if got := golden.Theme().Pick(1, "a record", "b"); got != " a record  [b]" {
		t.Errorf("%q", got)
	}
	if got := golden.Coloured().Pick(1, "a", "b"); !strings.Contains(got, "\x1b[7m b ") {
		t.Errorf("%q", got)
	}
	for x, want := range map[int]int{0: 0, 9: 0, 10: -1, 11: 1, 13: 1, 14: -1, -1: -1} {
		if got := kit.Picked(x, "a record", "b"); got != want {
			t.Errorf("at %d: %d, want %d", x, got, want)
		}
	}
}
