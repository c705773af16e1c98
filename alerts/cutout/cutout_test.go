package cutout_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/cutout"
)

// noise gives numbers in [0, 1) that are the same here and in the program that
// made the expected values: s = s*6364136223846793005 + 1442695040888963407, the
// upper 53 bits.
func noise(seed uint64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		seed = seed*6364136223846793005 + 1442695040888963407
		out[i] = float64(seed>>11) / (1 << 53)
	}
	return out
}

// stamp is a point source on noise.
func stamp(seed uint64, w, h int, sky, scatter, peak, sigma float64) []float64 {
	u := noise(seed, 4*w*h)
	out := make([]float64, 0, w*h)
	for y := range h {
		for x := range w {
			k := 4 * (y*w + x)
			dx, dy := float64(x-w/2), float64(y-h/2)
			out = append(out, sky+scatter*(u[k]+u[k+1]+u[k+2]+u[k+3]-2)+peak*math.Exp(-(dx*dx+dy*dy)/(2*sigma*sigma)))
		}
	}
	return out
}

// TestZScale holds the limits against those of ZScaleInterval().get_limits of
// astropy 8.0.2 (numpy 2.4.6), given the same pixels.
func TestZScale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                      string
		seed                      uint64
		w, h                      int
		sky, scatter, peak, sigma float64
		low, high                 float64
	}{
		{"noise", 1, 30, 30, 0, 1, 0, 2, -1.6025249517074924, 1.7425417372351237},
		{"source on noise", 2, 31, 31, 0, 10, 5000, 2, -15.844001031038939, 58.006494482526875},
		{"bright and wide", 3, 45, 45, 100, 3, 1000000.0, 8, 618.1305550899178, 988671.7900826612},
		{"few pixels", 4, 2, 3, 5, 1, 0, 1, 4.495157173528748, 5.6068829049572955},
		{"one pixel", 5, 1, 1, 7, 0, 0, 1, 7.0, 7.0},
		{"flat", 6, 20, 20, 3, 0, 0, 1, 3.0, 3.0},
		{"negative source", 7, 61, 61, 0, 5, -2000, 2.5, -20.0029569154892, 8.438295657840168},
		{"wide of the sample", 8, 120, 100, 1000, 25, 30000, 4, 961.4237342406695, 1103.905777585395},
		{"four pixels", 9, 2, 2, 0, 1, 50, 1, 18.57695111066027, 49.79462764195486},
		{"half a gradient", 10, 51, 51, 0, 0.1, 100, 20, 20.857175865991845, 99.94612545979058},
	} {
		low, high := cutout.ZScale(stamp(c.seed, c.w, c.h, c.sky, c.scatter, c.peak, c.sigma))
		near := 1e-9 * (math.Abs(c.low) + math.Abs(c.high))
		if math.Abs(low-c.low) > near || math.Abs(high-c.high) > near {
			t.Errorf("%s: %v to %v, want %v to %v", c.name, low, high, c.low, c.high)
		}
	}
	// What is no number does not count, as in astropy.
	px := stamp(2, 31, 31, 0, 10, 5000, 2)
	for i := 0; i < len(px); i += 7 {
		px[i] = math.NaN()
	}
	px[3], px[5] = math.Inf(1), math.Inf(-1)
	if low, high := cutout.ZScale(px); math.Abs(low+14.393921697790447) > 1e-9 || math.Abs(high-56.83588522834503) > 1e-9 {
		t.Errorf("with pixels that are none: %v to %v", low, high)
	}
	if low, high := cutout.ZScale([]float64{math.NaN()}); low != 0 || high != 0 {
		t.Errorf("of no number: %v to %v", low, high)
	}
}

// unit is a header and data unit.
func unit(data []byte, cards ...string) []byte {
	var b []byte
	for _, c := range append(cards, "END") {
		b = fmt.Appendf(b, "%-80s", c)
	}
	for len(b)%2880 != 0 {
		b = append(b, ' ')
	}
	b = append(b, data...)
	for len(b)%2880 != 0 {
		b = append(b, 0)
	}
	return b
}

func floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func TestRead(t *testing.T) {
	t.Parallel()
	shorts := func(values ...int16) (b []byte) {
		for _, v := range values {
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		}
		return b
	}
	six := floats(1, 2, 3, 4, 5, 6)
	for _, c := range []struct {
		name   string
		bytes  []byte
		pixels []float64
		unit   string
	}{
		{"floats", unit(six, "SIMPLE  =                    T", "BITPIX  =                  -32", "NAXIS   =                    2",
			"NAXIS1  =                    3", "NAXIS2  =                    2", "BUNIT   = 'nJy     '           / it''s flux"), []float64{1, 2, 3, 4, 5, 6}, "nJy"},
		{"scaled whole numbers with a blank", unit(shorts(0, 1, -32768, 3, 4, 5), "SIMPLE  = T", "BITPIX  = 16 / bits", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2",
			"BZERO   = 1.0D2", "BSCALE  = 0.5", "BLANK   = -32768", "BUNIT   = 'it''s '"), []float64{100, 100.5, math.NaN(), 101.5, 102, 102.5}, "it's"},
		{"bytes", unit([]byte{0, 1, 2, 3, 254, 255}, "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2"), []float64{0, 1, 2, 3, 254, 255}, ""},
		{"the first plane of a cube", unit(append(slices.Clone(six), six...), "SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 3", "NAXIS1  = 3", "NAXIS2  = 2", "NAXIS3  = 2"),
			[]float64{1, 2, 3, 4, 5, 6}, ""},
		{"an extension after a table", slices.Concat(
			unit(nil, "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "COMMENT = no value", "EXTEND  = T"),
			unit(make([]byte, 30), "XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 5", "PCOUNT  = 10", "GCOUNT  = 1"),
			unit(six, "XTENSION= 'IMAGE   '", "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2", "BUNIT   = 'adu'")), []float64{1, 2, 3, 4, 5, 6}, "adu"},
	} {
		im, err := cutout.Read(c.bytes)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		same := slices.EqualFunc(im.Pixels, c.pixels, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
		if im.Width != 3 || im.Height != 2 || !same || im.Unit != c.unit || im.At(1, 1) != c.pixels[4] {
			t.Errorf("%s: %+v", c.name, im)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	image := func(cards ...string) []byte {
		return unit(floats(1, 2, 3, 4, 5, 6), append([]string{"SIMPLE  = T"}, cards...)...)
	}
	for _, c := range []struct {
		why   string
		bytes []byte
	}{
		{"does not begin as a FITS file", nil},
		{"does not begin as a FITS file", []byte(strings.Repeat("x", 2880))},
		{"there is no BITPIX", image("NAXIS   = 0")},
		{"there is no NAXIS2", image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 3")},
		{`NAXIS1 is "three"`, image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = three", "NAXIS2  = 2")},
		{"NAXIS1 is -3", image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = -3", "NAXIS2  = 2")},
		{"NAXIS is 5000", image("BITPIX  = -32", "NAXIS   = 5000")},
		{"BITPIX is 24", image("BITPIX  = 24", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2")},
		{"the file ends too early", image("BITPIX  = -64", "NAXIS   = 2", "NAXIS1  = 30", "NAXIS2  = 20")},
		{"more than 16777216 pixels", image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 5000000000", "NAXIS2  = 5000000000")},
		{"more than 16777216 pixels", image("BITPIX  = -32", "NAXIS   = 1", "NAXIS1  = 9000000000000000000")},
		{"the file ends too early", []byte(fmt.Sprintf("%-2880s", "SIMPLE  = T"))},
		{"no number", image("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2", "BZERO   = much")},
		{"there is no image", unit(nil, "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")},
	} {
		_, err := cutout.Read(c.bytes)
		var format *cutout.FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	im := &cutout.Image{Width: 3, Height: 2, Pixels: []float64{4, 1, math.NaN(), 3, 2, 5}}
	want := cutout.Stats{Pixels: 5, Blank: 1, Min: 1, Max: 5, Mean: 3, Median: 3, Sigma: 2 / 1.349}
	if got := im.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (&cutout.Image{Width: 1, Height: 1, Pixels: []float64{math.NaN()}}).Stats(); got != (cutout.Stats{Blank: 1}) {
		t.Errorf("of no number: %+v", got)
	}
}

// FuzzRead: whatever comes in a message is an image or an error, and the image is
// as large as it says.
func FuzzRead(f *testing.F) {
	f.Add(unit(floats(1, 2, 3, 4, 5, 6), "SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 2"))
	f.Add(slices.Concat(unit(nil, "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"),
		unit([]byte{1, 2, 3, 4}, "XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 2", "BLANK   = 3")))
	f.Add(unit(nil, "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 0", "PCOUNT  = -1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := cutout.Read(b)
		if err != nil {
			return
		}
		if im.Width < 1 || im.Height < 1 || len(im.Pixels) != im.Width*im.Height || len(im.Pixels) > len(b) {
			t.Fatalf("%d x %d with %d pixels of %d bytes", im.Width, im.Height, len(im.Pixels), len(b))
		}
		low, high := cutout.ZScale(im.Pixels)
		if low > high && !math.IsNaN(low) {
			t.Fatalf("limits %v to %v", low, high)
		}
	})
}
