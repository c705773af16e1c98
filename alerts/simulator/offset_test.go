package simulator

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestFormatSecondsPrintsAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value float64
		want  string
	}{
		{0, "0.0"},
		{math.Copysign(0, -1), "-0.0"},
		{1, "1.0"},
		{-1, "-1.0"},
		{37, "37.0"},
		{0.1, "0.1"},
		{0.5, "0.5"},
		{1.5, "1.5"},
		{-0.25, "-0.25"},
		{0.30000000000000004, "0.30000000000000004"},
		{0.3333333333333333, "0.3333333333333333"},
		{100, "100.0"},
		{12345.678901, "12345.678901"},
		{1e-6, "1e-06"},
		{-1e-6, "-1e-06"},
		{2.5e-5, "2.5e-05"},
		{0.00001, "1e-05"},
		{0.000099, "9.9e-05"},
		{0.0001, "0.0001"},
		{0.000123, "0.000123"},
		{0.001, "0.001"},
		{999999.999999, "999999.999999"},
		{123456789012345680, "1.2345678901234568e+17"},
		{1e15, "1000000000000000.0"},
		{9007199254740993, "9007199254740992.0"},
		{9999999999999998, "9999999999999998.0"},
		{1e16, "1e+16"},
		{-1e16, "-1e+16"},
		{1.5e16, "1.5e+16"},
		{1e22, "1e+22"},
		{1e100, "1e+100"},
		{1e-100, "1e-100"},
		{5e-324, "5e-324"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{math.Inf(1), "inf"},
		{math.Inf(-1), "-inf"},
		{math.NaN(), "nan"},
	} {
		if got := FormatSeconds(c.value); got != c.want {
			t.Errorf("FormatSeconds(%g) = %q, want %q", c.value, got, c.want)
		}
	}
}

func TestOffsetIsInMicroseconds(t *testing.T) {
	t.Parallel()
	const first = 60000.25
	for _, c := range []struct {
		midpoint float64
		want     string
	}{
		{first, "0.0"},
		{first + 1.0/86400, "1.0"},
		{first - 1.0/86400, "-1.0"},
		{first + 37.0/86400, "37.0"},
		{first + 1, "86400.0"},
		{first + 30.5/86400, "30.5"},
	} {
		us, err := offsetMicros(first, c.midpoint)
		if err != nil {
			t.Errorf("%v: %v", c.midpoint, err)
			continue
		}
		if got := formatMicros(us); got != c.want {
			t.Errorf("midpoint %v: %s, want %s", c.midpoint, got, c.want)
		}
	}
	// As rubin-alert-sim 1.2.1 wrote them with astropy 8.0.2; the difference itself,
	// rounded, is another microsecond.
	for _, c := range []struct {
		first, midpoint float64
		want            string
	}{
		{59295.331059332646, 59294.34132851475, "-85512.742667"},
		{58376.52016775873, 58376.520437568, "23.311521"},
		{60342.165690561545, 60342.165713519564, "1.983572"},
		{59158.43714532671, 59157.993816215836, "-38303.63518"},
		{59999.99999999999, 60000.0, "1e-06"},
		{60000.25, 60000.25000000001, "1e-06"},
	} {
		if us, err := offsetMicros(c.first, c.midpoint); err != nil || formatMicros(us) != c.want {
			t.Errorf("%v after %v: %s (%v), the reference has %s", c.midpoint, c.first, formatMicros(us), err, c.want)
		}
	}
	for _, midpoint := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e12} {
		if us, err := offsetMicros(first, midpoint); err == nil {
			t.Errorf("midpoint %v was taken as %d µs", midpoint, us)
		}
	}
	if us, err := offsetMicros(0, 1e-6/86400); err != nil || formatMicros(us) != "1e-06" {
		t.Errorf("one microsecond: %d, %v", us, err)
	}
}

func TestParseOffset(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0.0":      0,
		"1.0":      time.Second,
		"-2.5":     -2500 * time.Millisecond,
		"1e-06":    time.Microsecond,
		"9.9e-05":  99 * time.Microsecond,
		"37":       37 * time.Second,
		"1e-400":   0,
		"12.34567": 12345670 * time.Microsecond,
	} {
		if got, err := ParseOffset([]byte(text)); err != nil || got != want {
			t.Errorf("ParseOffset(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "nan", "inf", "-inf", "0x1p-2", "1_0", "1.0s", "1.0.0", "e", "1e400", "1e16", "\x00\x00\x00\x00"} {
		if got, err := ParseOffset([]byte(text)); err == nil {
			t.Errorf("ParseOffset(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzParseOffset(f *testing.F) {
	for _, s := range []string{"0.0", "1e-06", "-37.0", "1e16", "nan", "9223372036.854775"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := ParseOffset(value)
		if err != nil {
			return
		}
		s, err := strconv.ParseFloat(string(value), 64)
		if err != nil && s != 0 {
			t.Fatalf("%q is no number, yet was read as %v", value, d)
		}
		// What a creator would write for this offset must read back the same.
		again, err := ParseOffset([]byte(formatMicros(d.Microseconds())))
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if math.Abs(s) < 1e9 && again != d {
			t.Fatalf("%q was read as %v, then as %v", value, d, again)
		}
	})
}
