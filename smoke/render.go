package smoke

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// TableOptions changes how Table looks.
type TableOptions struct {
	Color bool // ANSI colours for the marks
	// Width, when not 0, is that of a terminal: lines are broken at it, and what a
	// check saw stands below its sentence.
	Width int
}

// Table writes one line a check for a terminal: mark, sentence, seconds and
// evidence; below a failure what was expected, what was seen and the next
// command to type.
func (r Report) Table(w io.Writer, o TableOptions) error {
	mark := map[Status]string{Passed: "✓", Failed: "✗", Skipped: "-"}
	color := map[Status]string{Passed: "32", Failed: "31", Skipped: "33"}
	wide := 0
	for _, res := range r.Results {
		wide = max(wide, utf8.RuneCountInString(res.Sentence))
	}
	const marked, timed = 2, 9 // columns of the mark, and of the time with its blank
	narrow := o.Width > 0
	if narrow {
		wide = min(wide, max(o.Width-marked-timed-1, minText))
	}
	var b strings.Builder
	for _, res := range r.Results {
		m := mark[res.Status]
		if o.Color {
			m = "\x1b[" + color[res.Status] + "m" + m + "\x1b[0m"
		}
		text := oneLine(string(res.Evidence))
		if res.Status == Skipped {
			text = "skipped: " + oneLine(res.Reason)
		}
		lines := []string{res.Sentence}
		if narrow {
			lines = wrap(res.Sentence, wide)
		}
		pad := strings.Repeat(" ", wide-utf8.RuneCountInString(lines[0]))
		line := fmt.Sprintf("%s %s%s %6.2f s", m, lines[0], pad, res.Duration.Seconds())
		if !narrow {
			line += "  " + text
			text = ""
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
		for _, more := range lines[1:] {
			b.WriteString("  " + more + "\n")
		}
		if text != "" {
			o.indented(&b, "    ", "    ", text)
		}
		if res.Status != Failed {
			continue
		}
		for _, part := range [][2]string{{"check", res.Check}, {"expected", res.Expected}, {"seen", res.Seen}, {"next", res.Next}} {
			if part[1] != "" {
				o.indented(&b, fmt.Sprintf("    %-9s ", part[0]+":"), strings.Repeat(" ", 14), oneLine(part[1]))
			}
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed, %d skipped in %.2f s\n",
		r.Count(Passed), r.Count(Failed), r.Count(Skipped), r.Duration.Seconds())
	_, err := io.WriteString(w, b.String())
	return err
}

// minText is the least room for a text, whatever the terminal's width.
const minText = 30

// indented writes a text behind a heading, on more lines where it does not fit.
func (o TableOptions) indented(b *strings.Builder, first, next, text string) {
	lines := []string{text}
	if o.Width > 0 {
		lines = wrap(text, max(o.Width-len(next), minText))
	}
	for i, line := range lines {
		if i == 0 {
			b.WriteString(first)
		} else {
			b.WriteString(next)
		}
		b.WriteString(line + "\n")
	}
}

// wrap breaks a text between words into lines of at most width characters; a word
// that is longer is broken too. It gives one line at least.
func wrap(text string, width int) []string {
	var lines []string
	line := []rune{}
	for _, word := range strings.Fields(text) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, w...)
		for len(line) > width {
			lines, line = append(lines, string(line[:width])), line[width:]
		}
	}
	return append(lines, string(line))
}

// List writes what checks there are: name and sentence, and which are disruptive.
func List(w io.Writer, checks []Check, o TableOptions) error {
	names := 0
	for _, c := range checks {
		names = max(names, len(c.Name))
	}
	var b strings.Builder
	for _, c := range checks {
		text := c.Sentence
		if c.Disruptive {
			text += " (disruptive)"
		}
		o.indented(&b, fmt.Sprintf("%-*s  ", names, c.Name), strings.Repeat(" ", names+2), text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ListJSON writes what checks there are as one JSON document.
func ListJSON(w io.Writer, checks []Check) error {
	type one struct {
		Name       string `json:"name"`
		Sentence   string `json:"sentence"`
		Disruptive bool   `json:"disruptive"`
	}
	out := make([]one, 0, len(checks))
	for _, c := range checks {
		out = append(out, one{c.Name, c.Sentence, c.Disruptive})
	}
	return writeJSON(w, out)
}

// oneLine also takes out what could steer a terminal: some of the text comes
// from servers.
func oneLine(s string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(printable), " ")
}

// The elements and attributes that CI servers agree on; times are decimal
// seconds, as the JUnit task of Ant writes them.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *junitSkipped `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// JUnit writes the report as JUnit XML: a suite for the lab, a test case for
// each check, named by its sentence.
func (r Report) JUnit(w io.Writer) error {
	all := junitSuites{Name: "alertlab smoke", Time: seconds(r.Duration)}
	all.add(r.junit())
	return all.write(w)
}

func (r Report) junit() junitSuite {
	suite := junitSuite{
		Name: "alertlab smoke", Tests: len(r.Results), Failures: r.Count(Failed), Skipped: r.Count(Skipped),
		Time: seconds(r.Duration), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{
			{"lab", r.Lab}, {"profile", r.Profile}, {"provider", r.Provider},
			{"seed", strconv.FormatUint(r.Seed, 10)},
		},
	}
	for _, res := range r.Results {
		c := junitCase{Class: "alertlab.smoke." + res.Check, Name: res.Sentence, Time: seconds(res.Duration), Output: string(res.Evidence)}
		switch res.Status {
		case Failed:
			text := fmt.Sprintf("expected: %s\nseen: %s\n", res.Expected, res.Seen)
			if res.Next != "" {
				text += "next: " + res.Next + "\n"
			}
			c.Failure = &junitFailure{Type: res.Check, Message: oneLine(res.Reason), Text: text}
		case Skipped:
			c.Skipped = &junitSkipped{Message: oneLine(res.Reason)}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}

// Document is a report as JSON, for whoever reads it later too: times in UTC, seconds.
type Document struct {
	Lab      string          `json:"lab"`
	Profile  string          `json:"profile"`
	Provider string          `json:"provider"`
	Started  time.Time       `json:"started"`
	Seconds  float64         `json:"seconds"`
	Seed     uint64          `json:"seed"`
	OK       bool            `json:"ok"`
	Passed   int             `json:"passed"`
	Failed   int             `json:"failed"`
	Skipped  int             `json:"skipped"`
	Checks   []DocumentCheck `json:"checks"`
}

// DocumentCheck is what came of one check.
type DocumentCheck struct {
	Name     string    `json:"name"`
	Sentence string    `json:"sentence"`
	Status   Status    `json:"status"`
	Reason   string    `json:"reason,omitempty"`
	Expected string    `json:"expected,omitempty"`
	Seen     string    `json:"seen,omitempty"`
	Next     string    `json:"next,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
}

// JSON writes the report as one JSON document, times in UTC and seconds.
func (r Report) JSON(w io.Writer) error { return writeJSON(w, r.json()) }

func (r Report) json() Document {
	out := Document{
		Lab: r.Lab, Profile: r.Profile, Provider: r.Provider,
		Started: r.Started.UTC(), Seconds: r.Duration.Seconds(), Seed: r.Seed, OK: r.OK(),
		Passed: r.Count(Passed), Failed: r.Count(Failed), Skipped: r.Count(Skipped),
		Checks: make([]DocumentCheck, 0, len(r.Results)),
	}
	for _, res := range r.Results {
		out.Checks = append(out.Checks, DocumentCheck{
			Name: res.Check, Sentence: res.Sentence, Status: res.Status, Reason: res.Reason,
			Expected: res.Expected, Seen: res.Seen, Next: res.Next,
			Evidence: string(res.Evidence), Started: res.Started.UTC(), Seconds: res.Duration.Seconds(),
		})
	}
	return out
}
