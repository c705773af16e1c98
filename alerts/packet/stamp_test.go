package packet_test

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

// image is a FITS file of one image, read by the rules of the standard and
// none of the generator's code.
type image struct {
	cards  map[string]string
	nx, ny int
	pixels []float32
}

func readFITS(t *testing.T, b []byte) image {
	t.Helper()
	if len(b)%2880 != 0 || len(b) < 2*2880 {
		t.Fatalf("%d bytes are not whole FITS blocks", len(b))
	}
	im := image{cards: make(map[string]string)}
	var order []string
	at := 0
	for {
		if at+80 > len(b) {
			t.Fatal("no END card")
		}
		card := string(b[at : at+80])
		at += 80
		for _, r := range card {
			if r < ' ' || r > '~' {
				t.Fatalf("card %q has more than ASCII text", card)
			}
		}
		key := strings.TrimRight(card[:8], " ")
		if key == "END" {
			break
		}
		if card[8:10] != "= " {
			t.Fatalf("card %q has no value", card)
		}
		value := card[10:]
		if rest, ok := strings.CutPrefix(value, "'"); ok {
			value, _, _ = strings.Cut(rest, "'")
		} else {
			if end := value[19]; end == ' ' {
				t.Fatalf("card %q: a fixed-format value ends in column 30", card)
			}
			value, _, _ = strings.Cut(value, "/")
		}
		order = append(order, key)
		im.cards[key] = strings.TrimSpace(value)
	}
	if got := strings.Join(order[:5], " "); got != "SIMPLE BITPIX NAXIS NAXIS1 NAXIS2" || im.cards["SIMPLE"] != "T" ||
		im.cards["BITPIX"] != "-32" || im.cards["NAXIS"] != "2" {
		t.Fatalf("mandatory cards: %s, %v", got, im.cards)
	}
	for ; at%2880 != 0; at++ {
		if b[at] != ' ' {
			t.Fatal("the header is not padded with spaces")
		}
	}
	im.nx, im.ny = int(im.number(t, "NAXIS1")), int(im.number(t, "NAXIS2"))
	end := at + 4*im.nx*im.ny
	if len(b) < end || len(b)-end >= 2880 {
		t.Fatalf("%d x %d pixels in %d bytes after the header", im.nx, im.ny, len(b)-at)
	}
	for ; at < end; at += 4 {
		im.pixels = append(im.pixels, math.Float32frombits(binary.BigEndian.Uint32(b[at:])))
	}
	for _, pad := range b[end:] {
		if pad != 0 {
			t.Fatal("the image is not padded with zeros")
		}
	}
	return im
}

func (im image) number(t *testing.T, key string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(im.cards[key], 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return f
}

// checkStamps reads an alert's stamps and looks for the source in them.
func checkStamps(t *testing.T, s *packet.Schema, a packet.Alert) {
	t.Helper()
	source := a["diaSource"].(map[string]any)
	flux := float64(firstOf(source, "psfFlux", "psFlux").(float32))
	fluxErr := float64(firstOf(source, "psfFluxErr", "psFluxErr").(float32))
	template := math.NaN()
	if f, ok := source["templateFlux"].(float32); ok {
		template = float64(f)
	}
	for field, want := range map[string]float64{
		"cutoutDifference": flux, "cutoutTemplate": template, "cutoutScience": flux + template,
	} {
		b, ok := a[field].([]byte)
		if _, has := a[field]; !has && field == "cutoutScience" && s.Version().Compare(packet.Version{Major: 6, Minor: 1}) < 0 {
			continue
		}
		if !ok {
			t.Fatalf("no %s", field)
		}
		im := readFITS(t, b)
		if im.cards["BUNIT"] != "nJy" || im.cards["CTYPE1"] != "RA---TAN" || im.cards["CTYPE2"] != "DEC--TAN" || "cutout"+im.cards["OBJECT"] != field {
			t.Fatalf("%s: cards %v", field, im.cards)
		}
		if ra := im.number(t, "CRVAL1"); math.Abs(ra-source["ra"].(float64)) > 1e-8 {
			t.Fatalf("%s: CRVAL1 %v, source at %v", field, ra, source["ra"])
		}
		if dec := im.number(t, "CRVAL2"); math.Abs(dec-firstOf(source, "dec", "decl").(float64)) > 1e-8 {
			t.Fatalf("%s: CRVAL2 %v", field, dec)
		}
		if x, y := im.number(t, "CRPIX1"), im.number(t, "CRPIX2"); x != float64(im.nx+1)/2 || y != float64(im.ny+1)/2 {
			t.Fatalf("%s: reference pixel %v, %v of %d, %d", field, x, y, im.nx, im.ny)
		}
		if scale := im.number(t, "CD2_2") * 3600; math.Abs(scale-0.2) > 1e-9 || im.number(t, "CD1_1") != -im.number(t, "CD2_2") {
			t.Fatalf("%s: %v arcsec per pixel", field, scale)
		}
		// The sum over an aperture is the flux, but for the noise of its
		// pixels and the wings outside.
		if math.IsNaN(want) {
			continue
		}
		sum, radius := 0.0, 12
		for y := -radius; y <= radius; y++ {
			for x := -radius; x <= radius; x++ {
				sum += float64(im.pixels[(im.ny/2+y)*im.nx+im.nx/2+x])
			}
		}
		if math.Abs(sum-want) > 60*fluxErr+0.02*math.Abs(want) {
			t.Fatalf("%s: %.0f nJy in the aperture, the source has %.0f +- %.0f", field, sum, want, fluxErr)
		}
	}
}
