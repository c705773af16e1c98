package packet

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// FITS standard 4.0: everything comes in blocks of 2880 bytes; a header is
// cards of 80 characters.
const (
	fitsBlock = 2880
	fitsCard  = 80
	fitsValue = 10 // where a card's value begins; a fixed-format number ends at 30
	fitsWidth = 20
)

// stampSet makes the stamps of a visit: FITS files of one image of float32,
// in nJy, a point source in the middle pixel and noise, with a gnomonic WCS.
// The zero set makes no stamps.
type stampSet struct {
	side    int // pixels, odd
	headers map[string]*stampHeader
	psf     []float32 // of unit sum
	spread  float64   // sigma of the point-spread function, pixels
	noise   []float32 // normal deviates; the last side of them repeat the first
}

// stampHeader is a header block and where its cards of one alert begin.
type stampHeader struct {
	block         []byte
	ra, dec, chip int
}

const noiseLen = 1 << 16

// stampSide is the largest odd side of a stamp whose file and Avro length
// take at most room bytes, or 0 if there is none.
func stampSide(room float64) int {
	blocks := int(room-avroLength) / fitsBlock
	if blocks < 2 {
		return 0
	}
	side := int(math.Sqrt(float64((blocks - 1) * fitsBlock / 4)))
	return side - 1 + side%2
}

const avroLength = 3 // of a bytes value of 8 kB to 1 MB

// stampField is the bytes of a stamp in a packet beyond the null in its place.
func stampField(side int) int {
	if side == 0 {
		return 0
	}
	n := fitsBlock + blocked(4*side*side)
	return len(binary.AppendVarint(nil, int64(n))) + n
}

func blocked(n int) int { return (n + fitsBlock - 1) / fitsBlock * fitsBlock }

func newStampSet(rng *rand.Rand, v *Visit, side int) stampSet {
	if side == 0 {
		return stampSet{}
	}
	set := stampSet{side: side, spread: v.now.seeing / 2.3548 / pixelArcsec, headers: make(map[string]*stampHeader)}
	for _, kind := range []string{stampDifference, stampScience, stampTemplate} {
		set.headers[kind] = newStampHeader(kind, side, v)
	}
	profile := make([]float64, side)
	for i := range profile {
		d := float64(i-side/2) / set.spread
		profile[i] = math.Exp(-d * d / 2)
	}
	norm := 1 / (2 * math.Pi * set.spread * set.spread)
	set.psf = make([]float32, 0, side*side)
	for _, y := range profile {
		for _, x := range profile {
			set.psf = append(set.psf, float32(norm*x*y))
		}
	}
	set.noise = make([]float32, noiseLen, noiseLen+side)
	for i := range set.noise {
		set.noise[i] = float32(rng.NormFloat64())
	}
	for i := range side {
		set.noise = append(set.noise, set.noise[i%noiseLen])
	}
	return set
}

const (
	stampDifference = "Difference"
	stampScience    = "Science"
	stampTemplate   = "Template"
)

func newStampHeader(kind string, side int, v *Visit) *stampHeader {
	h := &stampHeader{}
	card := func(key, value, comment string) int {
		at := len(h.block)
		h.block = fmt.Appendf(h.block, "%-*s", fitsCard, fmt.Sprintf("%-8s= %s / %s", key, value, comment))
		return at + fitsValue
	}
	number := func(key string, value any, comment string) int {
		return card(key, fmt.Sprintf("%20v", value), comment)
	}
	text := func(key, value, comment string) {
		card(key, fmt.Sprintf("%-20s", fmt.Sprintf("'%-8s'", value)), comment)
	}
	scale := strconv.FormatFloat(pixelArcsec/3600, 'E', 12, 64)
	number("SIMPLE", "T", "conforms to FITS standard")
	number("BITPIX", -32, "IEEE single precision")
	number("NAXIS", 2, "number of axes")
	number("NAXIS1", side, "")
	number("NAXIS2", side, "")
	text("BUNIT", "nJy", "flux per pixel")
	text("OBJECT", kind, "synthetic cutout")
	text("CTYPE1", "RA---TAN", "gnomonic projection")
	text("CTYPE2", "DEC--TAN", "gnomonic projection")
	text("CUNIT1", "deg", "")
	text("CUNIT2", "deg", "")
	number("CRPIX1", fmt.Sprintf("%.1f", float64(side/2+1)), "pixel of the source")
	number("CRPIX2", fmt.Sprintf("%.1f", float64(side/2+1)), "pixel of the source")
	h.ra = number("CRVAL1", 0, "[deg] right ascension")
	h.dec = number("CRVAL2", 0, "[deg] declination")
	number("CD1_1", "-"+scale, "[deg/pixel] east is left")
	number("CD1_2", "0.0", "")
	number("CD2_1", "0.0", "")
	number("CD2_2", scale, "[deg/pixel] north is up")
	text("RADESYS", "ICRS", "")
	text("FILTER", bands[v.now.band], "")
	number("VISIT", v.cfg.Visit, "")
	h.chip = number("DETECTOR", 0, "")
	h.block = fmt.Appendf(h.block, "%-*s", fitsCard, "END")
	for len(h.block) < blocked(len(h.block)) {
		h.block = append(h.block, ' ')
	}
	return h
}

// put writes a number into the fixed-format field at b[at].
func fitsPut(b []byte, at int, digits []byte) {
	cell := b[at : at+fitsWidth]
	for i := range cell {
		cell[i] = ' '
	}
	copy(cell[fitsWidth-len(digits):], digits)
}

// append adds one FITS file: a source of flux nJy, measured to sigma nJy.
func (set *stampSet) append(dst []byte, kind string, s *scene, flux, sigma float64) []byte {
	h := set.headers[kind]
	start := len(dst)
	dst = append(dst, h.block...)
	var digits [32]byte
	fitsPut(dst[start:], h.ra, strconv.AppendFloat(digits[:0], s.spot.ra, 'f', 9, 64))
	fitsPut(dst[start:], h.dec, strconv.AppendFloat(digits[:0], s.spot.dec, 'f', 9, 64))
	fitsPut(dst[start:], h.chip, strconv.AppendInt(digits[:0], int64(s.spot.detector), 10))

	side := set.side
	size := 4 * side * side
	at := len(dst)
	dst = append(dst, make([]byte, blocked(size))...)
	// Where the sky is the noise, a point source's flux error is that of one
	// pixel times the square root of the effective area, 4 pi sigma^2 pixels.
	pixel := float32(sigma / (2 * math.Sqrt(math.Pi) * set.spread))
	f := float32(flux)
	for row := range side {
		// A row of the table beginning anywhere: cheap, and no two stamps
		// are alike.
		noise := set.noise[s.rng.Uint32()%noiseLen:][:side]
		psf := set.psf[row*side:][:side]
		out := dst[at+4*row*side:][:4*side]
		for i := range noise {
			binary.BigEndian.PutUint32(out[4*i:], math.Float32bits(f*psf[i]+pixel*noise[i]))
		}
	}
	return dst
}
