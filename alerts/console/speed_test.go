package console

import (
	"fmt"
	"testing"
	"time"
)

func TestSpeeds(t *testing.T) {
	t.Parallel()
	n := func(v int64) *int64 { return &v }
	topic := func(ends ...int64) Topic {
		out := Topic{Name: "a"}
		for i, e := range ends {
			out.Partitions = append(out.Partitions, Partition{ID: int32(i), Latest: n(e)})
		}
		return out
	}
	group := func(lag int64, committed ...int64) Group {
		out := Group{Name: "g", Lag: n(lag)}
		for i, c := range committed {
			out.Partitions = append(out.Partitions, GroupOffsets{Topic: "a", Partition: int32(i), Committed: n(c)})
		}
		return out
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	show := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%g", *v)
	}
	for name, c := range map[string]struct {
		before, after []any
		seconds       float64
		want          string // in, out; reads, catch-up
	}{
		"steady":           {[]any{topic(10, 20), group(10, 5, 15)}, []any{topic(30, 40), group(10, 25, 35)}, 10, "4 4 4 -"},
		"catching up":      {[]any{topic(100), group(100, 0)}, []any{topic(100), group(60, 40)}, 4, "0 10 10 6"},
		"caught up":        {[]any{topic(100), group(5, 95)}, []any{topic(100), group(0, 100)}, 1, "0 5 5 0"},
		"falls behind":     {[]any{topic(0), group(0, 0)}, []any{topic(50), group(50, 0)}, 5, "10 0 0 -"},
		"made anew":        {[]any{topic(100), group(0, 100)}, []any{topic(3), group(3, 0)}, 1, "- - - -"},
		"no time":          {[]any{topic(1), group(0, 1)}, []any{topic(2), group(1, 1)}, 0, "- - - -"},
		"group is new":     {[]any{topic(1)}, []any{topic(2), group(1, 1)}, 1, "1 - - -"},
		"another added":    {[]any{topic(1)}, []any{topic(2, 7)}, 1, "1 - - -"},
		"nothing is known": {nil, []any{topic(2), group(1, 1)}, 1, "- - - -"},
	} {
		looks := [2]Look{{At: at}, {At: at.Add(time.Duration(c.seconds * float64(time.Second)))}}
		for i, things := range [2][]any{c.before, c.after} {
			for _, thing := range things {
				switch thing := thing.(type) {
				case Topic:
					looks[i].Topics = append(looks[i].Topics, thing)
				case Group:
					looks[i].Groups = append(looks[i].Groups, thing)
				}
			}
		}
		topics, groups := Speeds(looks[0], looks[1])
		got := fmt.Sprintf("%s %s %s %s", show(topics["a"].In), show(topics["a"].Out), show(groups["g"].Reads), show(groups["g"].CatchUp))
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
