// Package poll asks again and again for what cannot be watched.
package poll

import (
	"context"
	"time"
)

// Until asks until the answer is open, at once and then a little less often each time:
// pauses begin with first and grow to most. What was seen meanwhile is told. The error is
// the probe's, or the context's.
func Until(ctx context.Context, first, most time.Duration, seen func(string), probe func(context.Context) (open bool, what string, err error)) error {
	pause := first
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		open, what, err := probe(ctx)
		if err != nil || open {
			return err
		}
		seen(what)
		timer.Reset(pause)
		pause = min(pause*3/2, most)
	}
}
