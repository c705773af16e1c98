package dash

import (
	"fmt"
	"strings"

	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/tui/kit"
)

// Condition is how a lab is, as far as the frame cares.
type Condition int

// The conditions.
const (
	Unseen      Condition = iota // not looked at yet
	Absent                       // there is no lab of this name
	Stopped                      // it is kept, and does not run
	Unreachable                  // its runner is there and does not answer
	Coming                       // it is brought up, and was not ready before
	Changing                     // it runs, and is being changed
	Faulty                       // its last bring-up failed
	Ready
)

// Runs says whether the lab answers, so that pages have something to read.
func (c Condition) Runs() bool { return c == Changing || c == Faulty || c == Ready }

// Health is how a lab is.
type Health struct {
	Condition Condition
	Profile   string
	Provider  string
	Why       string // a sentence, for those that do not run
	Next      string // the command to type
}

// words are what the title says of a condition.
func (c Condition) words() (string, kit.Look) {
	switch c {
	case Absent:
		return "no lab", kit.Dim
	case Stopped:
		return "stopped", kit.Warn
	case Unreachable:
		return "does not answer", kit.Bad
	case Coming:
		return "coming up", kit.Active
	case Changing:
		return "being changed", kit.Active
	case Faulty:
		return "not ready: the last bring-up failed", kit.Bad
	case Ready:
		return "ready", kit.Good
	}
	return "looking", kit.Dim
}

// sign is the mark before the words.
func (c Condition) sign(s kit.Signs) string {
	switch c {
	case Ready:
		return s.Run
	case Unreachable, Faulty:
		return s.Bad
	case Changing, Coming:
		return s.Run
	}
	return s.Wait
}

// instead is what stands on a page that has nothing to read.
func (h Health) instead(t kit.Theme, lab string, width int) []string {
	var title string
	look := kit.Warn
	var keys []string
	switch h.Condition {
	case Unseen:
		return []string{"", "  " + t.Draw(kit.Dim, "looking for lab "+lab+t.Signs.Ellipsis)}
	case Absent:
		title = "there is no lab " + lab
		keys = []string{"u  choose a profile, see the plan, bring it up"}
	case Stopped:
		title = "lab " + lab + " is stopped; what it stored is kept"
		keys = []string{"u  see the plan, bring it up", "8  its logs"}
	case Unreachable:
		title, look = "lab "+lab+" does not answer", kit.Bad
		keys = []string{"8  its logs"}
	case Coming:
		title, look = "lab "+lab+" is coming up", kit.Active
		keys = []string{"w  watch it", "8  its logs"}
	}
	lines := []string{"", "  " + t.Draw(look, title)}
	for _, l := range kit.Wrap(phrase.Line(h.Why), max(width-4, 10)) {
		if l != "" {
			lines = append(lines, "  "+l)
		}
	}
	lines = append(lines, "")
	for _, k := range keys {
		lines = append(lines, "  "+k)
	}
	if h.Next != "" {
		lines = append(lines, "", "  "+t.Draw(kit.Dim, "in a shell: ")+phrase.Line(h.Next))
	}
	return append(lines, "", "  "+t.Draw(kit.Dim, "This page fills as soon as the lab answers."))
}

// tooSmall is all that is drawn on a terminal below the least size.
func tooSmall(t kit.Theme, width, height int) string {
	text := fmt.Sprintf("The dashboard needs %d columns and %d lines; this terminal has %d and %d. Enlarge it, or press q and use: alertlab status", Width, Height, width, height)
	lines := kit.Wrap(text, max(width, 1))
	return strings.Join(lines[:min(len(lines), max(height, 1))], "\n")
}
