package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// What a check can come to. There is no skipping.
const (
	passedOutcome = "passed"
	failedOutcome = "failed"
)

// report is what one client's program said.
type report struct {
	Client  string   `json:"client"`
	Version string   `json:"version,omitempty"`
	Seconds float64  `json:"seconds"` // of the whole program, its start too
	Checks  []result `json:"checks"`
	// Said is the end of its standard error, where a check failed.
	Said string `json:"said,omitempty"`
}

// result is one check.
type result struct {
	Name     string  `json:"name"`
	Sentence string  `json:"sentence,omitempty"`
	Outcome  string  `json:"outcome"`
	Seconds  float64 `json:"seconds"`
	Evidence string  `json:"evidence,omitempty"`
	Reason   string  `json:"reason,omitempty"` // of a failure
}

// line is what a program writes: first the plan, then each result.
type line struct {
	Version *string  `json:"version"`
	Plan    []string `json:"plan"`
	Unknown []string `json:"unknown"`

	Check    string  `json:"check"`
	Sentence string  `json:"sentence"`
	Evidence string  `json:"evidence"`
	Error    string  `json:"error"`
	Seconds  float64 `json:"seconds"`
}

// maxReason bounds a reason: a comparison may quote whole messages.
const maxReason = 600

// read makes a report of a program's output. Whatever is not as it should be is a
// failed check: a program that says nothing has not passed.
func read(out []byte, exit error) report {
	var r report
	bad := func(name, format string, args ...any) {
		r.Checks = append(r.Checks, result{Name: name, Outcome: failedOutcome, Reason: short(fmt.Sprintf(format, args...))})
	}
	var plan []string
	planned := false
	scanner := bufio.NewScanner(bytes.NewReader(out))
	scanner.Buffer(nil, len(out)+1)
	for scanner.Scan() {
		var l line
		dec := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			bad("program", "its output is not understood: %v: %s", err, scanner.Text())
			return r
		}
		switch {
		case !planned && l.Version != nil:
			r.Version, plan, planned = *l.Version, l.Plan, true
			for _, name := range l.Unknown {
				bad(name, "there is no such check")
			}
			if len(plan) == 0 && len(l.Unknown) == 0 {
				bad("program", "it plans no check")
			}
		case !slices.Contains(plan, l.Check):
			bad("program", "it tells of the check %q, which it did not plan", l.Check)
		case slices.ContainsFunc(r.Checks, func(c result) bool { return c.Name == l.Check }):
			bad(l.Check, "it is told twice")
		default:
			c := result{Name: l.Check, Sentence: l.Sentence, Outcome: passedOutcome, Seconds: l.Seconds, Evidence: l.Evidence}
			if l.Error != "" {
				c.Outcome, c.Reason = failedOutcome, short(l.Error)
			}
			r.Checks = append(r.Checks, c)
		}
	}
	if !planned {
		bad("program", "it told no plan: %v", exit)
		return r
	}
	for _, name := range plan {
		if !slices.ContainsFunc(r.Checks, func(c result) bool { return c.Name == name }) {
			bad(name, "the program ended without a result: %v", exit)
		}
	}
	if exit != nil && !r.failed() {
		bad("program", "every check passed, and yet: %v", exit)
	}
	return r
}

func short(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + "..."
}

func (r report) failed() bool {
	return slices.ContainsFunc(r.Checks, func(c result) bool { return c.Outcome == failedOutcome })
}

// count tells a report in a few words.
func (r report) count() string {
	counts := map[string]int{}
	for _, c := range r.Checks {
		counts[c.Outcome]++
	}
	var words []string
	for _, outcome := range []string{passedOutcome, failedOutcome} {
		if n := counts[outcome]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	return fmt.Sprintf("%s in %.1f s", strings.Join(words, ", "), r.Seconds)
}

// writeTable prints client, check and seconds, what was seen behind it, and after
// the table what failing programs said.
func writeTable(w io.Writer, reports []report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  CLIENT\tCHECK\tSECONDS\tSENTENCE\tSEEN")
	marks := map[string]string{passedOutcome: "✓", failedOutcome: "✗"}
	for _, r := range reports {
		for _, c := range r.Checks {
			seen := c.Evidence
			if c.Outcome != passedOutcome {
				seen = c.Outcome + ": " + strings.Join(strings.Fields(c.Reason), " ")
			}
			fmt.Fprintf(t, "%s %s\t%s\t%.2f\t%s\t%s\n", marks[c.Outcome], r.Client, c.Name, c.Seconds, c.Sentence, seen)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, r := range reports {
		fmt.Fprintf(w, "%s: %s (%s)\n", r.Client, r.count(), r.Version)
	}
	for _, r := range reports {
		if r.Said != "" {
			fmt.Fprintf(w, "\n%s said:\n%s\n", r.Client, r.Said)
		}
	}
	return nil
}

func writeJSON(w io.Writer, reports []report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(reports)
}
