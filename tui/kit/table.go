package kit

import (
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/render/phrase"
)

// Column is a column of a Table.
type Column struct {
	Title string
	Right bool // numbers stand at the right
	// Drop says which columns go first when there is no room for all: the highest
	// first; 0 never goes.
	Drop int
	// Least is how narrow a column may get before others are dropped; 0 is never
	// cut.
	Least int
	// Floor is how wide it is at least, so that what changes all the time does not
	// move its neighbours.
	Floor int
}

// Cell is one cell of a Table.
type Cell struct {
	Text string
	Look Look
}

// Row is a row of a Table. Key identifies it while rows come and go.
type Row struct {
	Key   string
	Cells []Cell
}

// Text makes a plain cell.
func Text(s string) Cell { return Cell{Text: s} }

// Table lists rows with a cursor. It draws only what is in view.
type Table struct {
	Theme   Theme
	Columns []Column
	// Newest says that the first row is the newest: a cursor on it stays on the first
	// row when others come.
	Newest bool
	// Empty is said when there is no row.
	Empty string
	// Foot is how many lines at the foot say what of the row under the cursor there
	// is no room for.
	Foot int

	width, height int
	at            int   // the line of the page that it was drawn on
	all, rows     []Row // rows are those that the filter leaves
	filter        string
	cursor, top   int
	widths        []int // of each column's widest cell
}

// SetSize gives the size in cells, the line of headings included.
func (t *Table) SetSize(width, height int) { t.width, t.height = width, height; t.follow() }

// SetRows replaces the rows; the cursor stays on the row that it was on.
func (t *Table) SetRows(rows []Row) {
	for i := range rows {
		for j := range rows[i].Cells {
			rows[i].Cells[j].Text = phrase.Line(rows[i].Cells[j].Text)
		}
	}
	t.all = rows
	t.narrow()
}

// Filter leaves the rows that hold the text, in any case.
func (t *Table) Filter(text string) {
	t.filter = strings.ToLower(text)
	t.narrow()
}

func (t *Table) narrow() {
	was := t.Key()
	t.rows = t.all
	if t.filter != "" {
		t.rows = nil
		for _, r := range t.all {
			if slices.ContainsFunc(r.Cells, func(c Cell) bool { return strings.Contains(strings.ToLower(c.Text), t.filter) }) {
				t.rows = append(t.rows, r)
			}
		}
	}
	t.widths = make([]int, len(t.Columns))
	for j, c := range t.Columns {
		t.widths[j] = max(Width(c.Title), c.Floor)
	}
	for _, r := range t.rows {
		for j := range min(len(r.Cells), len(t.widths)) {
			t.widths[j] = max(t.widths[j], Width(r.Cells[j].Text))
		}
	}
	if i := slices.IndexFunc(t.rows, func(r Row) bool { return r.Key == was }); was != "" && i >= 0 && !(t.Newest && t.cursor == 0) {
		t.cursor = i
	}
	t.follow()
}

// Key gives the key of the row under the cursor, "" when there is none.
func (t *Table) Key() string {
	if t.cursor < 0 || t.cursor >= len(t.rows) {
		return ""
	}
	return t.rows[t.cursor].Key
}

// Select puts the cursor on a row.
func (t *Table) Select(key string) {
	if i := slices.IndexFunc(t.rows, func(r Row) bool { return r.Key == key }); i >= 0 {
		t.cursor = i
		t.follow()
	}
}

// Len is how many rows the filter leaves, and of how many.
func (t *Table) Len() (shown, all int) { return len(t.rows), len(t.all) }

// Moves are the keys that move in tables and panes.
var moves = struct{ up, down, pageUp, pageDown, top, bottom key.Binding }{
	key.NewBinding(key.WithKeys("up", "k")), key.NewBinding(key.WithKeys("down", "j")),
	key.NewBinding(key.WithKeys("pgup", "ctrl+b")), key.NewBinding(key.WithKeys("pgdown", "ctrl+f", " ")),
	key.NewBinding(key.WithKeys("home")), key.NewBinding(key.WithKeys("end")),
}

// MoveKeys are the keys that move in tables and panes, for the help.
func MoveKeys() []key.Binding {
	return []key.Binding{
		key.NewBinding(key.WithKeys("up", "down", "k", "j"), key.WithHelp("↑↓ k j", "move by a line")),
		key.NewBinding(key.WithKeys("pgup", "pgdown"), key.WithHelp("PgUp PgDn", "move by a page")),
		key.NewBinding(key.WithKeys("home", "end"), key.WithHelp("Home End", "to the beginning, to the end")),
	}
}

// move says where a key or the mouse's wheel moves to, from a line of n, page lines
// at a time.
func move(msg tea.Msg, at, n, page int) (int, bool) {
	switch msg := msg.(type) {
	case tea.MouseMsg:
		switch msg.Button {
		case tea.MouseButtonWheelUp:
			at -= 3
		case tea.MouseButtonWheelDown:
			at += 3
		default:
			return at, false
		}
	case tea.KeyMsg:
		switch {
		case key.Matches(msg, moves.up):
			at--
		case key.Matches(msg, moves.down):
			at++
		case key.Matches(msg, moves.pageUp):
			at -= page
		case key.Matches(msg, moves.pageDown):
			at += page
		case key.Matches(msg, moves.top):
			at = 0
		case key.Matches(msg, moves.bottom):
			at = n - 1
		default:
			return at, false
		}
	default:
		return at, false
	}
	return max(min(at, n-1), 0), true
}

// Under draws the table below the lines of a page that stand above it, and notes where
// that is, for Click.
func (t *Table) Under(lines []string) []string {
	t.at = len(lines)
	return append(lines, t.Lines()...)
}

// Click takes the mouse, whose place is that on the page: the wheel moves the cursor, a
// click chooses a row. It says whether the row that was chosen already was clicked,
// which opens it as enter does.
func (t *Table) Click(msg tea.MouseMsg) (open bool) {
	if msg.Action != tea.MouseActionPress || msg.Button != tea.MouseButtonLeft {
		t.Update(msg)
		return false
	}
	i := msg.Y - t.at - 1 // below the headings
	if i < 0 || i >= min(t.room(), len(t.rows)-t.top) || msg.X > t.width+Margin {
		return false
	}
	was := t.cursor
	t.cursor = t.top + i
	return was == t.cursor
}

// Enter is the key that opens what is chosen.
var Enter = tea.KeyMsg{Type: tea.KeyEnter}

// foot is how many lines are at the foot: none in a table that is all but none itself.
func (t *Table) foot() int {
	if t.height < 6+t.Foot {
		return 0
	}
	return t.Foot
}

// room is how many rows there is room for.
func (t *Table) room() int { return max(t.height-1-t.foot(), 1) }

// Update moves the cursor, and says whether the message was for the table.
func (t *Table) Update(msg tea.Msg) bool {
	at, moved := move(msg, t.cursor, len(t.rows), max(t.room()-1, 1))
	if moved {
		t.cursor = at
		t.follow()
	}
	return moved
}

// follow keeps the cursor on a row and in view.
func (t *Table) follow() {
	t.cursor = max(min(t.cursor, len(t.rows)-1), 0)
	room := t.room()
	t.top = max(min(t.top, t.cursor), t.cursor-room+1, 0)
	t.top = max(min(t.top, len(t.rows)-room), 0)
}

const gap = 2

// layout chooses the columns that fit, and how wide each is.
func (t *Table) layout() (shown, widths []int) {
	room := t.width - 2 // the mark
	for j := range t.Columns {
		shown = append(shown, j)
	}
	least := func(j int) int {
		if c := t.Columns[j]; c.Least > 0 {
			return min(t.widths[j], c.Least)
		}
		return t.widths[j]
	}
	need := func(of func(int) int) int {
		n := gap * (len(shown) - 1)
		for _, j := range shown {
			n += of(j)
		}
		return n
	}
	for need(least) > room {
		worst := -1
		for i, j := range shown {
			if t.Columns[j].Drop > 0 && (worst < 0 || t.Columns[j].Drop > t.Columns[shown[worst]].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		shown = slices.Delete(shown, worst, worst+1)
	}
	// One that went before a wider one may fit again.
	for j := range t.Columns {
		if !slices.Contains(shown, j) {
			with := slices.Sorted(slices.Values(append(slices.Clone(shown), j)))
			was := shown
			if shown = with; need(least) > room {
				shown = was
			}
		}
	}
	widths = make([]int, len(shown))
	for i, j := range shown {
		widths[i] = t.widths[j]
	}
	// What is too wide is taken from those that may be cut, the widest first.
	for over := need(func(j int) int { return t.widths[j] }) - room; over > 0; over-- {
		widest := -1
		for i, j := range shown {
			if widths[i] > least(j) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return shown, widths
}

// Lines draws the table in exactly its height.
func (t *Table) Lines() []string {
	if t.widths == nil {
		t.narrow()
	}
	shown, widths := t.layout()
	lines := make([]string, 0, t.height)
	lines = append(lines, t.Theme.Draw(Dim, t.line("  ", shown, widths, func(j int) Cell { return Cell{Text: strings.ToUpper(t.Columns[j].Title)} })))
	if len(t.rows) == 0 {
		text := t.Empty
		if t.filter != "" && len(t.all) > 0 {
			text = "no row holds " + t.filter
		}
		lines = append(lines, "  "+t.Theme.Draw(Dim, t.Theme.Cut(text, max(t.width-2, 0))))
	}
	for i := t.top; i < len(t.rows) && len(lines) <= t.room(); i++ {
		row := t.rows[i]
		cell := func(j int) Cell {
			if j < len(row.Cells) {
				return row.Cells[j]
			}
			return Cell{}
		}
		if i != t.cursor {
			lines = append(lines, t.line("  ", shown, widths, cell))
			continue
		}
		plain := func(j int) Cell { return Cell{Text: cell(j).Text} }
		lines = append(lines, t.Theme.Draw(Chosen, t.Theme.Fit(t.line(t.Theme.Signs.Mark+" ", shown, widths, plain), t.width)))
	}
	for len(lines) < t.height-t.foot() {
		lines = append(lines, "")
	}
	return append(lines, t.rest(shown, widths)...)[:max(t.height, 0)]
}

// rest says what of the row under the cursor is cut or was dropped, in as many lines as
// the foot has.
func (t *Table) rest(shown, widths []int) []string {
	out := make([]string, t.foot())
	if len(out) == 0 || t.cursor >= len(t.rows) {
		return out
	}
	look := Dim
	var parts []string
	for j, c := range t.rows[t.cursor].Cells {
		i := slices.Index(shown, j)
		if j >= len(t.Columns) || c.Text == "" || c.Text == "-" || i >= 0 && Width(c.Text) <= widths[i] {
			continue
		}
		if c.Look == Bad || c.Look == Warn && look != Bad {
			look = c.Look
		}
		text := c.Text
		if i < 0 { // what its column is cannot be seen
			text = t.Columns[j].Title + " " + text
		}
		parts = append(parts, strings.TrimSpace(text))
	}
	for i, l := range Wrap(strings.Join(parts, ", "), max(t.width-2, 1)) {
		if i == len(out) {
			out[i-1] = t.Theme.Cut(out[i-1], t.width-3) + t.Theme.Signs.Ellipsis
			break
		}
		out[i] = l
	}
	for i, l := range out {
		out[i] = "  " + t.Theme.Draw(look, l)
	}
	return out
}

func (t *Table) line(mark string, shown, widths []int, cell func(int) Cell) string {
	var b strings.Builder
	b.WriteString(mark)
	for i, j := range shown {
		if i > 0 {
			b.WriteString("  ")
		}
		c := cell(j)
		text := t.Theme.Cut(c.Text, widths[i])
		pad := strings.Repeat(" ", max(widths[i]-Width(text), 0))
		text = t.Theme.Draw(c.Look, text)
		if t.Columns[j].Right {
			b.WriteString(pad + text)
		} else {
			b.WriteString(text + pad)
		}
	}
	return b.String()
}
