package smoke

import "time"

// Status is how a check ended.
type Status string

// The ways in which a check ends.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is the outcome of one check.
type Result struct {
	Check    string
	Sentence string
	Status   Status
	// Reason says why the check failed or was skipped.
	Reason string
	// Expected, Seen and Next take the reason of a failure apart; Next is the
	// next command to type, "" when none is known.
	Expected, Seen, Next string
	// Evidence is what the check saw, one line; it may be there for a
	// failed check too.
	Evidence Evidence
	Started  time.Time
	Duration time.Duration
}

// Report is the outcome of a run, results in the order of the checks.
type Report struct {
	Lab, Profile, Provider string
	Started                time.Time
	Duration               time.Duration
	Seed                   uint64 // repeats the random choices of this run
	Results                []Result
}

// Count says how many checks ended so.
func (r Report) Count(s Status) int {
	n := 0
	for _, res := range r.Results {
		if res.Status == s {
			n++
		}
	}
	return n
}

// OK says that no check failed.
func (r Report) OK() bool { return r.Count(Failed) == 0 }

// round cuts a duration to what a reader wants to see of it.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	default:
		return d.Round(time.Millisecond)
	}
}
