package smoke

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// timeline answers as a topic with records at these milliseconds would.
type timeline struct {
	at    []int64
	asked int
}

func (l *timeline) first(_ context.Context, t time.Time) (time.Time, error) {
	l.asked++
	i, _ := slices.BinarySearch(l.at, t.UnixMilli())
	if i == len(l.at) {
		return time.Time{}, nil
	}
	return time.UnixMilli(l.at[i]), nil
}

// topic is a timeline as a topic of one partition, to which something may be
// appended between two questions.
type topic struct {
	timeline
	afterNewest func(*topic)
}

func (l *topic) after(ctx context.Context, t time.Time) (map[int32]int64, time.Time, error) {
	first, err := l.first(ctx, t)
	i, _ := slices.BinarySearch(l.at, t.UnixMilli())
	return map[int32]int64{0: int64(i)}, first, err
}

func (l *topic) newestTime(context.Context) (newest time.Time, err error) {
	if n := len(l.at); n > 0 {
		newest = time.UnixMilli(l.at[n-1])
	}
	if l.afterNewest != nil {
		l.afterNewest(l)
	}
	return newest, nil
}

func TestLastCompleteVisit(t *testing.T) {
	t.Parallel()
	const interval = 40_000
	now := time.Now().UnixMilli()
	visit := func(ago int64) []int64 { return burst(now-ago, now-ago+999, 100) } // 10 records
	for name, c := range map[string]struct {
		records [][]int64
		grow    []int64 // comes in between
		from    int64
		to      int64
		start   int64
	}{
		"over":            {records: [][]int64{visit(90_000), visit(50_000)}, from: 10, to: 20, start: 50_000},
		"the only one":    {records: [][]int64{visit(20_000)}, from: 0, to: 10, start: 20_000},
		"the next one on": {records: [][]int64{visit(41_000), visit(1_000)}, from: 0, to: 10, start: 41_000},
		"paused long ago": {records: [][]int64{visit(3_640_000), visit(3_600_000)}, from: 10, to: 20, start: 3_600_000},
		"the next one begins meanwhile": {
			records: [][]int64{visit(80_000), visit(40_000)}, grow: []int64{now, now + 1}, from: 10, to: 20, start: 40_000,
		},
		"resumed meanwhile": {
			records: [][]int64{visit(3_600_000)}, grow: []int64{now}, from: 0, to: 10, start: 3_600_000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &topic{timeline: timeline{at: slices.Concat(c.records...)}}
			l.afterNewest = func(l *topic) { l.at, c.grow = append(l.at, c.grow...), nil }
			v := visits{log: l, topic: stream, interval: interval * time.Millisecond}
			got, err := v.lastComplete(testContext(t), &Env{waiting: func(what string) { t.Errorf("waits for %s", what) }})
			if err != nil {
				t.Fatal(err)
			}
			want := []span{{0, c.from, c.to}}
			if !slices.Equal(got.spans, want) || got.start.UnixMilli() != now-c.start {
				t.Errorf("visit of %s with %v, want that of %s with %v", clock(got.start), got.spans, clock(time.UnixMilli(now-c.start)), want)
			}
		})
	}
}

func burst(from, to, step int64) (out []int64) {
	for ; from <= to; from += step {
		out = append(out, from)
	}
	return out
}

func TestVisitStarts(t *testing.T) {
	t.Parallel()
	const gap = 1000
	for name, c := range map[string]struct {
		records []int64
		from    int64
		want    []int64
	}{
		"nothing":                     {nil, 0, nil},
		"one record":                  {[]int64{5000}, 0, []int64{5000}},
		"two bursts":                  {append(burst(1000, 1500, 7), burst(5000, 5600, 7)...), 0, []int64{1000, 5000}},
		"window begins in a burst":    {append(burst(1000, 3000, 7), burst(5000, 5600, 7)...), 2000, []int64{5000}},
		"window begins before pause":  {append(burst(1000, 1500, 7), burst(5000, 5600, 7)...), 1600, []int64{5000}},
		"no pause":                    {burst(0, 20000, 500), 3000, nil},
		"pause a little short":        {[]int64{1000, 1999, 2998}, 0, []int64{1000}},
		"pause just long enough":      {[]int64{1000, 2001, 3002}, 0, []int64{1000, 2001, 3002}},
		"a start within the window's": {[]int64{1000, 1500, 2400, 3401}, 1200, []int64{3401}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &timeline{at: c.records}
			starts, err := visitStarts(context.Background(), l.first, time.UnixMilli(c.from), gap*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if got := millis(starts); !slices.Equal(got, c.want) {
				t.Errorf("starts %v, want %v", got, c.want)
			}
		})
	}
}

func millis(times []time.Time) (out []int64) {
	for _, t := range times {
		out = append(out, t.UnixMilli())
	}
	return out
}

// Whatever the records, the leaps find the same starts as looking at all of
// them does, and ask no more than the window's length in gaps allows.
func TestVisitStartsAgainstEveryRecord(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	const gap, window = 1000, 10_000
	for range 500 {
		l := &timeline{}
		for at := int64(rng.IntN(3000)); at < 15_000; at += 1 + int64(rng.IntN(1+rng.IntN(2500))) {
			l.at = append(l.at, at)
		}
		from := int64(15_000 - window)
		var want []int64
		for i, at := range l.at {
			if at >= from && (i == 0 || at-l.at[i-1] > gap) {
				want = append(want, at)
			}
		}
		starts, err := visitStarts(context.Background(), l.first, time.UnixMilli(from), gap*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if got := millis(starts); !slices.Equal(got, want) {
			t.Fatalf("records %v: starts %v, want %v", l.at, got, want)
		}
		if l.asked > 2*(window/gap+2) {
			t.Fatalf("%d questions for a window of %d gaps", l.asked, window/gap)
		}
	}
}

func TestPickIsAChoiceOfDifferentPlaces(t *testing.T) {
	t.Parallel()
	spans := []span{{0, 5, 10}, {2, 0, 1}, {3, 100, 1000}}
	total := 5 + 1 + 900
	for _, n := range []int{0, 1, 100, total, total + 50} {
		rng := func() *rand.Rand { return rand.New(rand.NewPCG(7, 7)) }
		got := pick(rng(), spans, n)
		if len(got) != min(n, total) {
			t.Errorf("%d picked of %d, want %d", len(got), total, min(n, total))
		}
		if again := pick(rng(), spans, n); !slices.Equal(got, again) {
			t.Errorf("the same seed picked otherwise")
		}
		seen := map[place]bool{}
		for _, p := range got {
			in := slices.ContainsFunc(spans, func(s span) bool { return s.partition == p.partition && s.from <= p.offset && p.offset < s.to })
			if !in || seen[p] {
				t.Errorf("%v is not in a span or picked twice", p)
			}
			seen[p] = true
		}
	}
	if got := pick(rand.New(rand.NewPCG(1, 1)), nil, 3); len(got) != 0 {
		t.Errorf("picked %v of nothing", got)
	}
}

func TestOneProducer(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Second
	from := time.UnixMilli(100_000)
	// burst gives five milliseconds with a record from a second on.
	burst := func(seconds ...float64) map[int64]bool {
		out := map[int64]bool{}
		for _, s := range seconds {
			for ms := range int64(5) {
				out[100_000+int64(s*1000)+ms*100] = true
			}
		}
		return out
	}
	fluent := map[int64]bool{}
	for ms := int64(0); ms < 30_000; ms += 100 {
		fluent[100_000+ms] = true
	}
	for name, c := range map[string]struct {
		times map[int64]map[int64]bool
		want  string // of the evidence; "" when nothing is to be found
	}{
		"one alone is judged by all its records":  {map[int64]map[int64]bool{7: burst(3, 13)}, ""},
		"two":                                     {map[int64]map[int64]bool{7: burst(3, 13), 8: burst(9)}, "producer 7 "},
		"beside one without a pause":              {map[int64]map[int64]bool{7: fluent, 8: burst(3, 13)}, "producer 8 "},
		"the end of an earlier visit is no start": {map[int64]map[int64]bool{7: burst(0, 5), 8: burst(4, 10, 20.5)}, "producer 8 "},
		"nobody keeps the interval":               {map[int64]map[int64]bool{7: burst(3, 15), 8: burst(4, 19)}, ""},
		"without ids":                             {map[int64]map[int64]bool{-1: burst(3, 13), 8: burst(4)}, ""},
	} {
		ev, ok := oneProducer(startsOf(c.times, from, 2500*time.Millisecond), interval)
		if ok != (c.want != "") || !strings.Contains(string(ev), c.want) {
			t.Errorf("%s: %q, %t", name, ev, ok)
		}
	}
}
