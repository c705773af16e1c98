package simulator

import "time"

// grid is the schedule of visits: start, start + interval, start + twice the
// interval, ... Times keep Go's monotonic clock reading, so that neither a
// late visit nor a step of the wall clock shifts the ones after it.
type grid struct {
	start    time.Time
	interval time.Duration
}

// due is when visit n begins. Without an interval that is now.
func (g grid) due(n int, now time.Time) time.Time {
	if g.interval <= 0 {
		return now
	}
	return g.start.Add(time.Duration(n) * g.interval)
}

// after gives the first visit after n whose time is not past.
func (g grid) after(n int, now time.Time) int {
	if g.interval <= 0 {
		return n + 1
	}
	elapsed := now.Sub(g.start)
	reached := int(elapsed / g.interval)
	if elapsed%g.interval > 0 {
		reached++
	}
	return max(n+1, reached)
}
