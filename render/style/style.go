package style

import (
	"io"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	"golang.org/x/term"
)

// Styles are the few looks that output has. They use the sixteen colours that
// a terminal's own theme defines, so they fit most backgrounds; where the
// environment tells that the background is light, they are such as are read on
// white even in a theme that was made for black.
type Styles struct {
	Heading lipgloss.Style // titles of sections
	Good    lipgloss.Style // done
	Bad     lipgloss.Style // failed
	Warn    lipgloss.Style // being stopped, a concession
	Active  lipgloss.Style // running
	Dim     lipgloss.Style // beside the point
	Plain   lipgloss.Style // everything else
	// ASCII says that signs beyond ASCII are not to be drawn: see Signs.
	ASCII bool
}

// New gives the styles for a writer: with colour when Colour says so. getenv
// is os.Getenv outside of tests.
func New(w io.Writer, getenv func(string) string) Styles {
	return styles(Colour(w, getenv), getenv)
}

// On gives the styles for a terminal of an environment.
func On(getenv func(string) string) Styles { return styles(coloured(getenv), getenv) }

func styles(coloured bool, getenv func(string) string) Styles {
	profile := termenv.Ascii
	if coloured {
		profile = Profile(getenv)
	}
	s := of(profile, ground(getenv))
	s.ASCII = !Signs(getenv)
	return s
}

// The colours by their numbers: those of a terminal's theme below 16, else of
// xterm's table of 256. "" is the terminal's own foreground.
type colours struct{ good, bad, warn, active string }

var (
	anywhere = colours{good: "2", bad: "1", warn: "3", active: "6"}
	// The dark red of sixteen is hard to read on black.
	onDark = colours{good: "2", bad: "9", warn: "3", active: "6"}
	// Green, yellow and cyan of sixteen are hard to read on white.
	onLight    = colours{good: "", bad: "1", warn: "5", active: "4"}
	onLight256 = colours{good: "28", bad: "124", warn: "130", active: "25"}
)

// of gives the styles for a number of colours on a background.
func of(profile termenv.Profile, on background) Styles {
	r := lipgloss.NewRenderer(io.Discard)
	// Both set, so that lipgloss does not ask the terminal.
	r.SetHasDarkBackground(on != light)
	c, use := anywhere, termenv.ANSI
	switch {
	case profile == termenv.Ascii:
		use = termenv.Ascii
	case on == dark:
		c = onDark
	case on == light && profile == termenv.ANSI:
		c = onLight
	case on == light:
		c, use = onLight256, termenv.ANSI256
	}
	r.SetColorProfile(use)
	colour := func(number string) lipgloss.Style {
		if number == "" {
			return r.NewStyle()
		}
		return r.NewStyle().Foreground(lipgloss.Color(number))
	}
	return Styles{
		Heading: r.NewStyle().Bold(true),
		Good:    colour(c.good),
		Bad:     colour(c.bad),
		Warn:    colour(c.warn),
		Active:  colour(c.active),
		Dim:     r.NewStyle().Faint(true),
		Plain:   r.NewStyle(),
	}
}

// background is what is known of a terminal's.
type background int

const (
	untold background = iota
	dark
	light
)

// ground reads the background from COLORFGBG, which rxvt, Konsole, iTerm2 and
// others set and a user can: "foreground;background" as numbers of the sixteen
// colours, of which 7 and 9 to 15 are light.
func ground(getenv func(string) string) background {
	text := getenv("COLORFGBG")
	n, err := strconv.Atoi(text[strings.LastIndexByte(text, ';')+1:])
	switch {
	case err != nil || n < 0 || n > 15:
		if getenv("TERM") == "linux" { // the console is black
			return dark
		}
		return untold
	case n == 7 || n > 8:
		return light
	}
	return dark
}

// Profile says how many colours a terminal has that has some, from TERM and
// COLORTERM: sixteen where these do not tell.
func Profile(getenv func(string) string) termenv.Profile {
	out := termenv.NewOutput(io.Discard, termenv.WithEnvironment(environ(getenv)), termenv.WithUnsafe())
	if p := out.EnvColorProfile(); p != termenv.Ascii {
		return p
	}
	return termenv.ANSI
}

// environ gives termenv an environment that is a function.
type environ func(string) string

// Getenv implements termenv.Environ. NO_COLOR is Colour's business.
func (e environ) Getenv(key string) string {
	if strings.HasPrefix(key, "NO_COLOR") || strings.HasPrefix(key, "CLICOLOR") {
		return ""
	}
	return e(key)
}

// Environ implements termenv.Environ.
func (e environ) Environ() []string { return nil }

// Signs reports whether a terminal shows more than ASCII: its characters are
// UTF-8's, and its font is not that of a console, which has neither check marks
// nor blocks of all heights.
func Signs(getenv func(string) string) bool {
	term := getenv("TERM")
	return term != "linux" && term != "dumb" && UTF8(getenv)
}

// UTF8 reports whether the environment's characters are UTF-8's. They are where
// it says nothing, as in a container or over ssh; not in the locales C and
// POSIX, nor in one that names another character set.
func UTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		locale := getenv(name)
		if locale == "" {
			continue
		}
		_, set, named := strings.Cut(locale, ".")
		set, _, _ = strings.Cut(strings.ToLower(strings.ReplaceAll(set, "-", "")), "@")
		if named {
			return set == "utf8"
		}
		return locale != "C" && locale != "POSIX"
	}
	return true
}

// Colour reports whether a writer gets colours: it is a terminal that is not
// dumb, and NO_COLOR is unset or empty.
func Colour(w io.Writer, getenv func(string) string) bool {
	return Terminal(w) && coloured(getenv)
}

func coloured(getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && getenv("NO_COLOR") == ""
}

// Width gives the columns of a terminal, 0 for what is none or does not tell.
func Width(v any) int {
	f, ok := v.(interface{ Fd() uintptr })
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// Terminal reports whether a reader or writer is a terminal.
func Terminal(v any) bool {
	f, ok := v.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
