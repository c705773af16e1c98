package kit

import (
	"strings"

	"github.com/alertlab/alertlab/render/phrase"
)

// PlanLines gives a plan's text its looks: what is done in plain, why it is dim, what
// is lost or conceded in colour.
func (t Theme) PlanLines(text string, width int) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimRight(phrase.Lines(text), "\n"), "\n") {
		look, bare := Plain, strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(bare, "LOSES"), strings.HasPrefix(bare, "!"):
			look = Bad
		case strings.HasPrefix(bare, "~"):
			look = Warn
		case strings.HasPrefix(bare, "+"):
			look = Active
		case strings.HasPrefix(bare, "="), strings.HasPrefix(l, "       "):
			look = Dim
		case strings.HasPrefix(bare, "plan to"):
			look = Heading
		}
		// Behind a sign or a number, as far as the text that it stands before.
		mark, _, _ := strings.Cut(bare, " ")
		indent := strings.Repeat(" ", len(l)-len(strings.TrimLeft(l, " "))+min(len(mark)+1, 4))
		for i, w := range Wrap(l, max(width, 20)) {
			if i > 0 {
				w = t.Cut(indent+strings.TrimLeft(w, " "), width)
			}
			out = append(out, t.Draw(look, w))
		}
	}
	return out
}
