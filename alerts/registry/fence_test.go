package registry

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFence(t *testing.T) {
	t.Parallel()
	var f fence
	for offset, step := range []struct {
		header string // "-" for none
		key    string
		counts bool
	}{
		{"-", "a", true},
		{"3 x", "a", true}, // claims may have been compacted away
		{"3 x", "a", true},
		{"-", "a", true},    // Confluent's registry
		{"3 y", "a", false}, // of two claims the first counts
		{"4 y", "b", true},
		{"3 x", "b", false}, // frozen
		{"3 x", "c", false},
		{"4 y", "b", true}, // mended
		{"what", "d", false},
		{"5 x", "c", true},
		{"4 y", "e", false},
	} {
		record := &kgo.Record{Key: []byte(step.key), Offset: int64(offset)}
		if step.header != "-" {
			record.Headers = []kgo.RecordHeader{{Key: "other"}, {Key: reignHeader, Value: []byte(step.header)}}
		}
		if got := f.admit(record); got != step.counts {
			t.Errorf("record %d of reign %q: counts %t, want %t", offset, step.header, got, step.counts)
		}
		if f.late[int64(offset)] == step.counts {
			t.Errorf("record %d is late: %t", offset, f.late[int64(offset)])
		}
	}
	var left []string
	for key := range f.spoilt {
		left = append(left, key)
	}
	// "a" was spoilt by the second claim and never written again.
	if got := len(left); got != 3 || !f.spoilt["a"] || !f.spoilt["d"] || !f.spoilt["e"] {
		t.Errorf("spoilt keys %v", left)
	}
}

// Numbers of reigns grow with the clock, and also while it stands still or goes back.
func TestFollowingReigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		last uint64
		now  time.Time
		want uint64
	}{
		{0, time.UnixMilli(1_800_000_000_000), 1_800_000_000_000},
		{3, time.UnixMilli(1_800_000_000_000), 1_800_000_000_000},
		{1_800_000_000_000, time.UnixMilli(1_800_000_000_000), 1_800_000_000_001},
		{1_800_000_000_001, time.UnixMilli(1_700_000_000_000), 1_800_000_000_002},
		{0, time.Unix(-5, 0), 1},
	} {
		f := fence{current: reign{number: c.last, writer: "before"}}
		if got := f.following(c.now, "w"); got != (reign{c.want, "w"}) {
			t.Errorf("after %d at %v: %v, want %d", c.last, c.now, got, c.want)
		}
	}
}

func FuzzReign(f *testing.F) {
	for _, s := range []string{"1 a", "0 a", "01 a", "+1 a", "1", "1 ", "9223372036854775807 a b", "9223372036854775808 a", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReign(text)
		if err != nil {
			return
		}
		if r.String() != text || r.number == 0 || r.writer == "" {
			t.Errorf("%q was read as %q", text, r)
		}
	})
}
