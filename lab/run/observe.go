package run

import (
	"context"
	"fmt"
	"sync"

	"github.com/alertlab/alertlab/lab/plan"
)

// Observe looks at every wanted part and returns what was seen. Parts that are
// looked at through another part are left alone while that one does not run:
// they are absent when it was never made, and unknown until it runs otherwise.
func Observe(ctx context.Context, w plan.Wanted, parts map[string]plan.Part, entries []Entry) plan.Snapshot {
	seen := plan.Snapshot{}
	pending := w.Parts
	for len(pending) > 0 {
		// A round looks at all parts whose front is known, side by side.
		var round, later []plan.Want
		for _, want := range pending {
			if _, ok := seen[want.Behind]; want.Behind == "" || ok {
				round = append(round, want)
			} else {
				later = append(later, want)
			}
		}
		if len(round) == 0 { // fronts that are not wanted at all: Make reports them
			round, later = later, nil
		}
		found := make([]plan.Observation, len(round))
		var wg sync.WaitGroup
		for i, want := range round {
			front := seen[want.Behind]
			last, _ := Last(entries, want.Key)
			if want.Behind != "" && front.State != plan.Present {
				found[i] = behind(want, front, last)
				continue
			}
			wg.Go(func() {
				found[i] = look(ctx, want, parts[want.Key], last)
				if found[i].State == plan.Unknown && front.Away != "" { // that may be why
					found[i].Until = want.Behind
				}
			})
		}
		wg.Wait()
		for i, want := range round {
			last, begun := Last(entries, want.Key)
			found[i].Holds = last.Holds
			for _, b := range begun {
				found[i].Begun = append(found[i].Begun, plan.Begun{Action: b.Action, Time: b.Time, Destroys: b.Destroys})
			}
			seen[want.Key] = found[i]
		}
		pending = later
	}
	return seen
}

// behind says what can be said of a part whose front does not run.
func behind(want plan.Want, front plan.Observation, last Entry) plan.Observation {
	o := plan.Observation{Applied: last.Input, Resolved: last.Resolved, Outputs: last.Outputs}
	if front.State == plan.Absent && !front.Kept && last.Step == "" {
		o.State, o.Why = plan.Absent, fmt.Sprintf("nothing is there: %s is new", want.Behind)
		return o
	}
	o.State, o.Until = plan.Unknown, want.Behind
	o.Why = fmt.Sprintf("it cannot be seen before %s runs", want.Behind)
	if last.Step != "" {
		o.Why += ", and was " + past(last.Action) + " on " + last.Time.Local().Format("2006-01-02 15:04:05")
	}
	return o
}

func look(ctx context.Context, want plan.Want, part plan.Part, last Entry) plan.Observation {
	if part == nil {
		return plan.Observation{State: plan.Unknown, Why: fmt.Sprintf("no part %q is known here", want.Implementation)}
	}
	o, err := part.Observe(ctx, plan.Look{Want: want, Last: last.Resolved, Outputs: last.Outputs})
	if err != nil {
		return plan.Observation{State: plan.Unknown, Why: err.Error()}
	}
	if o.Applied == nil {
		o.Applied = last.Input
	}
	if o.Resolved == nil {
		o.Resolved = last.Resolved
	}
	if o.Outputs == nil {
		o.Outputs = last.Outputs
	}
	return o
}

func past(a plan.Action) string {
	switch a {
	case plan.Create:
		return "created"
	case plan.Start:
		return "started"
	case plan.Update:
		return "updated"
	case plan.Stop:
		return "stopped"
	case plan.Remove:
		return "removed"
	}
	return "ensured"
}
