package kit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

func TestNumbers(t *testing.T) {
	t.Parallel()
	f := func(v float64) *float64 { return &v }
	for _, c := range [][2]string{
		{kit.Bytes(999), "999 B"}, {kit.Bytes(16015790), "16.0 MB"}, {kit.Bytes(271e9), "271 GB"},
		{kit.Number(0), "0"}, {kit.Number(999), "999"}, {kit.Number(1234567), "1 234 567"}, {kit.Number(-1000), "-1 000"},
		{kit.Rate(nil, kit.Number), "-"}, {kit.Rate(f(0), kit.Number), "0/s"}, {kit.Rate(f(2.34), kit.Number), "2.3/s"}, {kit.Rate(f(1234.5), kit.Number), "1 235/s"},
		{kit.Age(59 * time.Second), "59s"}, {kit.Age(61 * time.Second), "1m01s"}, {kit.Age(26 * time.Hour), "1d02h"}, {kit.Age(-time.Second), "0s"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}
