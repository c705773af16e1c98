package smoke

import (
	"context"
	"fmt"
	"time"
)

// cadenceTolerance is how far from the interval two visits may start: one
// second of buffering and batching in the producer and the brokers.
const cadenceTolerance = time.Second

// firstAfter gives the time of the first record at or after t, zero when
// there is none.
type firstAfter func(ctx context.Context, t time.Time) (time.Time, error)

// visitStarts finds the records that have no record in the gap before them,
// from a moment on. It only asks for times, about twice for each visit: no
// start lies within a gap after any record, so it can leap from gap to gap.
func visitStarts(ctx context.Context, first firstAfter, from time.Time, gap time.Duration) ([]time.Time, error) {
	var starts []time.Time
	for at := from; ; {
		rec, err := first(ctx, at)
		if err != nil || rec.IsZero() {
			return starts, err
		}
		before, err := first(ctx, rec.Add(-gap))
		if err != nil {
			return starts, err
		}
		if !before.Before(rec) {
			starts = append(starts, rec)
		}
		at = rec.Add(gap)
	}
}

// recordTimes is what can be asked of a topic without reading it; *topicLog
// is one.
type recordTimes interface {
	after(ctx context.Context, t time.Time) (offsets map[int32]int64, first time.Time, err error)
	newestTime(ctx context.Context) (time.Time, error)
}

// visits looks for visits in a topic.
type visits struct {
	log      recordTimes
	topic    string
	interval time.Duration
}

// gap is the silence that divides two visits: alerts of one come much closer
// together, and the pause after them is most of the interval. A busy machine may
// hold a visit up for a moment, so that it is a second at least, where the interval
// leaves room for that.
func (v visits) gap() time.Duration {
	return min(max(v.interval/4, time.Second), v.interval/2)
}

func (v visits) first(ctx context.Context, t time.Time) (time.Time, error) {
	_, first, err := v.log.after(ctx, t)
	return first, err
}

// recent gives the starts within two and a half intervals before now, oldest
// first: two at least when visits come as they should.
func (v visits) recent(ctx context.Context, now time.Time) ([]time.Time, error) {
	return visitStarts(ctx, v.first, now.Add(-v.interval*5/2), v.gap())
}

// pauseForNext waits until the next visit can have begun.
func (v visits) pauseForNext(ctx context.Context, starts []time.Time) error {
	step := min(max(v.interval/16, 50*time.Millisecond), time.Second)
	if len(starts) > 0 {
		step = max(step, time.Until(starts[len(starts)-1].Add(v.interval)))
	}
	return pause(ctx, step)
}

func visitCadence() Check {
	return Check{
		Name:     "visit-cadence",
		Sentence: "two visits start one interval apart, within a second",
		Needs:    []Need{NeedBrokers(), NeedSimulator(), needStreamReader()},
		// The first visit, the second, and one more when these two did
		// not fit, each up to an interval away.
		Wait: func(e *Env) time.Duration { return 3 * e.interval() },
		Run:  runVisitCadence,
	}
}

func runVisitCadence(ctx context.Context, e *Env) (Evidence, error) {
	topic, interval := e.Endpoints.Simulator.Topic, e.interval()
	cl, err := newClient(e.login(e.streamReader()))
	if err != nil {
		return "", err
	}
	defer cl.Close()
	v := visits{log: newTopicLog(cl, topic), topic: topic, interval: interval}

	// Starts once seen are kept, so that visits further apart than the
	// window of recent ones are still compared.
	var starts []time.Time
	wrong := 0 // starts seen when the cadence was found wrong first
	for {
		found, err := v.recent(ctx, time.Now())
		if err == nil {
			starts = mergeStarts(starts, found)
		}
		switch {
		case ctx.Err() != nil:
			return "", noCadence(ctx, v, starts, ctx.Err())
		case err != nil:
			return "", err
		}
		if n := len(starts); n >= 2 {
			apart := starts[n-1].Sub(starts[n-2])
			if off := (apart - interval).Abs(); off <= cadenceTolerance {
				return evidence("visits at %s and %s, %s apart (interval %s, %s off)",
					clock(starts[n-2]), clock(starts[n-1]), round(apart), interval, round(off)), nil
			}
			// A lab that was paused or restarted has one odd distance
			// between its visits; the next one tells.
			if wrong > 0 && n > wrong {
				return "", &Failure{
					Expected: fmt.Sprintf("visits to start %s apart, within %s", interval, cadenceTolerance),
					Seen: fmt.Sprintf("visits at %s, %s and %s, %s and %s apart", clock(starts[n-3]), clock(starts[n-2]), clock(starts[n-1]),
						round(starts[n-2].Sub(starts[n-3])), round(apart)),
					Next: "alertlab logs simulator",
				}
			}
			if wrong == 0 {
				wrong = n
			}
			e.Waiting("the next visit on %s: the last two started %s apart", topic, round(apart))
		} else if n == 1 {
			e.Waiting("a second visit on %s after that of %s, due at %s", topic, clock(starts[0]), clock(starts[0].Add(interval)))
		} else {
			e.Waiting("a first visit on %s", topic)
		}
		if err := v.pauseForNext(ctx, starts); err != nil {
			return "", noCadence(ctx, v, starts, err)
		}
	}
}

// mergeStarts adds the newly found starts that are later than all known.
func mergeStarts(known, found []time.Time) []time.Time {
	for _, f := range found {
		if len(known) == 0 || f.After(known[len(known)-1]) {
			known = append(known, f)
		}
	}
	return known
}

// noCadence says what was seen instead of enough visits.
func noCadence(ctx context.Context, v visits, starts []time.Time, cause error) error {
	f := &Failure{
		Expected: fmt.Sprintf("a visit every %s on %s", v.interval, v.topic),
		Next:     "alertlab status", Err: cause,
	}
	if n := len(starts); n > 0 {
		f.Seen = fmt.Sprintf("no visit after that of %s", clock(starts[n-1]))
		return f
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	switch newest, err := v.log.newestTime(ctx); {
	case err != nil:
		f.Seen = "no visit, and " + err.Error()
	case newest.IsZero():
		f.Seen = "no record at all"
	case time.Since(newest) < v.gap():
		f.Seen = fmt.Sprintf("records without a pause of %s between them, until %s", v.gap(), clock(newest))
		f.Next = "alertlab logs simulator"
	default:
		f.Seen = fmt.Sprintf("no visit; the newest record is of %s", newest.UTC().Format(time.RFC3339))
	}
	return f
}
