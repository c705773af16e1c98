package content

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/alertlab/alertlab/lab/plan"
)

// lookLimit bounds one look at a place: one that does not answer is unknown, and
// nobody should have to wait long to be told so.
const lookLimit = 10 * time.Second

// Part is a plan.Part over one kind of content. In is the shape of its input.
type Part[In any] struct {
	// Look sees whether what was applied last is there.
	Look func(ctx context.Context, applied In, look plan.Look) (plan.Observation, error)
	// Make brings the content to what is wanted, whatever was there, and gives the
	// part's outputs.
	Make func(ctx context.Context, wanted In, order plan.Order) (map[string]string, error)
}

// Observe implements plan.Part. Content that no step of this lab has made is
// absent, and looking further is of no use.
func (p Part[In]) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not made it yet"}, nil
	}
	var in In
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, fmt.Errorf("the input of %s as last applied: %w", look.Want.Key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	return p.Look(ctx, in, look)
}

// Apply implements plan.Part.
func (p Part[In]) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in In
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, fmt.Errorf("the input: %w", err)
	}
	return p.Make(ctx, in, order)
}

// Earlier reads what a part may have made before this order: the inputs of the steps
// that began and did not end, then that of the last one that did. Where there was no
// step there is none.
func Earlier[In any](order plan.Order) []In {
	var out []In
	for _, text := range append(slices.Clone(order.Begun), order.LastInput) {
		var in In
		if json.Unmarshal(text, &in) == nil {
			out = append(out, in)
		}
	}
	return out
}
