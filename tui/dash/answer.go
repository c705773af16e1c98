package dash

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// longest bounds what is taken for an answer, in characters.
const longest = 256

// answer takes what a terminal says of itself out of what is typed: its colours (OSC
// 10 and 11), its name or its abilities (DCS), which it gives when somebody asks. The
// dashboard does not; a program that ran before it, or a terminal in between, may have.
// Bubble Tea hands such a sequence on as keys, of which each would do something: the
// colon of "]11;rgb:ffff/ffff/ffff" opens the prompt.
type answer struct {
	left  int  // characters that may still come
	begun bool // its first character was seen, and no other
}

// A sequence as Bubble Tea gives it: ESC and a character are that character with Alt, BEL
// is ctrl+g. Behind its beginning stands a number or one of few signs, so that an escape
// key and a bracket that arrive together are not taken for one.
const (
	begins = "]P"
	second = "0123456789>!$"
	bell   = "ctrl+g"
	end    = "alt+\\"
)

// takes says whether a key is part of an answer.
func (a *answer) takes(msg tea.KeyMsg) bool {
	if a.left == 0 {
		if msg.Type != tea.KeyRunes || !msg.Alt || len(msg.Runes) == 0 || !strings.ContainsRune(begins, msg.Runes[0]) {
			return false
		}
		a.left, a.begun = longest, true
		return true
	}
	if name := msg.String(); name == bell || name == end {
		a.left = 0
		return true
	}
	// An answer is printable; any other key is somebody's, and ends it.
	printable := (msg.Type == tea.KeyRunes || msg.Type == tea.KeySpace) && !msg.Alt && len(msg.Runes) > 0
	if !printable || a.begun && !strings.ContainsRune(second, msg.Runes[0]) {
		a.left = 0
		return false
	}
	a.left, a.begun = max(a.left-len(msg.Runes), 0), false
	return true
}
