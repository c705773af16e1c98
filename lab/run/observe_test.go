package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
)

// saw makes a part that is always seen so.
func saw(o plan.Observation) plan.Part {
	return &fake{observe: func(context.Context, plan.Look) (plan.Observation, error) { return o, nil }}
}

func untouchable(t *testing.T) plan.Part {
	return &fake{observe: func(context.Context, plan.Look) (plan.Observation, error) {
		t.Error("a part was looked at through one that does not run")
		return plan.Observation{}, nil
	}}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	w := plan.Wanted{Parts: []plan.Want{
		{Key: "topics", Needs: []string{"kafka"}, Behind: "kafka"}, // before its front, as a stack may list them
		{Key: "kafka", Implementation: "kfake"},
		{Key: "consumers", Needs: []string{"topics"}, Behind: "topics"},
	}}
	last := []run.Entry{{Time: time.Date(2026, 11, 21, 3, 4, 5, 0, time.Local), Step: "topics", Action: plan.Update,
		Input: json.RawMessage(`{"at":"${kafka.bootstrap}"}`), Resolved: json.RawMessage(`{"at":"k:9094"}`), Outputs: map[string]string{"n": "5"}}}

	t.Run("the front runs", func(t *testing.T) {
		t.Parallel()
		var look plan.Look
		seen := run.Observe(t.Context(), w, map[string]plan.Part{
			"kafka": saw(plan.Observation{State: plan.Present}),
			"topics": &fake{observe: func(_ context.Context, l plan.Look) (plan.Observation, error) {
				look = l
				return plan.Observation{State: plan.Present, Why: "5 topics"}, nil
			}},
			"consumers": saw(plan.Observation{State: plan.Absent, Why: "none"}),
		}, last)
		if string(look.Last) != `{"at":"k:9094"}` || look.Outputs["n"] != "5" || look.Want.Key != "topics" {
			t.Errorf("it was looked at with %+v", look)
		}
		// What the part does not say of itself is what the journal has.
		if o := seen["topics"]; o.State != plan.Present || string(o.Applied) != `{"at":"${kafka.bootstrap}"}` || string(o.Resolved) != `{"at":"k:9094"}` || o.Outputs["n"] != "5" {
			t.Errorf("topics: %+v", o)
		}
		if o := seen["kafka"]; o.Applied != nil || o.Outputs != nil {
			t.Errorf("kafka, of which the journal has nothing: %+v", o)
		}
		if seen["consumers"].State != plan.Absent {
			t.Errorf("consumers: %+v", seen["consumers"])
		}
	})
	t.Run("the part knows better than the journal", func(t *testing.T) {
		t.Parallel()
		seen := run.Observe(t.Context(), w, map[string]plan.Part{
			"kafka": saw(plan.Observation{State: plan.Present}), "consumers": saw(plan.Observation{}),
			"topics": saw(plan.Observation{State: plan.Present, Applied: json.RawMessage(`{"own":1}`), Resolved: json.RawMessage(`{"own":2}`), Outputs: map[string]string{"own": "3"}}),
		}, last)
		if o := seen["topics"]; string(o.Applied) != `{"own":1}` || string(o.Resolved) != `{"own":2}` || o.Outputs["own"] != "3" || o.Outputs["n"] != "" {
			t.Errorf("topics: %+v", o)
		}
	})
	t.Run("the front is stopped", func(t *testing.T) {
		t.Parallel()
		seen := run.Observe(t.Context(), w, map[string]plan.Part{
			"kafka":  saw(plan.Observation{State: plan.Absent, Kept: true}),
			"topics": untouchable(t), "consumers": untouchable(t),
		}, last)
		if o := seen["topics"]; o.State != plan.Unknown || o.Until != "kafka" || o.Why != "it cannot be seen before kafka runs, and was updated on 2026-11-21 03:04:05" || o.Outputs["n"] != "5" {
			t.Errorf("topics: %+v", o)
		}
		if o := seen["consumers"]; o.State != plan.Unknown || o.Until != "topics" || o.Why != "it cannot be seen before topics runs" {
			t.Errorf("consumers: %+v", o)
		}
	})
	t.Run("the front was never made", func(t *testing.T) {
		t.Parallel()
		seen := run.Observe(t.Context(), w, map[string]plan.Part{
			"kafka":  saw(plan.Observation{State: plan.Absent}),
			"topics": untouchable(t), "consumers": untouchable(t),
		}, nil)
		for _, key := range []string{"topics", "consumers"} {
			if o := seen[key]; o.State != plan.Absent || !strings.HasPrefix(o.Why, "nothing is there: ") {
				t.Errorf("%s: %+v", key, o)
			}
		}
	})
	t.Run("looking fails", func(t *testing.T) {
		t.Parallel()
		seen := run.Observe(t.Context(), w, map[string]plan.Part{
			"kafka": &fake{observe: func(context.Context, plan.Look) (plan.Observation, error) {
				return plan.Observation{State: plan.Absent}, errors.New("permission denied")
			}},
			"topics": untouchable(t), "consumers": untouchable(t),
		}, nil)
		if o := seen["kafka"]; o.State != plan.Unknown || o.Why != "permission denied" || o.Until != "" {
			t.Errorf("kafka: %+v", o)
		}
		if o := seen["topics"]; o.State != plan.Unknown || o.Until != "kafka" {
			t.Errorf("topics: %+v", o)
		}
	})
	t.Run("no part", func(t *testing.T) {
		t.Parallel()
		if o := run.Observe(t.Context(), w, nil, nil)["kafka"]; o.State != plan.Unknown || o.Why != `no part "kfake" is known here` {
			t.Errorf("kafka: %+v", o)
		}
	})
}

// A front that is not wanted, or fronts in a circle, are Make's to report; looking
// ends all the same.
// What cannot be seen because part of its front is away waits for the front.
func TestObserveBehindWhatIsAway(t *testing.T) {
	t.Parallel()
	w := plan.Wanted{Parts: []plan.Want{{Key: "kafka"}, {Key: "topics", Needs: []string{"kafka"}, Behind: "kafka"}}}
	lost := &fake{observe: func(context.Context, plan.Look) (plan.Observation, error) {
		return plan.Observation{}, errors.New("connection refused")
	}}
	for away, until := range map[string]string{"": "", "broker 2 is killed": "kafka"} {
		seen := run.Observe(t.Context(), w, map[string]plan.Part{"kafka": saw(plan.Observation{State: plan.Present, Away: away}), "topics": lost}, nil)
		if o := seen["topics"]; o.State != plan.Unknown || o.Until != until || o.Why != "connection refused" {
			t.Errorf("with %q away: %+v", away, o)
		}
	}
}

func TestObserveEnds(t *testing.T) {
	t.Parallel()
	w := plan.Wanted{Parts: []plan.Want{{Key: "a", Behind: "b"}, {Key: "b", Behind: "a"}, {Key: "c", Behind: "none"}}}
	seen := run.Observe(t.Context(), w, nil, nil)
	for _, key := range []string{"a", "b", "c"} {
		if seen[key].State != plan.Unknown {
			t.Errorf("%s: %+v", key, seen[key])
		}
	}
}

// Parts that can be looked at by themselves are looked at side by side: each
// answers only when all are asked.
func TestObserveSideBySide(t *testing.T) {
	t.Parallel()
	together := meet(3)
	w := plan.Wanted{}
	parts := map[string]plan.Part{}
	for _, key := range []string{"a", "b", "c"} {
		w.Parts = append(w.Parts, plan.Want{Key: key})
		parts[key] = &fake{observe: func(ctx context.Context, _ plan.Look) (plan.Observation, error) {
			_, err := together(ctx, plan.Order{})
			return plan.Observation{State: plan.Present}, err
		}}
	}
	for key, o := range run.Observe(t.Context(), w, parts, nil) {
		if o.State != plan.Present {
			t.Errorf("%s: %+v", key, o)
		}
	}
}
