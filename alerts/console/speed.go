package console

import "time"

// Look is what was seen of topics and groups at a time.
type Look struct {
	At     time.Time
	Topics []Topic
	Groups []Group
}

// TopicSpeed is how fast a topic moves, in records a second. A value is nil when the
// looks do not tell.
type TopicSpeed struct {
	In  *float64 `json:"in"`  // records that were appended
	Out *float64 `json:"out"` // records that groups committed, of all groups together
}

// GroupSpeed is how fast a group moves. A value is nil when the looks do not tell.
type GroupSpeed struct {
	Reads *float64 `json:"reads"` // records a second that it committed
	// CatchUp is the time, in seconds, after which nothing would be left to read if
	// everything went on as it did between the looks: 0 with no lag; nil also when
	// the lag does not shrink.
	CatchUp *float64 `json:"catchUp"`
}

// Speeds compares two looks. Topics and groups that are in the later one only have no
// speed, nor has anything when no time passed between them.
func Speeds(before, after Look) (map[string]TopicSpeed, map[string]GroupSpeed) {
	topics, groups := map[string]TopicSpeed{}, map[string]GroupSpeed{}
	seconds := after.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return topics, groups
	}
	type place struct {
		name      string
		partition int32
	}
	ends := map[place]int64{}
	for _, t := range before.Topics {
		for _, p := range t.Partitions {
			if p.Latest != nil {
				ends[place{t.Name, p.ID}] = *p.Latest
			}
		}
	}
	for _, t := range after.Topics {
		var came int64
		known := false
		for _, p := range t.Partitions {
			// A topic that was made anew begins at 0 again.
			if was, ok := ends[place{t.Name, p.ID}]; ok && p.Latest != nil && *p.Latest >= was {
				came += *p.Latest - was
				known = true
			}
		}
		if known {
			topics[t.Name] = TopicSpeed{In: rate(came, seconds)}
		}
	}
	out := map[string]int64{}
	told := map[string]bool{}
	for _, g := range after.Groups {
		var was *Group
		for i := range before.Groups {
			if before.Groups[i].Name == g.Name {
				was = &before.Groups[i]
			}
		}
		if was == nil {
			continue
		}
		committed := map[place]int64{}
		for _, p := range was.Partitions {
			if p.Committed != nil {
				committed[place{p.Topic, p.Partition}] = *p.Committed
			}
		}
		var read int64
		known := false
		for _, p := range g.Partitions {
			at, ok := committed[place{p.Topic, p.Partition}]
			if !ok || p.Committed == nil || *p.Committed < at { // reset to an earlier offset
				continue
			}
			known = true
			read += *p.Committed - at
			out[p.Topic] += *p.Committed - at
			told[p.Topic] = true
		}
		var speed GroupSpeed
		if known {
			speed.Reads = rate(read, seconds)
		}
		if g.Lag != nil && was.Lag != nil {
			switch shrank := float64(*was.Lag-*g.Lag) / seconds; {
			case *g.Lag == 0:
				speed.CatchUp = new(float64)
			case shrank > 0:
				left := float64(*g.Lag) / shrank
				speed.CatchUp = &left
			}
		}
		groups[g.Name] = speed
	}
	for name := range told {
		speed := topics[name]
		speed.Out = rate(out[name], seconds)
		topics[name] = speed
	}
	return topics, groups
}

func rate(n int64, seconds float64) *float64 {
	r := float64(n) / seconds
	return &r
}
