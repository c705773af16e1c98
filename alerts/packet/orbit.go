package packet

import (
	"fmt"
	"math"
	"math/rand/v2"
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
	o.designation, o.packed = designation(rng)

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
	o.topo = vector{}.plus(vector{cosD * cosR, cosD * sinR, sinD}, 1+2*rng.Float64())
	o.helio = earth.plus(o.topo, 1)
	// Across the line to the Sun, at the circular speed of that distance.
	r := o.helio.norm()
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

// designation makes a provisional designation and its packed form, as the
// Minor Planet Center writes them: 2015 AB123 is K15AC3B.
func designation(rng *rand.Rand) (plain, packed string) {
	const halfMonths, letters = "ABCDEFGHJKLMNOPQRSTUVWXY", "ABCDEFGHJKLMNOPQRSTUVWXYZ"
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	year := 2000 + rng.IntN(26)
	half, second := halfMonths[rng.IntN(len(halfMonths))], letters[rng.IntN(len(letters))]
	cycle := 1 + rng.IntN(400)
	plain = fmt.Sprintf("%d %c%c%d", year, half, second, cycle)
	packed = string([]byte{'K', digits[year/10%10], digits[year%10], half, digits[cycle/10], digits[cycle%10], second})
	return plain, packed
}
