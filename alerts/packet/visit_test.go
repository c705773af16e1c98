package packet_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
)

const testMjd = 61365.203125

func visit(t testing.TB, cfg packet.VisitConfig) *packet.Visit {
	t.Helper()
	if cfg.MidpointMjdTai == 0 {
		cfg.MidpointMjdTai = testMjd
	}
	if cfg.Visit == 0 {
		cfg.Visit = 2026112100123
	}
	v, err := packet.NewVisit(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func body(t testing.TB, v *packet.Visit, i int) []byte {
	t.Helper()
	b, err := v.Body(i)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func eachVersion(t *testing.T, f func(t *testing.T, s *packet.Schema)) {
	for _, v := range packet.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			f(t, published(t, v.String()))
		})
	}
}

// wantHead is the contract of the data plane: what is read without decoding
// is what is there.
func wantHead(t *testing.T, s *packet.Schema, body []byte, a packet.Alert) packet.Head {
	t.Helper()
	h, err := s.Head(body)
	if err != nil {
		t.Fatal(err)
	}
	idField, timeField := "alertId", "midpointMjdTai"
	if s.Version().Major >= 8 {
		idField = "diaSourceId"
	}
	if s.Version().Major <= 4 {
		timeField = "midPointTai"
	}
	source := a["diaSource"].(map[string]any)
	if a[idField] != h.ID || source[timeField] != h.MidpointMjdTai || source["diaSourceId"] != h.ID {
		t.Fatalf("head %v, decoded %v %v and source %v", h, a[idField], source[timeField], source["diaSourceId"])
	}
	return h
}

func TestVisitInEveryVersion(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, s *packet.Schema) {
		const n = 32
		v := visit(t, packet.VisitConfig{Schema: s, Alerts: n, Seed: 7})
		ids := make(map[int64]bool)
		objects := make(map[any]bool)
		var moving, withHistory, negative int
		total := 0
		for i := range n {
			b := body(t, v, i)
			total += packet.HeaderSize + len(b)
			a, err := s.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			h := wantHead(t, s, b, a)
			if h.ID <= 0 || ids[h.ID] {
				t.Fatalf("id %d of alert %d is not positive or not its own", h.ID, i)
			}
			ids[h.ID] = true
			if late := h.MidpointMjdTai - testMjd; i == 0 && late != 0 || late < 0 || late > 1/86400. {
				t.Fatalf("alert %d is %g days after the visit's midpoint", i, late)
			}
			if i%8 == 3 { // one of them, 11, is of a solar-system object
				again, err := s.Encode(a)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b, again) {
					t.Fatalf("alert %d: encoded again gives other bytes (%d, %d)", i, len(b), len(again))
				}
			}
			source := a["diaSource"].(map[string]any)
			if snr := source["snr"].(float32); snr < 5 {
				t.Fatalf("alert %d has SNR %v", i, snr)
			}
			flux := firstOf(source, "psfFlux", "psFlux").(float32)
			if flux < 0 {
				negative++
			}
			object, _ := a["diaObject"].(map[string]any)
			solar := firstOf(a, "ssSource", "ssObject")
			switch {
			case (object == nil) == (solar == nil):
				t.Fatalf("alert %d is of an object (%t) and of a solar-system object (%t)", i, object != nil, solar != nil)
			case object == nil:
				moving++
				if source["diaObjectId"] != nil || source["ssObjectId"] == nil || a["prvDiaForcedSources"] != nil {
					t.Fatalf("alert %d: a solar-system object with a static one's fields", i)
				}
				if s.Version().Major >= 8 && firstOf(a, "MPCORB", "mpc_orbits") == nil {
					t.Fatal("no orbit")
				}
			default:
				if objects[object["diaObjectId"]] || source["diaObjectId"] != object["diaObjectId"] {
					t.Fatalf("alert %d: object %v, source's %v", i, object["diaObjectId"], source["diaObjectId"])
				}
				objects[object["diaObjectId"]] = true
				if a["prvDiaSources"] != nil && a["prvDiaForcedSources"] != nil {
					withHistory++
				}
				checkMeans(t, a, object)
			}
			checkStamps(t, s, a)
		}
		if moving != 2 {
			t.Errorf("%d of %d are solar-system alerts", moving, n)
		}
		if withHistory < n/2 {
			t.Errorf("%d of %d have a history", withHistory, n)
		}
		if negative == 0 || negative > n/2 {
			t.Errorf("%d of %d are negative", negative, n)
		}
		if mean := float64(total) / n; math.Abs(mean/packet.DefaultPacketBytes-1) > 0.05 {
			t.Errorf("mean packet of %.0f bytes", mean)
		}
	})
}

func firstOf(m map[string]any, names ...string) any {
	for _, name := range names {
		if v, ok := m[name]; ok && v != nil {
			return v
		}
	}
	return nil
}

// checkMeans compares the object's per-band means with its light curve.
func checkMeans(t *testing.T, a packet.Alert, object map[string]any) {
	t.Helper()
	sources, _ := a["prvDiaSources"].([]any)
	sources = append(sources, a["diaSource"])
	type sums struct {
		n        int
		w, wf    float64
		min, max float64
	}
	bands := make(map[string]*sums)
	last := 0.0
	for _, x := range sources {
		src := x.(map[string]any)
		mjd := firstOf(src, "midpointMjdTai", "midPointTai").(float64)
		if mjd <= last || mjd < testMjd-366 {
			t.Fatalf("a source of MJD %f after one of %f", mjd, last)
		}
		last = mjd
		band := firstOf(src, "band", "filterName").(string)
		f := float64(firstOf(src, "psfFlux", "psFlux").(float32))
		e := float64(firstOf(src, "psfFluxErr", "psFluxErr").(float32))
		if math.Abs(f) < 4.99*e {
			t.Fatalf("a source at %.1f sigma", f/e)
		}
		b := bands[band]
		if b == nil {
			b = &sums{min: f, max: f}
			bands[band] = b
		}
		b.n++
		b.w += 1 / (e * e)
		b.wf += f / (e * e)
		b.min, b.max = min(b.min, f), max(b.max, f)
	}
	for _, name := range []string{"u", "g", "r", "i", "z", "y"} {
		b := bands[name]
		mean, has := firstOf(object, name+"_psfFluxMean", name+"PSFluxMean").(float32)
		if has != (b != nil) {
			t.Fatalf("band %s: object has a mean: %t, light curve has points: %t", name, has, b != nil)
		}
		if b == nil {
			continue
		}
		if want := b.wf / b.w; math.Abs(float64(mean)-want) > 1e-3*math.Max(math.Abs(want), 1/math.Sqrt(b.w)) {
			t.Fatalf("band %s: object's mean %v, light curve's %v", name, mean, want)
		}
		if n, ok := firstOf(object, name+"_psfFluxNdata", name+"PSFluxNdata").(int); ok && n != b.n {
			t.Fatalf("band %s: object counts %d, light curve %d", name, n, b.n)
		}
		if top, ok := object[name+"_psfFluxMax"].(float32); ok && math.Abs(float64(top)-b.max) > 1e-5*math.Abs(b.max) {
			t.Fatalf("band %s: object's maximum %v, light curve's %v", name, top, b.max)
		}
	}
	if n, ok := object["nDiaSources"].(int); ok && n != len(sources) {
		t.Fatalf("nDiaSources %d, there are %d", n, len(sources))
	}
}

func TestVisitIsDeterministic(t *testing.T) {
	t.Parallel()
	cfg := packet.VisitConfig{Schema: published(t, "11.0"), Alerts: 40, Seed: 3, Visit: 5}
	a, b := visit(t, cfg), visit(t, cfg)
	want := make([][]byte, a.Len())
	for i := range want {
		want[i] = body(t, a, i)
	}
	// Backwards and from many goroutines at once.
	var wg sync.WaitGroup
	for i := a.Len() - 1; i >= 0; i-- {
		wg.Go(func() {
			got, err := b.Body(i)
			if err != nil || !bytes.Equal(got, want[i]) {
				t.Errorf("alert %d differs (%v)", i, err)
			}
		})
	}
	wg.Wait()
	framed := packet.AppendFrame(nil, 1100, nil)
	framed, err := a.AppendBody(framed, 7)
	if err != nil || !bytes.Equal(framed, packet.Frame(1100, want[7])) {
		t.Errorf("AppendBody after a header differs (%v)", err)
	}
	for _, other := range []packet.VisitConfig{
		{Schema: cfg.Schema, Alerts: 40, Seed: 4, Visit: 5},
		{Schema: cfg.Schema, Alerts: 40, Seed: 3, Visit: 6},
	} {
		if bytes.Equal(body(t, visit(t, other), 1), want[1]) {
			t.Errorf("seed %d, visit %d gives the alerts of seed 3, visit 5", other.Seed, other.Visit)
		}
	}
}

func TestIDsAreUniqueAcrossVisitsAndSeeds(t *testing.T) {
	t.Parallel()
	s := published(t, "8.0")
	seen := make(map[int64]string)
	for seed := range uint64(3) {
		for number := int64(1); number <= 20; number++ {
			v := visit(t, packet.VisitConfig{Schema: s, Alerts: 30, Seed: seed, Visit: number, PacketBytes: 4000})
			for i := range v.Len() {
				h, err := s.Head(body(t, v, i))
				if err != nil {
					t.Fatal(err)
				}
				here := fmt.Sprintf("seed %d, visit %d, alert %d", seed, number, i)
				if there, ok := seen[h.ID]; ok {
					t.Fatalf("%d is both %s and %s", h.ID, there, here)
				}
				seen[h.ID] = here
			}
		}
	}
}

func TestVisitIsOneFieldOfView(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	v := visit(t, packet.VisitConfig{Schema: s, Alerts: 1200, PacketBytes: 3000, Seed: 1})
	var centre [3]float64
	var all [][3]float64
	detectors := make(map[int]bool)
	bands := make(map[string]int)
	last := 0.0
	for i := range v.Len() {
		a, err := s.Decode(body(t, v, i))
		if err != nil {
			t.Fatal(err)
		}
		src := a["diaSource"].(map[string]any)
		p := unit(src["ra"].(float64), src["dec"].(float64))
		for k := range p {
			centre[k] += p[k]
		}
		all = append(all, p)
		d := src["detector"].(int)
		if d < 0 || d > 188 {
			t.Fatalf("detector %d", d)
		}
		detectors[d] = true
		if at := src["midpointMjdTai"].(float64); at < last {
			t.Fatalf("alert %d is earlier than the one before it", i)
		} else {
			last = at
		}
		bands[src["band"].(string)]++
		if x, y := src["x"].(float32), src["y"].(float32); x < 0 || x >= 4072 || y < 0 || y >= 4000 {
			t.Fatalf("pixel %v, %v", x, y)
		}
	}
	norm := math.Sqrt(dot(centre, centre))
	for _, p := range all {
		if r := math.Acos(dot(p, centre)/norm) * 180 / math.Pi; r > 2.10 { // 2.05 to the outermost corner; the mean is not quite the centre
			t.Fatalf("an alert %.2f degrees off the centre", r)
		}
	}
	// 1200 alerts miss one of them by chance, now and then.
	if len(detectors) < 187 {
		t.Errorf("%d of 189 detectors have alerts", len(detectors))
	}
	if len(bands) != 1 {
		t.Errorf("bands %v in one visit", bands)
	}
}

func unit(ra, dec float64) [3]float64 {
	sr, cr := math.Sincos(ra * math.Pi / 180)
	sd, cd := math.Sincos(dec * math.Pi / 180)
	return [3]float64{cd * cr, cd * sr, sd}
}

func dot(a, b [3]float64) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func TestPacketSizes(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"4.0", "7.4", "11.0"} {
		for _, want := range []int{5_000, 20_000, 40_000, 80_000, 300_000, 2_000_000} {
			t.Run(fmt.Sprintf("%s/%d", version, want), func(t *testing.T) {
				t.Parallel()
				s := published(t, version)
				const n = 64
				v := visit(t, packet.VisitConfig{Schema: s, Alerts: n, PacketBytes: want, Seed: 11})
				total := 0
				for i := range n {
					total += packet.HeaderSize + len(body(t, v, i))
				}
				if mean := float64(total) / n; math.Abs(mean/float64(want)-1) > 0.05 {
					t.Errorf("mean of %.0f bytes", mean)
				}
			})
		}
	}
}

func TestVisitRefuses(t *testing.T) {
	t.Parallel()
	s := published(t, "11.0")
	good := packet.VisitConfig{Schema: s, Alerts: 1, MidpointMjdTai: testMjd}
	for field, spoil := range map[string]func(*packet.VisitConfig){
		"Schema":         func(c *packet.VisitConfig) { c.Schema = nil },
		"Alerts":         func(c *packet.VisitConfig) { c.Alerts = 1<<20 + 1 },
		"PacketBytes":    func(c *packet.VisitConfig) { c.PacketBytes = 500 },
		"Visit":          func(c *packet.VisitConfig) { c.Visit = -1 },
		"MidpointMjdTai": func(c *packet.VisitConfig) { c.MidpointMjdTai = math.NaN() },
	} {
		cfg := good
		spoil(&cfg)
		_, err := packet.NewVisit(cfg)
		var visitErr *packet.VisitError
		if !errors.As(err, &visitErr) || visitErr.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		var size *packet.PacketSizeError
		if errors.As(err, &size) != (field == "PacketBytes") {
			t.Errorf("%s: %v", field, err)
		}
	}
	other, err := packet.ParseSchema(`{"type":"record","name":"a","fields":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	cfg := good
	cfg.Schema = other
	var schemaErr *packet.SchemaError
	if _, err := packet.NewVisit(cfg); !errors.As(err, &schemaErr) {
		t.Errorf("a schema that is no alert: %v", err)
	}
	v := visit(t, good)
	for _, i := range []int{-1, 1} {
		if _, err := v.Body(i); err == nil {
			t.Errorf("alert %d of one", i)
		}
	}
}

// TestVisitInALaterSchema has fields and records that the generator cannot
// know. In a version that is not published they have values all the same.
func TestVisitInALaterSchema(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"lsst.v11_0", "lsst.v12_0"} {
		t.Run(namespace, func(t *testing.T) {
			t.Parallel()
			laterSchema(t, namespace, namespace == "lsst.v12_0")
		})
	}
}

func laterSchema(t *testing.T, namespace string, draft bool) {
	s, err := packet.ParseSchema(`{"type":"record","name":"alert","namespace":"` + namespace + `","fields":[
		{"name":"diaSourceId","type":"long"},
		{"name":"weather","type":{"type":"record","name":"weather","fields":[
			{"name":"rainFlux","type":"double"},{"name":"sky","type":{"type":"enum","name":"sky","symbols":["CLEAR","CLOUD"]}},
			{"name":"hash","type":{"type":"fixed","name":"hash","size":4}},{"name":"notes","type":{"type":"map","values":"string"}},
			{"name":"either","type":["int","string"]},{"name":"list","type":{"type":"array","items":"int"}}]}},
		{"name":"extra","type":["weather","null"]},
		{"name":"diaSource","type":{"type":"record","name":"diaSource","fields":[
			{"name":"diaSourceId","type":"long"},{"name":"midpointMjdTai","type":"double"},
			{"name":"newFlux","type":["null","float"]},{"name":"newFluxErr","type":"float"},{"name":"new_flag","type":"boolean"},
			{"name":"xyzzy","type":["null","double"]},{"name":"plugh","type":"double"},{"name":"label","type":"string"}]}},
		{"name":"prvDiaSources","type":["null",{"type":"array","items":"diaSource"}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	v := visit(t, packet.VisitConfig{Schema: s, Alerts: 20, PacketBytes: 2000})
	clouds := 0
	for i := range v.Len() {
		b := body(t, v, i)
		a, err := s.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		wantHead(t, s, b, a)
		src := a["diaSource"].(map[string]any)
		if flux, ok := src["newFlux"].(float32); !ok || flux == 0 || src["newFluxErr"].(float32) <= 0 {
			t.Errorf("newFlux %v, newFluxErr %v", src["newFlux"], src["newFluxErr"])
		}
		if draft {
			weather := a["weather"].(map[string]any)
			if src["xyzzy"] == nil || src["plugh"] == 0.0 || src["label"] == "" || a["extra"] == nil ||
				len(weather["notes"].(map[string]any)) == 0 || len(weather["list"].([]any)) == 0 {
				t.Errorf("fields of a draft without values: %v", a)
			}
			if weather["sky"] == "CLOUD" {
				clouds++
			}
			continue
		}
		if src["xyzzy"] != nil || src["plugh"] != 0.0 || src["label"] != "" || src["new_flag"] != false {
			t.Errorf("unknown fields: %v", src)
		}
		if a["extra"] != nil || a["weather"].(map[string]any)["sky"] != "CLEAR" {
			t.Errorf("unknown records: %v, %v", a["extra"], a["weather"])
		}
	}
	if draft && (clouds == 0 || clouds == v.Len()) {
		t.Errorf("%d clouds in %d alerts", clouds, v.Len())
	}
}

func BenchmarkBody(b *testing.B) {
	for _, version := range []string{"4.0", "7.4", "11.0"} {
		b.Run(version, func(b *testing.B) {
			s := published(b, version)
			v := visit(b, packet.VisitConfig{Schema: s, Alerts: 1 << 20, Seed: 1})
			buf := make([]byte, 0, 1<<20)
			i, total := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = v.AppendBody(buf[:0], i); err != nil {
					b.Fatal(err)
				}
				total += len(buf)
				i++
			}
			b.SetBytes(int64(total / i))
		})
	}
}

func BenchmarkNewVisit(b *testing.B) {
	s := published(b, "11.0")
	for b.Loop() {
		visit(b, packet.VisitConfig{Schema: s, Alerts: 10_000})
	}
}
