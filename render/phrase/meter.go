package phrase

import (
	"fmt"
	"time"
)

// Meter measures how fast a count goes up: the mean over all that it was
// shown. The zero Meter is ready to use.
type Meter struct {
	first, last sample
	seen        bool
}

type sample struct {
	at time.Time
	n  int64
}

// Observe takes the count n at a time. A count that went down begins anew,
// since the work did so too.
func (m *Meter) Observe(at time.Time, n int64) {
	s := sample{at, n}
	if !m.seen || n < m.last.n {
		m.first, m.seen = s, true
	}
	m.last = s
}

// Rate gives counts per second, and false while nothing can be said: before a
// second sample, or when the count has not moved.
func (m *Meter) Rate() (float64, bool) {
	dt := m.last.at.Sub(m.first.at).Seconds()
	dn := float64(m.last.n - m.first.n)
	if dt <= 0 || dn <= 0 {
		return 0, false
	}
	return dn / dt, true
}

// Left estimates the time from the last sample until total is reached.
func (m *Meter) Left(total int64) (time.Duration, bool) {
	r, ok := m.Rate()
	if !ok || total <= m.last.n {
		return 0, false
	}
	return time.Duration(float64(total-m.last.n) / r * float64(time.Second)), true
}

// Text writes the speed and the time left, as far as they are known:
// "12/s, 15s left", or "26.9 MB/s" of bytes. It is "" when nothing is known.
func (m *Meter) Text(total int64, unit string) string {
	r, ok := m.Rate()
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%.0f/s", r)
	if unit == inBytes {
		text = Bytes(int64(r)) + "/s"
	} else if r < 10 {
		text = fmt.Sprintf("%.1f/s", r)
	}
	if left, ok := m.Left(total); ok {
		// Something is left, so never "0s".
		text += ", " + About(max(left, time.Second)) + " left"
	}
	return text
}
