package smoke

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"time"
)

// Series is the outcome of the same checks run several times.
type Series struct {
	Wanted  int // how many runs were asked for
	Started time.Time
	Runs    []Report // those that were made: fewer than Wanted after a failure
}

// OK says that no check failed in any run, and that all runs were made.
func (s Series) OK() bool { return s.Failed() == 0 && len(s.Runs) == s.Wanted }

// Failed counts the runs in which a check failed.
func (s Series) Failed() int {
	n := 0
	for _, r := range s.Runs {
		if !r.OK() {
			n++
		}
	}
	return n
}

// Repeat runs the chosen checks n times, one run after the other, and stops after the
// first in which a check fails, unless keepGoing is set. Each run is told to each
// when it is over. A seed in the options is that of the first run; the next have the
// numbers after it.
func Repeat(ctx context.Context, o Options, n int, keepGoing bool, each func(Report)) (Series, error) {
	s := Series{Wanted: n, Started: time.Now()}
	seed := o.Seed
	for i := range n {
		if seed != 0 {
			o.Seed = seed + uint64(i)
		}
		r, err := Run(ctx, o)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return s, err
		}
		s.Runs = append(s.Runs, r)
		each(r)
		if !r.OK() && !keepGoing {
			break
		}
	}
	return s, nil
}

// Sentence sums a series up, e.g. "3 of 10 runs made, 1 failed".
func (s Series) Sentence() string {
	return fmt.Sprintf("%d of %d runs made, %d failed", len(s.Runs), s.Wanted, s.Failed())
}

// JUnit writes all runs as JUnit XML, a suite for each.
func (s Series) JUnit(w io.Writer) error {
	all := junitSuites{Name: "alertlab smoke"}
	var total time.Duration
	for i, r := range s.Runs {
		suite := r.junit()
		suite.Name = fmt.Sprintf("alertlab smoke, run %d of %d", i+1, s.Wanted)
		all.add(suite)
		total += r.Duration
	}
	all.Time = seconds(total)
	return all.write(w)
}

type jsonSeries struct {
	Wanted  int        `json:"wanted"`
	Started time.Time  `json:"started"`
	OK      bool       `json:"ok"`
	Failed  int        `json:"failed"`
	Runs    []Document `json:"runs"`
}

// JSON writes all runs as one JSON document.
func (s Series) JSON(w io.Writer) error {
	out := jsonSeries{Wanted: s.Wanted, Started: s.Started.UTC(), OK: s.OK(), Failed: s.Failed(), Runs: make([]Document, 0, len(s.Runs))}
	for _, r := range s.Runs {
		out.Runs = append(out.Runs, r.json())
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (j *junitSuites) add(s junitSuite) {
	j.Tests += s.Tests
	j.Failures += s.Failures
	j.Errors += s.Errors
	j.Skipped += s.Skipped
	j.Suites = append(j.Suites, s)
}

func (j junitSuites) write(w io.Writer) error {
	out, err := xml.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}
