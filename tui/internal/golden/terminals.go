package golden

import (
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/tui/kit"
)

// terminal is one on which every page must be drawn well.
type terminal struct {
	name string
	env  map[string]string
	// looks is what may stand in a sequence that selects a look (SGR); nil for none at
	// all.
	looks *regexp.Regexp
	ascii bool
}

// The looks that are not colours: bold, faint, reverse, and their ends.
const plainLooks = `0|1|2|7|22|27|`

var terminals = []terminal{
	{"sixteen colours", map[string]string{"TERM": "xterm"}, regexp.MustCompile(`^(` + plainLooks + `39|3[1236])$`), false},
	{"a screen in a terminal", map[string]string{"TERM": "screen"}, regexp.MustCompile(`^(` + plainLooks + `39|3[1236])$`), false},
	{"a dark background", map[string]string{"TERM": "xterm", "COLORFGBG": "15;0"}, regexp.MustCompile(`^(` + plainLooks + `39|3[236]|91)$`), false},
	{"a light background", map[string]string{"TERM": "xterm-256color", "COLORFGBG": "0;15"}, regexp.MustCompile(`^(` + plainLooks + `39|38;5;(28|124|130|25))$`), false},
	{"a light background of sixteen colours", map[string]string{"TERM": "xterm", "COLORFGBG": "0;default;15"}, regexp.MustCompile(`^(` + plainLooks + `39|3[145])$`), false},
	{"no colour", map[string]string{"TERM": "xterm-256color", "NO_COLOR": "1"}, nil, false},
	{"no more than ASCII", map[string]string{"TERM": "xterm", "LC_ALL": "C"}, regexp.MustCompile(`^(` + plainLooks + `39|3[1236])$`), true},
	{"the Linux console", map[string]string{"TERM": "linux"}, regexp.MustCompile(`^(` + plainLooks + `39|3[236]|91)$`), true},
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// Everywhere draws a frame on every kind of terminal: what a colour says is also there
// without one, no other colour is used than those that are read on the background, and
// no other sign than the font has.
func Everywhere(t *testing.T, name string, draw func(kit.Theme) string) {
	t.Helper()
	want := ansi.Strip(draw(Theme()))
	for _, x := range terminals {
		got := draw(ThemeOf(x.env))
		for _, s := range sgr.FindAllStringSubmatch(got, -1) {
			if x.looks == nil || !x.looks.MatchString(s[1]) {
				t.Errorf("%s on %s: the look %q", name, x.name, s[1])
				break
			}
		}
		text := ansi.Strip(got)
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s on %s: a sequence that is no look", name, x.name)
		}
		if x.ascii {
			if i := strings.IndexFunc(text, func(r rune) bool { return r > '~' }); i >= 0 {
				t.Errorf("%s on %s: %.12q", name, x.name, text[i:])
			}
			for i, l := range strings.Split(text, "\n") {
				if w, all := ansi.StringWidth(l), ansi.StringWidth(strings.Split(want, "\n")[i]); w != all {
					t.Errorf("%s on %s: line %d is %d cells wide, not %d: %q", name, x.name, i+1, w, all, l)
				}
			}
			continue
		}
		// The chosen one of some words is in brackets where it cannot be drawn in reverse.
		if brackets.Replace(text) != brackets.Replace(want) {
			t.Errorf("%s on %s says something else than without colours:\n%s\nwithout:\n%s", name, x.name, text, want)
		}
	}
}

var brackets = strings.NewReplacer("[", " ", "]", " ")
