package render

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alertlab/alertlab/render/phrase"
)

// Table writes a list in columns, for people: `profile list`, `status`,
// `smoke`. Scripts get JSON. The zero Table is not usable.
type Table struct {
	w       *tabwriter.Writer
	columns int
	err     error
}

// NewTable begins a table with its column headings.
func NewTable(w io.Writer, headings ...string) *Table {
	t := &Table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), columns: len(headings)}
	upper := make([]string, len(headings))
	for i, h := range headings {
		upper[i] = strings.ToUpper(h)
	}
	t.write(upper)
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
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func (t *Table) write(cells []string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	}
}
