package record

import (
	"math"
	"time"
)

// Head is what a list shows of an alert. Numbers that are not known are NaN.
type Head struct {
	Topic     string
	Partition int32
	Offset    int64
	Published time.Time
	Bytes     int // of the message, wire header included
	// SchemaID is what the wire header names, -1 when there is no such header.
	SchemaID int
	Version  string // of the alert schema, such as "11.0"
	ID       int64
	Visit    int64   // 0 when it is not known
	MJD      float64 // mid-exposure time, days TAI
	Band     string
	Flux     float64 // difference flux of a point source, nJy
	FluxErr  float64 // nJy
	SNR      float64
	RA, Dec  float64 // degrees
	// Problem says why the message could not be read as an alert; then nothing
	// that an alert says is known.
	Problem string
}

// Magnitude is the AB magnitude of a flux in nJy, NaN where that is not positive:
// zero is at 3631 Jy (Oke and Gunn 1983).
func Magnitude(flux float64) float64 {
	if !(flux > 0) {
		return math.NaN()
	}
	return -2.5 * math.Log10(flux/3631e9)
}

// mjdUnix is the modified Julian date of 1970-01-01.
const mjdUnix = 40587

// taiMinusUTC is what TAI is ahead of UTC since 2017-01-01 (IERS Bulletin C 52);
// before, it was less by the leap seconds between.
const taiMinusUTC = 37 * time.Second

// Time gives the time of a modified Julian date in TAI as UTC, to a microsecond,
// for dates since 2017; zero for what is no date.
func Time(mjd float64) time.Time {
	if !(mjd > 0 && mjd < 1e6) {
		return time.Time{}
	}
	days, part := math.Modf(mjd)
	micros := math.Round(part * 86400e6)
	return time.Unix(int64(days-mjdUnix)*86400, 0).Add(time.Duration(micros) * time.Microsecond).Add(-taiMinusUTC).UTC()
}

// View is what a peek has seen up to a moment.
type View struct {
	Number uint64 // grows from view to view
	// Heads are the newest alerts, the newest first.
	Heads []Head
	// Seen and Bytes count all messages since the beginning, Passed those that were
	// counted only.
	Seen, Bytes, Passed int64
	Rate, ByteRate      float64 // a second, over the last seconds
	// Problem says why nothing comes although it is tried again.
	Problem string
	// Ended says that nothing will come any more, and Err why.
	Ended bool
	Err   error
}
