package component

import (
	"context"
	"time"

	"github.com/alertlab/alertlab/internal/poll"
)

// Wait asks until the gate is open, because from outside there is nothing to watch.
func (p Probe) Wait(ctx context.Context, r Release, seen func(string)) error {
	return poll.Until(ctx, 20*time.Millisecond, 500*time.Millisecond, seen, func(ctx context.Context) (bool, string, error) { return p(ctx, r) })
}
