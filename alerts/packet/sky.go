package packet

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Random streams of one visit, apart from its alerts, which use their index.
const (
	streamVisit = 1 << 62
	streamNoise = streamVisit + 1
)

// mix makes one well-spread number of two (the finalizer of SplitMix64).
func mix(a, b uint64) uint64 {
	z := a + 0x9e3779b97f4a7c15*(b+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Identifiers. Sources of the visit and the objects that they are of are
// numbered: a top bit for the kind, the visit shifted by the seed, the alert.
// So they are unique in a visit and across the visits of a seed, and across
// seeds unless two seeds' shifts fall closer together than they have visits.
// Earlier sources and all else get hashes below those.
const (
	idIndexBits = 20
	idVisitBits = 42

	idKindSource = 1 << 62
	idKindObject = 1 << 61
	idHashMask   = 1<<60 - 1
)

func sourceID(cfg VisitConfig, i int) int64 {
	visit := (uint64(cfg.Visit) + mix(cfg.Seed, 0)) & (1<<idVisitBits - 1)
	return int64(idKindSource | visit<<idIndexBits | uint64(i))
}

func objectID(cfg VisitConfig, i int) int64 {
	return int64(uint64(sourceID(cfg, i))&(idKindObject-1) | idKindObject)
}

// LSST camera and site.
const (
	pixelArcsec    = 0.2
	rafts          = 5            // a square of 5 x 5 without its corners
	raftSide       = 3            // detectors
	detectorPitch  = 3.52 / 15    // degrees, chip and gap
	chipWidth      = 4072.0       // pixels
	chipHeight     = 4000.0       // pixels
	shutterSeconds = 0.06         // from one column of detectors to the next
	secondsPerDay  = 86400.0      //
	unixEpochMjd   = 40587        // 1970-01-01
	nightShift     = 0.5          // a night's date is that of its evening in Chile, UTC-12 by convention
	nightSpread    = 0.1          // days
	zeroPoint      = 31.4         // AB magnitude of 1 nJy
	alertDelay     = 60.0 / 86400 // from exposure to processing
)

var bands = [...]string{"u", "g", "r", "i", "z", "y"}

// fiveSigma is the usual depth of one visit per band, AB magnitude.
var fiveSigma = [len(bands)]float64{23.9, 25.0, 24.7, 24.0, 23.3, 22.1}

func nanojansky(mag float64) float64 { return math.Pow(10, (zeroPoint-mag)/2.5) }

// field is the pointing.
type field struct{ ra, dec float64 } // degrees

func newField(rng *rand.Rand) field {
	return field{ra: 360 * rng.Float64(), dec: -70 + 72*rng.Float64()}
}

// spot is a place on the focal plane and on the sky.
type spot struct {
	ra, dec  float64 // degrees
	detector int     // 0 to 188
	column   int     // of detectors, 0 to 14, in the shutter's direction
	x, y     float64 // pixels
}

// place finds a spot on the detectors, any one of the 189 as likely as another. The
// gaps between them are taken as part of them. sweep, from 0 to 1, says where in the
// shutter's way over the field: equal shares of it hold equal numbers of detectors, so
// that spots of evenly spaced sweeps cover the field evenly.
func (f field) place(rng *rand.Rand, sweep float64) spot {
	// The columns of the outer rafts are short: their corners hold no detectors.
	const (
		side  = rafts * raftSide
		short = side - 2*raftSide         // detectors in a short column
		outer = float64(raftSide * short) // in the short columns of one side
		inner = float64((side - 2*raftSide) * side)
	)
	n := min(max(sweep, 0), 1) * (2*outer + inner)
	var u float64 // columns from the left edge
	low, high := 0.0, float64(side)
	switch {
	case n < outer:
		u, low, high = n/short, raftSide, side-raftSide
	case n < outer+inner:
		u = raftSide + (n-outer)/side
	default:
		u, low, high = math.Min(side-raftSide+(n-outer-inner)/short, math.Nextafter(side, 0)), raftSide, side-raftSide
	}
	s, ok := f.onPlane(u, low+(high-low)*rng.Float64())
	if !ok {
		panic("packet: a spot off the focal plane") // the sums above are wrong
	}
	return s
}

// firstColumn is where the shutter opens first.
func (f field) firstColumn(rng *rand.Rand) spot {
	s, _ := f.onPlane(rng.Float64(), rafts*raftSide/2.0+rng.Float64()-0.5)
	return s
}

// at maps tangent-plane coordinates in degrees, north up, to a spot; it is
// false where the raft corners have no science detectors.
func (f field) at(xi, eta float64) (spot, bool) {
	const middle = rafts * raftSide / 2.0
	return f.onPlane(xi/detectorPitch+middle, eta/detectorPitch+middle)
}

// onPlane is at for coordinates in detectors from the lower left corner.
func (f field) onPlane(u, v float64) (spot, bool) {
	const side = rafts * raftSide
	xi, eta := (u-side/2.0)*detectorPitch, (v-side/2.0)*detectorPitch
	col, row := int(math.Floor(u)), int(math.Floor(v))
	if col < 0 || row < 0 || col >= side || row >= side {
		return spot{}, false
	}
	raftCol, raftRow := col/raftSide, row/raftSide
	raft := raftRow*rafts + raftCol
	for n, corner := range [...]int{0, rafts - 1, rafts * (rafts - 1), rafts*rafts - 1} {
		if raft == corner {
			return spot{}, false
		}
		if raft < corner {
			raft -= n // so many corners come before it
			break
		}
	}
	s := spot{
		detector: raft*raftSide*raftSide + row%raftSide*raftSide + col%raftSide,
		column:   col,
		x:        (u - float64(col)) * chipWidth,
		y:        (v - float64(row)) * chipHeight,
	}
	// Gnomonic projection, inverted. East is to the left, so xi grows west.
	x, y := radians(-xi), radians(eta)
	sin, cos := math.Sincos(radians(f.dec))
	s.ra = wrapDegrees(f.ra + degrees(math.Atan2(x, cos-y*sin)))
	s.dec = degrees(math.Atan2(sin+y*cos, math.Hypot(x, cos-y*sin)))
	return s, true
}

func radians(d float64) float64     { return d * math.Pi / 180 }
func degrees(r float64) float64     { return r * 180 / math.Pi }
func wrapDegrees(d float64) float64 { return d - 360*math.Floor(d/360) }

// epoch is one visit to the field.
type epoch struct {
	mjd    float64 // TAI
	visit  int64
	band   int
	seeing float64 // full width at half maximum, arcsec
	sigma  float64 // error of a point source's flux, nJy
}

func newEpoch(rng *rand.Rand, mjd float64) epoch {
	e := epoch{mjd: mjd, band: rng.IntN(len(bands)), seeing: 0.6 + 0.25*math.Abs(rng.NormFloat64())}
	e.sigma = nanojansky(fiveSigma[e.band]+0.15*rng.NormFloat64()) / 5
	return e
}

func currentEpoch(rng *rand.Rand, cfg VisitConfig) epoch {
	e := newEpoch(rng, cfg.MidpointMjdTai)
	e.visit = cfg.Visit
	return e
}

// pastEpochs makes n earlier visits, newest first, gap days apart in the
// mean. With a gap of a night or more they are at about the same hour.
func pastEpochs(rng *rand.Rand, now epoch, n int, gap float64) []epoch {
	times := make([]float64, n)
	for k := range times {
		back := gap * (float64(k+1) + 0.6*(rng.Float64()-0.5))
		if gap >= 1 {
			back = math.Max(1, math.Round(back)) + nightSpread*(rng.Float64()-0.5)
		}
		times[k] = now.mjd - back
	}
	slices.SortFunc(times, func(a, b float64) int { return cmp.Compare(b, a) })
	out := make([]epoch, n)
	for k, mjd := range times {
		out[k] = newEpoch(rng, mjd)
		out[k].visit = visitNumber(mjd, n-k)
	}
	return out
}

// visitNumber is in the style of the observatory: YYYYMMDD of the night, then
// five digits of a sequence.
func visitNumber(mjd float64, seq int) int64 {
	y, m, d := mjdTime(mjd - nightShift).Date()
	return int64(y*10000+int(m)*100+d)*100_000 + int64(seq%100_000)
}

func mjdTime(mjd float64) time.Time {
	days, part := math.Modf(mjd)
	return time.Unix((int64(days)-unixEpochMjd)*secondsPerDay, int64(part*secondsPerDay*1e9)).UTC()
}

// ecliptic and galactic turn a position in degrees.
func ecliptic(ra, dec float64) (lambda, beta float64) {
	const obliquity = 23.4392911
	sinE, cosE := math.Sincos(radians(obliquity))
	sinR, cosR := math.Sincos(radians(ra))
	sinD, cosD := math.Sincos(radians(dec))
	beta = math.Asin(sinD*cosE - cosD*sinE*sinR)
	lambda = math.Atan2(sinR*cosD*cosE+sinD*sinE, cosR*cosD)
	return wrapDegrees(degrees(lambda)), degrees(beta)
}

func galactic(ra, dec float64) (l, b float64) {
	const poleRa, poleDec, node = 192.85948, 27.12825, 122.93192 // ICRS
	sinP, cosP := math.Sincos(radians(poleDec))
	sinD, cosD := math.Sincos(radians(dec))
	sinR, cosR := math.Sincos(radians(ra - poleRa))
	b = math.Asin(sinD*sinP + cosD*cosP*cosR)
	l = radians(node) - math.Atan2(cosD*sinR, sinD*cosP-cosD*sinP*cosR)
	return wrapDegrees(degrees(l)), degrees(b)
}
