package render

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/render/phrase"
)

// Table writes a list in columns, for people: `profile list`, `status`,
// `smoke`. Scripts get JSON. The zero Table is not usable.
type Table struct {
	w       *tabwriter.Writer
	columns int
	err     error
	width   int        // 0: as wide as it comes
	rows    [][]string // held back while there is a width
}

// leastRoom is the room, in columns, that the last column of a fitted table has at
// least: below it words are cut more often than not.
const leastRoom = 24

// Fit breaks the last column into lines, so that the table is no wider than so many
// columns. It comes before the first row; 0 changes nothing.
func (t *Table) Fit(width int) {
	t.width = width
}

// NewTable begins a table with its column headings.
func NewTable(w io.Writer, headings ...string) *Table {
	t := &Table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), columns: len(headings)}
	upper := make([]string, len(headings))
	for i, h := range headings {
		upper[i] = strings.ToUpper(h)
	}
	t.rows = append(t.rows, upper)
	return t
}

// Row adds a line of cells, each written as fmt.Sprint does; empty ones are
// shown as "-", so that a column can be counted on.
func (t *Table) Row(cells ...any) {
	texts := make([]string, max(len(cells), t.columns))
	for i := range texts {
		if i < len(cells) && cells[i] != nil {
			texts[i] = phrase.Line(fmt.Sprint(cells[i]))
		}
		if texts[i] == "" {
			texts[i] = "-"
		}
	}
	t.write(texts)
}

// Flush writes the table and gives the first error of the writer.
func (t *Table) Flush() error {
	room := 0
	if t.width > 0 {
		widths := make([]int, t.columns)
		for _, cells := range t.rows {
			for i, cell := range cells[:t.columns-1] {
				widths[i] = max(widths[i], ansi.StringWidth(cell)+2)
			}
		}
		room = t.width
		for _, w := range widths {
			room -= w
		}
		room = max(room, leastRoom)
	}
	for _, cells := range t.rows {
		t.lines(cells, room)
	}
	t.rows = nil
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func (t *Table) write(cells []string) { t.rows = append(t.rows, cells) }

// lines writes a row, whose last cell may take several lines of so many columns.
func (t *Table) lines(cells []string, room int) {
	last := len(cells) - 1
	texts := []string{cells[last]}
	if room > 0 {
		texts = strings.Split(ansi.Wrap(cells[last], room, ""), "\n")
	}
	for i, text := range texts {
		if t.err != nil {
			return
		}
		line := strings.Join(cells[:last], "\t") + "\t" + text
		if i > 0 {
			line = strings.Repeat("\t", last) + text
		} else if last == 0 {
			line = text
		}
		_, t.err = fmt.Fprintln(t.w, line)
	}
}
