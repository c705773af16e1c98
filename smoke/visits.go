package smoke

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	began := time.Now()
	var untangled time.Time // when publishers were told apart last, and
	tried, several := 0, 0  // how many starts were seen then, of how many publishers
	for {
		found, err := v.recent(ctx, time.Now())
		if err == nil {
			starts = mergeStarts(starts, found)
		}
		switch {
		case ctx.Err() != nil:
			return "", noCadence(ctx, e, v, starts, several, ctx.Err())
		case err != nil:
			return "", err
		}
		if n := len(starts); n >= 2 {
			apart := starts[n-1].Sub(starts[n-2])
			if off := (apart - interval).Abs(); off <= cadenceTolerance {
				return evidence("visits at %s and %s, %s apart (interval %s, %s off)",
					clock(starts[n-2]), clock(starts[n-1]), round(apart), interval, round(off)), nil
			}
		}
		// Somebody else may publish to the topic too, e.g. a play beside the
		// lab's own: then each publisher is looked at by itself.
		odd := len(starts) >= 2 || time.Since(began) > interval*5/4
		if odd && (len(starts) != tried || time.Since(untangled) > interval) {
			untangled, tried = time.Now(), len(starts)
			seen, err := v.byProducer(ctx, e, untangled.Add(-interval*5/2))
			if err != nil && ctx.Err() == nil {
				return "", err
			}
			if ev, found := oneProducer(seen, interval); found {
				return ev, nil
			}
			several = len(seen)
		}
		if n := len(starts); several > 1 {
			e.Waiting("two visits of the same producer on %s, to which %d publish", topic, several)
		} else if n >= 2 {
			apart := starts[n-1].Sub(starts[n-2])
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
			return "", noCadence(ctx, e, v, starts, several, err)
		}
	}
}

// startsOf finds the starts of each publisher's visits among the times, in
// milliseconds, of its records after from.
func startsOf(times map[int64]map[int64]bool, from time.Time, gap time.Duration) map[int64][]time.Time {
	out := map[int64][]time.Time{}
	for producer, of := range times {
		out[producer] = nil // it is there, though it may never pause
		last := from
		for _, ms := range slices.Sorted(maps.Keys(of)) {
			at := time.UnixMilli(ms)
			if at.Sub(last) > gap {
				out[producer] = append(out[producer], at)
			}
			last = at
		}
	}
	return out
}

// oneProducer looks for a publisher whose last two visits are an interval apart,
// where there are several of them.
func oneProducer(starts map[int64][]time.Time, interval time.Duration) (Evidence, bool) {
	if len(starts) < 2 {
		return "", false
	}
	for _, producer := range slices.Sorted(maps.Keys(starts)) {
		of := starts[producer]
		if n := len(of); n >= 2 && producer >= 0 {
			apart := of[n-1].Sub(of[n-2])
			if off := (apart - interval).Abs(); off <= cadenceTolerance {
				return evidence("visits of producer %d at %s and %s, %s apart (interval %s, %s off); of %d others that publish to the topic nothing is asked",
					producer, clock(of[n-2]), clock(of[n-1]), round(apart), interval, round(off), len(starts)-1), true
			}
		}
	}
	return "", false
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
func noCadence(ctx context.Context, e *Env, v visits, starts []time.Time, producers int, cause error) error {
	f := &Failure{
		Expected: fmt.Sprintf("a visit every %s on %s", v.interval, v.topic),
		Next:     "alertlab status", Err: cause,
	}
	if producers > 1 {
		f.Seen = fmt.Sprintf("records of %d producers, and of none two visits that are %s apart", producers, v.interval)
		f.Next = "alertlab logs simulator"
		return f
	}
	if n := len(starts); n > 0 {
		f.Seen = fmt.Sprintf("no visit after that of %s", clock(starts[n-1]))
		return f
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cleanupTime())
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
