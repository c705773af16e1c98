package style

import (
	"io"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	"golang.org/x/term"
)

// Styles are the few looks that output has. They use the sixteen colours that
// a terminal's own theme defines, so they fit light and dark backgrounds.
type Styles struct {
	Heading lipgloss.Style // titles of sections
	Good    lipgloss.Style // done
	Bad     lipgloss.Style // failed
	Warn    lipgloss.Style // being stopped, a concession
	Active  lipgloss.Style // running
	Dim     lipgloss.Style // beside the point
	Plain   lipgloss.Style // everything else
}

// New gives the styles for a writer: with colour when Colour says so. getenv
// is os.Getenv outside of tests.
func New(w io.Writer, getenv func(string) string) Styles {
	r := lipgloss.NewRenderer(w)
	// Both set, so that lipgloss does not ask the terminal.
	r.SetHasDarkBackground(true)
	r.SetColorProfile(termenv.Ascii)
	if Colour(w, getenv) {
		r.SetColorProfile(termenv.ANSI)
	}
	colour := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	return Styles{
		Heading: r.NewStyle().Bold(true),
		Good:    colour("2"),
		Bad:     colour("1"),
		Warn:    colour("3"),
		Active:  colour("6"),
		Dim:     r.NewStyle().Faint(true),
		Plain:   r.NewStyle(),
	}
}

// Colour reports whether a writer gets colours: it is a terminal that is not
// dumb, and NO_COLOR is unset or empty.
func Colour(w io.Writer, getenv func(string) string) bool {
	return Terminal(w) && getenv("TERM") != "dumb" && getenv("NO_COLOR") == ""
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
