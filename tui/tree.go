package tui

import (
	"slices"
	"time"
)

// tree puts steps that need another one behind it, a branch deeper, and keeps their
// order otherwise. Of several that a step needs it stands behind the last one of the
// plan.
func tree(steps []step, g glyphs) []step {
	at := map[string]int{}
	for i, s := range steps {
		at[s.key] = i
	}
	const root = -1
	below := map[int][]int{}
	for i, s := range steps {
		parent := root
		for _, need := range s.needs {
			if j, ok := at[need]; ok && j < i {
				parent = max(parent, j)
			}
		}
		below[parent] = append(below[parent], i)
	}
	out := make([]step, 0, len(steps))
	var walk func(parent int, before string)
	walk = func(parent int, before string) {
		for n, i := range below[parent] {
			s, next := steps[i], before
			s.branch = before
			if parent != root {
				if n == len(below[parent])-1 {
					s.branch, next = before+g.last, before+"  "
				} else {
					s.branch, next = before+g.tee, before+g.through
				}
			}
			out = append(out, s)
			walk(i, next)
		}
	}
	walk(root, "")
	return out
}

// expected is how long the walk takes if each step takes as long as it did last: the
// longest way through the steps. It is not known when nothing is.
func expected(steps []step, last map[string]time.Duration) (time.Duration, bool) {
	if len(last) == 0 || !slices.ContainsFunc(steps, func(s step) bool { return last[s.key] > 0 }) {
		return 0, false
	}
	byKey := map[string]step{}
	for _, s := range steps {
		byKey[s.key] = s
	}
	ends := map[string]time.Duration{}
	var end func(key string) time.Duration
	end = func(key string) time.Duration {
		if t, ok := ends[key]; ok {
			return t
		}
		ends[key] = 0 // a circle ends here; a plan has none
		var begin time.Duration
		for _, need := range byKey[key].needs {
			if _, ok := byKey[need]; ok {
				begin = max(begin, end(need))
			}
		}
		ends[key] = begin + last[key]
		return ends[key]
	}
	var all time.Duration
	for _, s := range steps {
		all = max(all, end(s.key))
	}
	return all, true
}

// weighed is the part of the work that is done, from 0 to 1, each step weighed by the
// time that it took last. One that was never done weighs as much as the others do on
// average.
func weighed(steps []step, last map[string]time.Duration, now time.Time) float64 {
	var known time.Duration
	n := 0
	for _, s := range steps {
		if d := last[s.key]; d > 0 {
			known += d
			n++
		}
	}
	usual := time.Second
	if n > 0 {
		usual = known / time.Duration(n)
	}
	var all, ready float64
	for _, s := range steps {
		weight := float64(usual)
		if d := last[s.key]; d > 0 {
			weight = float64(d)
		}
		all += weight
		switch s.state {
		case done, failed, skipped:
			ready += weight
		case running:
			// However long it takes, a step that runs is not done.
			ready += min(float64(now.Sub(s.began)), 0.95*weight)
		}
	}
	if all == 0 {
		return 0
	}
	return ready / all
}
