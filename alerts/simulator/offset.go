package simulator

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// OffsetHeader is the one header of a reservoir record (rubin-alert-sim
// 1.2.1). Its value is text: seconds after the first alert of the load, as
// Python prints a float; negative for an alert that is earlier than the first.
const OffsetHeader = "alertsim-time-offset"

const (
	secondsPerDay = 86400
	// A time.Duration holds 292 years; an offset beyond that is a broken
	// midpoint, not a time.
	maxMicros = math.MaxInt64 / int64(time.Microsecond)
)

// offsetMicros is the time between two midpoints (MJD, days TAI) in whole
// microseconds. As in the reference, each midpoint is rounded to a time of its own
// before they are subtracted (astropy's to_datetime, which is ERFA's d2dtf with six
// decimals, rounds half away from zero); rounding their difference would be off by a
// microsecond now and then.
func offsetMicros(first, midpoint float64) (int64, error) {
	from, since := timeOfDay(first)
	to, until := timeOfDay(midpoint)
	us := (to-from)*secondsPerDay*1e6 + until - since
	if math.IsNaN(us) || math.Abs(us) > float64(maxMicros) {
		return 0, fmt.Errorf("midpoint %g days is no time near the first alert's %g", midpoint, first)
	}
	return int64(us), nil
}

// timeOfDay splits a time into its day and whole microseconds since its beginning.
func timeOfDay(mjd float64) (day, micros float64) {
	day = math.Floor(mjd)
	return day, math.Round(1e6 * (secondsPerDay * (mjd - day)))
}

// formatMicros is the header value for an offset in microseconds.
func formatMicros(us int64) string { return FormatSeconds(float64(us) / 1e6) }

// FormatSeconds prints a float as Python's repr does: the shortest digits that
// read back as the same number, always with a point or an exponent; an
// exponent below 0.0001 and from 1e16 on, of at least two digits.
func FormatSeconds(s float64) string {
	switch {
	case math.IsNaN(s):
		return "nan"
	case math.IsInf(s, 1):
		return "inf"
	case math.IsInf(s, -1):
		return "-inf"
	}
	scientific := strconv.FormatFloat(s, 'e', -1, 64)
	// FormatFloat always writes an exponent here, so both lookups succeed.
	exponent, _ := strconv.Atoi(scientific[strings.IndexByte(scientific, 'e')+1:])
	if exponent < -4 || exponent >= 16 {
		return scientific
	}
	text := strconv.FormatFloat(s, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// ParseOffset reads a header value, to the microsecond.
func ParseOffset(value []byte) (time.Duration, error) {
	text := string(value)
	// ParseFloat also takes hexadecimal, underscores, inf and nan, none of
	// which a creator writes.
	if text == "" || strings.Trim(text, "+-.0123456789eE") != "" {
		return 0, fmt.Errorf("%.40q is not a decimal number of seconds", text)
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%.40q is not a decimal number of seconds", text)
	}
	us := math.RoundToEven(s * 1e6)
	if math.Abs(us) > float64(maxMicros) {
		return 0, fmt.Errorf("%.40q seconds is more than this player can wait", text)
	}
	return time.Duration(us) * time.Microsecond, nil
}
