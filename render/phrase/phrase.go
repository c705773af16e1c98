package phrase

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

// Elapsed writes a time spent: "0.8s", "12.3s", "1m05s", "2h07m". Negative
// times, which clocks of two machines can give, are written as "0.0s".
func Elapsed(d time.Duration) string {
	d = max(d, 0)
	// Round before choosing the form, so that 59.97 s is "1m00s" and not "60.0s".
	if tenths := d.Round(100 * time.Millisecond); tenths < time.Minute {
		return fmt.Sprintf("%.1fs", tenths.Seconds())
	}
	return About(d)
}

// About writes a time to whole seconds, as fits an estimate: "15s", "1m05s",
// "2h07m", "3d04h".
func About(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// Count writes a number with its unit in the singular or plural: Count(1,
// "step") is "1 step", Count(3, "step") is "3 steps".
func Count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// Line makes one printable line of any text: escape sequences and characters
// that show nothing are taken out, each run of white space becomes one space. Texts
// of events come from servers and programs of others and must not be able to
// move the cursor.
func Line(s string) string {
	if plain(s) {
		return s
	}
	return strings.Join(strings.Fields(printable(s)), " ")
}

// plain says whether a text is a line as it stands, of ASCII alone: nearly all are.
func plain(s string) bool {
	space := true // before the first character as after a space
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && space {
			return false
		}
		space = s[i] == ' '
	}
	return !space || s == ""
}

// Lines is Line for text that may keep its line breaks and its indentation.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRightFunc(printable(strings.ReplaceAll(l, "\t", "    ")), unicode.IsSpace)
	}
	return strings.Join(lines, "\n")
}

// printable drops escape sequences and turns what else cannot be printed into
// spaces.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, ansi.Strip(s))
}

// Reason is a problem on one line: what happened and why, without the remedy.
func Reason(p *event.Problem) string {
	if p == nil {
		return ""
	}
	return Line(Fault(p).Error())
}

// Remedy is a problem in full, as fault.Text prints it: what, why, and what to
// type next.
func Remedy(p *event.Problem) string {
	if p == nil {
		return ""
	}
	return Lines(fault.Text(Fault(p)))
}

// Cancelled reports whether a problem is only that somebody cancelled the walk.
func Cancelled(p *event.Problem) bool {
	return p != nil && fault.Code(p.Code) == fault.Interrupted
}

// Fault turns a problem that crossed a socket back into an error.
func Fault(p *event.Problem) *fault.Fault {
	return fault.New(fault.Code(p.Code), p.What, p.Why, p.Next)
}
