package record

import (
	"fmt"
	"math"
)

// Place is a position on the sky, ICRS, in degrees; NaN where it is not known.
type Place struct{ RA, Dec float64 }

// Known says whether both are numbers of the sky.
func (p Place) Known() bool {
	return p.RA >= 0 && p.RA <= 360 && p.Dec >= -90 && p.Dec <= 90
}

// Degrees writes it as numbers, to a tenth of a milliarcsecond.
func (p Place) Degrees() string {
	if !p.Known() {
		return "-"
	}
	return fmt.Sprintf("%.7f %+.7f", p.RA, p.Dec)
}

// Sexagesimal writes it as hours, minutes and seconds of right ascension and
// degrees, minutes and seconds of declination: "10h00m28.600s +02d12m21.00s".
func (p Place) Sexagesimal() string {
	if !p.Known() {
		return "-"
	}
	// Rounded first, so that no field reads 60.
	h := int64(math.Round(p.RA / 15 * 3600e3))
	h %= 24 * 3600e3
	sign := '+'
	if math.Signbit(p.Dec) {
		sign = '-'
	}
	d := int64(math.Round(math.Abs(p.Dec) * 3600e2))
	return fmt.Sprintf("%02dh%02dm%02d.%03ds %c%02dd%02dm%02d.%02ds",
		h/3600e3, h/60e3%60, h/1e3%60, h%1e3, sign, d/3600e2, d/60e2%60, d/1e2%60, d%1e2)
}
