package cmd

import (
	"context"
	"time"

	tuismoke "github.com/alertlab/alertlab/tui/smoke"

	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/smoke"
)

// smokeSource hands the verb smoke to its page.
type smokeSource struct{ *board }

// Checks implements tuismoke.Source.
func (smokeSource) Checks() []tuismoke.Check {
	var out []tuismoke.Check
	for _, c := range smoke.All() {
		out = append(out, tuismoke.Check{Name: c.Name, Sentence: c.Sentence, Disruptive: c.Disruptive})
	}
	return out
}

// Run implements tuismoke.Source.
func (s smokeSource) Run(ctx context.Context, only []string, disruptive bool, waiting func(check, what string), result func(tuismoke.Result)) error {
	client, err := runner.Dial(ctx, s.dir)
	if err != nil {
		return err
	}
	o := smoke.Options{Only: only, Disruptive: disruptive, Waiting: waiting, Observer: func(r smoke.Result) {
		result(tuismoke.Result{Check: r.Check, Status: string(r.Status), Reason: r.Reason, Expected: r.Expected, Seen: r.Seen, Next: s.a.meant(r.Next),
			Evidence: string(r.Evidence), Duration: r.Duration})
	}}
	if err := s.a.smokeOptions(ctx, client, &o); err != nil {
		return err
	}
	report, err := smoke.Run(ctx, o)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // half a run is not remembered
	}
	return keepSmoke(s.dir, report)
}

// History implements tuismoke.Source.
func (s smokeSource) History(ctx context.Context) ([]tuismoke.Run, error) {
	runs, err := smokeHistory(ctx, s.dir)
	var out []tuismoke.Run
	seconds := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for _, r := range runs {
		one := tuismoke.Run{Started: r.Started, Duration: seconds(r.Seconds), Seed: r.Seed}
		for _, c := range r.Checks {
			one.Results = append(one.Results, tuismoke.Result{Check: c.Name, Status: string(c.Status), Reason: c.Reason, Expected: c.Expected, Seen: c.Seen, Next: c.Next,
				Evidence: c.Evidence, Duration: seconds(c.Seconds)})
		}
		out = append(out, one)
	}
	return out, err
}
