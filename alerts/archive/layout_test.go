package archive

import (
	"slices"
	"strconv"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		id   int64
		want string
	}{
		{1231321321, "v2/alerts/123132/1231321321.avro.gz"},
		{281323062375219200, "v2/alerts/281323/281323062375219200.avro.gz"},
		{9223372036854775807, "v2/alerts/922337/9223372036854775807.avro.gz"},
		{123456, "v2/alerts/123456/123456.avro.gz"},
		{12345, "v2/alerts/12345/12345.avro.gz"},
		{0, "v2/alerts/0/0.avro.gz"},
		// Six characters, as the reference takes them, sign included.
		{-1234567, "v2/alerts/-12345/-1234567.avro.gz"},
	} {
		if got := AlertKey(tc.id); got != tc.want {
			t.Errorf("AlertKey(%d) = %s, want %s", tc.id, got, tc.want)
		}
		if got := AlertKeys(tc.id)[0]; got != tc.want {
			t.Errorf("AlertKeys(%d) begins with %s, want %s", tc.id, got, tc.want)
		}
	}
	want := []string{
		"v2/alerts/123456/1234567.avro.gz", "v2/alerts/123456/1234567.avro",
		"v1/alerts/1234567.avro.gz", "v1/alerts/1234567.avro",
	}
	if got := AlertKeys(1234567); !slices.Equal(got, want) {
		t.Errorf("AlertKeys = %q, want %q", got, want)
	}
	if got, want := SchemaKeys(704), []string{"v2/schemas/704.json", "v1/schemas/704.json"}; !slices.Equal(got, want) {
		t.Errorf("SchemaKeys = %q, want %q", got, want)
	}
	if got, want := DeadLetterKey("lsst-alerts-v7.4", 3, 42), "v2/deadletters/lsst-alerts-v7.4/3/42"; got != want {
		t.Errorf("DeadLetterKey = %s, want %s", got, want)
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		id        int64
		canonical bool
		bad       bool
	}{
		"0":                    {0, true, false},
		"1231321321":           {1231321321, true, false},
		"9223372036854775807":  {9223372036854775807, true, false},
		"007":                  {7, false, false},
		"00":                   {0, false, false},
		"":                     {bad: true},
		"9223372036854775808":  {bad: true},
		"-1":                   {bad: true},
		"+1":                   {bad: true},
		"1.5":                  {bad: true},
		"0x10":                 {bad: true},
		"1_000":                {bad: true},
		" 1":                   {bad: true},
		"../../lock":           {bad: true},
		"١٢٣":                  {bad: true},
		"12345678901234567890": {bad: true},
	} {
		id, canonical, err := parseID(text)
		if (err != nil) != want.bad || err == nil && (id != want.id || canonical != want.canonical) {
			t.Errorf("parseID(%q) = %d, %v, %v", text, id, canonical, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"0", "007", "1231321321", "9223372036854775808", "-1", "1/../2", "", "\x00", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, canonical, err := parseID(text)
		if err != nil {
			return
		}
		if id < 0 {
			t.Errorf("%q gives %d", text, id)
		}
		// Whatever leads to a key must be exactly what stands in the key.
		if canonical != (strconv.FormatInt(id, 10) == text) {
			t.Errorf("%q gives %d, canonical %v", text, id, canonical)
		}
	})
}

func TestShardsAreEven(t *testing.T) {
	t.Parallel()
	// Ids of one visit: a common prefix and a running number.
	for _, step := range []int64{1, 1 << 20} {
		counts := make([]int, 32)
		for i := range int64(10_000) {
			counts[shard(281323062375219200+i*step, len(counts))]++
		}
		if low, high := slices.Min(counts), slices.Max(counts); low < 10_000/32/3 || high > 3*10_000/32 {
			t.Errorf("step %d: between %d and %d ids per shard", step, low, high)
		}
	}
}
