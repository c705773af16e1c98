package packet

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestFocalPlane(t *testing.T) {
	t.Parallel()
	f := field{ra: 359.9, dec: -60}
	seen := make(map[int]bool)
	for col := range 15 {
		for row := range 15 {
			s, ok := f.at((float64(col)-7)*detectorPitch, (float64(row)-7)*detectorPitch)
			corner := (col < 3 || col > 11) && (row < 3 || row > 11)
			if ok == corner {
				t.Fatalf("column %d, row %d: detector %t", col, row, ok)
			}
			if !ok {
				continue
			}
			if s.detector < 0 || s.detector > 188 || seen[s.detector] || s.column != col {
				t.Fatalf("column %d, row %d is detector %d in column %d", col, row, s.detector, s.column)
			}
			seen[s.detector] = true
			if math.Abs(s.x-chipWidth/2) > 1e-6 || math.Abs(s.y-chipHeight/2) > 1e-6 {
				t.Fatalf("middle of detector %d at %v, %v", s.detector, s.x, s.y)
			}
		}
	}
	if len(seen) != 189 {
		t.Errorf("%d detectors", len(seen))
	}
	for _, p := range [][2]float64{{-2, 0}, {0, 2}} {
		if _, ok := f.at(p[0], p[1]); ok {
			t.Errorf("a detector at %v", p)
		}
	}
	middle, _ := f.at(0, 0)
	if math.Abs(middle.ra-f.ra) > 1e-9 || math.Abs(middle.dec-f.dec) > 1e-9 || middle.detector != 94 {
		t.Errorf("the middle is %+v", middle)
	}
	// One degree along each axis of the tangent plane; at dec -60 and over
	// the meridian, east is left.
	west, _ := f.at(1, 0)
	north, _ := f.at(0, 1)
	if math.Abs(west.ra-357.9) > 0.01 || math.Abs(north.dec+59) > 0.01 || math.Abs(north.ra-f.ra) > 1e-9 {
		t.Errorf("west %+v, north %+v", west, north)
	}
}

// Alerts fall on every detector, as often on each, and come in the shutter's order.
func TestPlaceCoversTheFocalPlane(t *testing.T) {
	t.Parallel()
	f, rng := field{ra: 10, dec: -30}, rand.New(rand.NewPCG(1, 2))
	const n = 189 * 100
	var count [189]int
	last := -1
	for i := range n {
		s := f.place(rng, (float64(i)+rng.Float64())/n)
		count[s.detector]++
		if s.column < last {
			t.Fatalf("column %d after %d", s.column, last)
		}
		last = s.column
		if s.x < 0 || s.x >= chipWidth || s.y < 0 || s.y >= chipHeight {
			t.Fatalf("%+v", s)
		}
	}
	for d, c := range count {
		if c < 50 || c > 160 { // 100 in the mean, with a scatter of about 10
			t.Errorf("detector %d has %d of %d alerts", d, c, n)
		}
	}
	for _, edge := range []float64{-1, 0, 1, 2} {
		if s := f.place(rng, edge); s.column != 0 && s.column != 14 {
			t.Errorf("the edge of the sweep is column %d", s.column)
		}
	}
	if s := f.firstColumn(rng); s.column != 0 {
		t.Errorf("the first column is %d", s.column)
	}
}

func TestCoordinates(t *testing.T) {
	t.Parallel()
	close := func(a, b float64) bool { return math.Abs(a-b) < 0.01 }
	for _, c := range []struct {
		name               string
		ra, dec            float64
		lambda, beta, l, b float64
	}{
		// As astropy 8.0 turns these ICRS positions (mean ecliptic of J2000).
		{"Galactic centre (Sgr A*)", 266.41684, -29.00781, 266.85, -5.61, 359.94, -0.05},
		{"Vega", 279.23474, 38.78369, 285.32, 61.73, 67.45, 19.24},
		{"equinox", 0, 0, 0, 0, 96.34, -60.19},
	} {
		lambda, beta := ecliptic(c.ra, c.dec)
		l, b := galactic(c.ra, c.dec)
		if !close(lambda, c.lambda) || !close(beta, c.beta) || !close(l, c.l) || !close(b, c.b) {
			t.Errorf("%s: ecliptic %.2f %.2f, galactic %.2f %.2f", c.name, lambda, beta, l, b)
		}
	}
}

func TestVisitNumber(t *testing.T) {
	t.Parallel()
	// MJD 60000 is 2023-02-25 00:00; the night began on the 24th.
	if n := visitNumber(60000.1, 17); n != 2023022400017 {
		t.Errorf("%d", n)
	}
	if n := visitNumber(60000.6, 100_003); n != 2023022500003 {
		t.Errorf("%d", n)
	}
}

// The examples are the Minor Planet Center's own (info/PackedDes.html).
func TestDesignations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year         int
		half, second byte
		cycle        int
		plain        string
		packed       string
	}{
		{1995, 'X', 'A', 0, "1995 XA", "J95X00A"},
		{1995, 'X', 'L', 1, "1995 XL1", "J95X01L"},
		{1995, 'F', 'B', 13, "1995 FB13", "J95F13B"},
		{1998, 'S', 'Q', 108, "1998 SQ108", "J98SA8Q"},
		{2099, 'A', 'Z', 193, "2099 AZ193", "K99AJ3Z"},
		{2008, 'A', 'A', 360, "2008 AA360", "K08Aa0A"},
		{2007, 'T', 'A', 418, "2007 TA418", "K07Tf8A"},
	} {
		if plain, packed := formatDesignation(c.year, c.half, c.second, c.cycle); plain != c.plain || packed != c.packed {
			t.Errorf("%s, %s; want %s, %s", plain, packed, c.plain, c.packed)
		}
	}
}

func TestOrbitGeometry(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	f := newField(rng)
	for range 500 {
		at := f.place(rng, rng.Float64())
		o := newOrbit(rng, at, 61365.2, 2000)
		r, d := o.helio.norm(), o.topo.norm()
		if r < o.a*(1-o.e)-1e-9 || r > o.a*(1+o.e)+1e-9 || d < 0.4 || d > r+1.0001 {
			t.Fatalf("%f au from the Sun, %f from the Earth, a %f, e %f", r, d, o.a, o.e)
		}
		// Sun, Earth and object make a triangle.
		sun := 180 - o.elongation - o.phase
		if sine := math.Sin(radians(sun)) / d * r; math.Abs(sine-math.Sin(radians(o.elongation))) > 1e-6 {
			t.Fatalf("angles %f, %f, distances %f, %f", o.elongation, o.phase, r, d)
		}
	}
}

func TestEarlierIDsAreApart(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{0, 1, math.MaxUint64} {
		for _, visit := range []int64{0, 1, 2026112100123, maxVisit - 1} {
			cfg := VisitConfig{Seed: seed, Visit: visit}
			for _, i := range []int{0, MaxAlerts - 1} {
				source, object := sourceID(cfg, i), objectID(cfg, i)
				if source < idKindSource || object < idKindObject || object >= idKindSource {
					t.Errorf("seed %d, visit %d, alert %d: source %d, object %d", seed, visit, i, source, object)
				}
			}
		}
	}
}
