package kit

import (
	"errors"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/render/phrase"
)

// Problem writes an error in full: what happened, why, and what to type next, wrapped.
func (t Theme) Problem(err error, width int) []string {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return t.wrapped(Bad, Explain(err), width)
	}
	lines := t.wrapped(Bad, phrase.Line(f.What), width)
	if f.Why != "" {
		lines = append(lines, t.wrapped(Plain, "why:  "+phrase.Line(f.Why), width)...)
	}
	if f.Next != "" {
		lines = append(lines, t.wrapped(Plain, "next: "+phrase.Line(f.Next), width)...)
	}
	return lines
}

func (t Theme) wrapped(l Look, text string, width int) []string {
	lines := Wrap(text, width)
	for i := range lines {
		lines[i] = t.Draw(l, lines[i])
	}
	return lines
}
