package simulator

import (
	"testing"
	"time"
)

func TestGrid(t *testing.T) {
	t.Parallel()
	start := time.Now()
	every := 37 * time.Second
	g := grid{start, every}
	for _, c := range []struct {
		n    int
		now  time.Duration // after the start
		want int
	}{
		{0, 0, 1},                        // no time at all: the next one, not this one again
		{0, 2 * time.Second, 1},          // in time
		{0, every - time.Nanosecond, 1},  // just in time
		{0, every, 1},                    // on the point: it can still begin
		{0, every + time.Nanosecond, 2},  // past it: skipped
		{0, 3*every + time.Second, 4},    // three skipped
		{7, 7*every + time.Second, 8},    // later on the grid
		{7, 9*every + 5*time.Second, 10}, // two skipped
		{1000, 1000*every + 1, 1001},     // far along
		{-1, -time.Second, 0},            // before the start
	} {
		if got := g.after(c.n, start.Add(c.now)); got != c.want {
			t.Errorf("after visit %d at %v: visit %d, want %d", c.n, c.now, got, c.want)
		}
	}
	// The n-th point does not depend on when the earlier visits really began.
	if got := g.due(10_000, start.Add(time.Hour)).Sub(start); got != 10_000*every {
		t.Errorf("visit 10000 is due after %v, want %v", got, 10_000*every)
	}
}

func TestGridWithoutInterval(t *testing.T) {
	t.Parallel()
	start := time.Now()
	now := start.Add(time.Hour)
	g := grid{start, 0}
	if got := g.after(3, now); got != 4 {
		t.Errorf("after visit 3: %d, want 4", got)
	}
	if got := g.due(4, now); !got.Equal(now) {
		t.Errorf("visit 4 is due at %v, want now", got)
	}
}
