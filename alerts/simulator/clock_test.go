package simulator

import (
	"context"
	"testing"
	"time"
	"unsafe"
)

// jumped gives a time as it would have been read had the wall clock been shifted by
// some whole seconds and the monotonic clock not: what a process sees that read it
// before somebody set the clock. Nothing in package time makes one. It relies on how
// a time with a monotonic reading lies in memory: a flag, 33 bits of seconds since
// 1885 and 30 bits of nanoseconds.
func jumped(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	type layout struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}
	(*layout)(unsafe.Pointer(&at)).wall += uint64(seconds) << 30
	return at
}

// TestClockThatJumps sets the clock, as ntpd or a person would, under a player that
// has begun: visits keep their interval, none is skipped and none is waited for.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	const every = 40 * time.Millisecond
	for name, seconds := range map[string]int64{"an hour ahead": 3600, "an hour back": -3600, "a month ahead": 30 * 86400, "a month back": -30 * 86400} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			start := jumped(t, began, -seconds) // read before the jump
			if got := start.Round(0).Sub(began.Round(0)); got != -time.Duration(seconds)*time.Second {
				t.Fatalf("the clock jumped by %v, as far as calendars go: package time has changed", -got)
			}
			g := grid{start, every}
			if n := g.after(0, time.Now()); n < 1 || n > 1000 {
				t.Errorf("visit %d comes after visit 0", n)
			}
			due := g.due(3, time.Now())
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := sleepUntil(ctx, due); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < 3*every || took > 10*time.Second {
				t.Errorf("visit 3 began %v after the start, not %v", took, 3*every)
			}
			if late := time.Since(due); late < 0 || late > 10*time.Second {
				t.Errorf("visit 3 is %v late", late)
			}
		})
	}
}
