package packet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// orbit is a main-belt orbit and the geometry of the day, good to a lab's
// needs: the Earth goes in a circle, and the elements are plausible rather
// than those of the position.
type orbit struct {
	id                       int64
	designation, packed      string
	a, e, incl, node, peri   float64 // au, 1, degrees
	anomaly                  float64 // degrees
	h, g                     float64 // magnitudes
	observations, nights     int
	helio, topo              vector  // au, equatorial
	helioV, topoV            vector  // au/day
	elongation, phase        float64 // degrees
	ephRa, ephDec, magnitude float64
	offRa, offDec            float64 // arcsec, observed less predicted
	first                    float64 // MJD of the first observation
}

type vector [3]float64

func (a vector) dot(b vector) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
func (a vector) norm() float64        { return math.Sqrt(a.dot(a)) }
func (a vector) plus(b vector, k float64) vector {
	return vector{a[0] + k*b[0], a[1] + k*b[1], a[2] + k*b[2]}
}

func (a vector) angle(b vector) float64 {
	return degrees(math.Acos(math.Max(-1, math.Min(1, a.dot(b)/(a.norm()*b.norm())))))
}

func newOrbit(rng *rand.Rand, at spot, mjd, flux float64) orbit {
	o := orbit{
		id:           int64(rng.Uint64()&idHashMask | 1),
		a:            2.1 + 1.2*rng.Float64(),
		e:            0.3 * rng.Float64(),
		incl:         25 * rng.Float64() * rng.Float64(),
		node:         360 * rng.Float64(),
		peri:         360 * rng.Float64(),
		anomaly:      360 * rng.Float64(),
		g:            0.15,
		observations: 20 + rng.IntN(400),
		first:        mjd - 200 - 9000*rng.Float64(),
	}
	o.nights = 2 + o.observations/30
	o.designation, o.packed = designation(rng, mjdTime(o.first).Year())

	const year, obliquity, au = 365.25, 23.4392911, 1.0
	sunLongitude := radians(280.46 + 360/year*(mjd-51544.5))
	sinE, cosE := math.Sincos(radians(obliquity))
	onEcliptic := func(r, longitude float64) vector {
		sin, cos := math.Sincos(longitude)
		return vector{r * cos, r * sin * cosE, r * sin * sinE}
	}
	earth := onEcliptic(-au, sunLongitude)
	speed := 2 * math.Pi / year
	earthV := onEcliptic(-speed, sunLongitude+math.Pi/2)
	sinD, cosD := math.Sincos(radians(at.dec))
	sinR, cosR := math.Sincos(radians(at.ra))
	// Out along the line of sight to the distance from the Sun that the
	// elements give about.
	sight := vector{cosD * cosR, cosD * sinR, sinD}
	r := o.a * (1 - o.e*math.Cos(radians(o.anomaly)))
	b := earth.dot(sight)
	o.topo = vector{}.plus(sight, math.Sqrt(b*b-au*au+r*r)-b)
	o.helio = earth.plus(o.topo, 1)
	// Across the line to the Sun, at the circular speed of that distance.
	across := vector{-o.helio[1], o.helio[0], 0}
	o.helioV = vector{}.plus(across, speed/math.Sqrt(r)/math.Max(across.norm(), 1e-9))
	o.topoV = o.helioV.plus(earthV, -1)
	o.elongation = o.topo.angle(vector{}.plus(earth, -1))
	o.phase = o.helio.angle(o.topo)

	o.magnitude = zeroPoint - 2.5*math.Log10(flux) + 0.3
	o.h = o.magnitude - 5*math.Log10(r*o.topo.norm()) - 0.035*o.phase
	o.offRa, o.offDec = 0.1*rng.NormFloat64(), 0.1*rng.NormFloat64()
	o.ephRa = wrapDegrees(at.ra - o.offRa/3600/cosD)
	o.ephDec = at.dec - o.offDec/3600
	return o
}

// rate is the radial speed of a position, au/day.
func (a vector) rate(v vector) float64 { return a.dot(v) / a.norm() }

// designation makes a provisional designation of that year and its packed
// form.
func designation(rng *rand.Rand, year int) (plain, packed string) {
	const halfMonths, letters = "ABCDEFGHJKLMNOPQRSTUVWXY", "ABCDEFGHJKLMNOPQRSTUVWXYZ"
	return formatDesignation(year, halfMonths[rng.IntN(len(halfMonths))], letters[rng.IntN(len(letters))], 1+rng.IntN(400))
}

// formatDesignation writes a provisional designation as the Minor Planet
// Center does: of the year and half-month, a letter, and how often the letters
// had been used up; packed, with the century and the tens of the last as one
// character each. 1998 SQ108 is J98SA8Q.
func formatDesignation(year int, half, second byte, cycle int) (plain, packed string) {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	plain = fmt.Sprintf("%d %c%c", year, half, second)
	if cycle > 0 {
		plain += strconv.Itoa(cycle)
	}
	packed = fmt.Sprintf("%c%02d%c%c%d%c", digits[year/100], year%100, half, digits[cycle/10], cycle%10, second)
	return plain, packed
}
