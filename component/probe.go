package component

import (
	"context"
	"time"
)

// Wait asks until the gate is open, a little less often each time, because from
// outside there is nothing to watch.
func (p Probe) Wait(ctx context.Context, r Release, seen func(string)) error {
	pause := 20 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		open, what, err := p(ctx, r)
		if err != nil || open {
			return err
		}
		seen(what)
		timer.Reset(pause)
		pause = min(pause*3/2, 500*time.Millisecond)
	}
}
