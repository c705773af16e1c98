package record_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/cutout"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
)

// synthetic gives an alert of a published schema.
func synthetic(t *testing.T, version string, index int) (*packet.Schema, packet.Alert) {
	t.Helper()
	v, err := packet.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	s, err := packet.Published(v)
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: s, Alerts: index + 1, Visit: 2026060100012, MidpointMjdTai: 61192.25})
	if err != nil {
		t.Fatal(err)
	}
	body, err := visit.Body(index)
	if err != nil {
		t.Fatal(err)
	}
	alert, err := s.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return s, alert
}

func TestReadOfEverySchema(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.0", "4.0", "5.0", "6.1", "7.4", "8.0", "11.0"} {
		s, alert := synthetic(t, version, 1)
		r, err := record.Read(s.Canonical(), alert)
		if err != nil {
			t.Fatal(err)
		}
		// The tree has every field of the alert, in the schema's order.
		var names []string
		for _, n := range r.Tree.Children() {
			names = append(names, n.Name)
		}
		if len(names) != len(alert) || r.Tree.Name != "alert" || r.Words {
			t.Errorf("%s: %s %v", version, r.Tree.Name, names)
		}
		at := -1
		for _, n := range names {
			next := strings.Index(s.Canonical(), `"name":"`+n+`"`)
			if next < at && n != "diaSourceId" {
				t.Errorf("%s: %s out of order", version, n)
			}
			at = max(at, next)
		}
		source := alert["diaSource"].(map[string]any)
		history := len(alert["prvDiaSources"].([]any)) + len(alert["prvDiaForcedSources"].([]any))
		if len(r.Curve.Points) != history+1 || history == 0 || len(r.Curve.Left) != 0 {
			t.Errorf("%s: %d points of %d, left %v", version, len(r.Curve.Points), history+1, r.Curve.Left)
		}
		if !slices.IsSortedFunc(r.Curve.Points, func(a, b record.Point) int {
			if a.MJD < b.MJD {
				return -1
			}
			return 1
		}) {
			t.Errorf("%s: the curve is not in the order of time", version)
		}
		last := r.Curve.Points[len(r.Curve.Points)-1]
		if last.Kind != record.Current || last.ID != source["diaSourceId"].(int64) || last.Err == nil || math.Abs(last.MJD-61192.25) > 1e-4 {
			t.Errorf("%s: the last point is %+v", version, last)
		}
		if !r.Place.Known() || r.Place.RA != source["ra"].(float64) {
			t.Errorf("%s: place %v", version, r.Place)
		}
		for _, c := range r.Cutouts {
			if c.Image == nil || c.Image.Unit != "nJy" || !(c.Low < c.High) || c.Problem != "" {
				t.Errorf("%s: %s: %v %v to %v, %s", version, c.Name, c.Image, c.Low, c.High, c.Problem)
			}
		}
		if want := strings.Count(s.Canonical(), `"name":"cutout`); len(r.Cutouts) != want {
			t.Errorf("%s: %d cutouts, want %d", version, len(r.Cutouts), want)
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	s, alert := synthetic(t, "11.0", 1)
	r, err := record.Read(s.Canonical(), alert)
	if err != nil {
		t.Fatal(err)
	}
	source := r.Tree.Child("diaSource")
	flux := source.Child("psfFlux")
	want := fmt.Sprint(alert["diaSource"].(map[string]any)["psfFlux"])
	if !source.Folds() || source.Type != "diaSource" || source.Value != "98 fields" || flux.Value != want || flux.Unit != "nJy" || flux.Folds() {
		t.Errorf("%+v, %+v, want %s", source, flux, want)
	}
	if n := source.Child("psfFluxErr"); n.Doc != "uncertainty of psfFlux" || n.Unit != "nJy" || n.Note != "" {
		t.Errorf("%+v", n)
	}
	if n := source.Child("midpointMjdTai"); n.Unit != "d" || n.Note != "2026-06-01 05:59:23.000 UTC" && !strings.HasPrefix(n.Note, "2026-06-01 05:59:2") {
		t.Errorf("%+v", n)
	}
	for name, unit := range map[string]string{"ra": "deg", "raErr": "deg", "ra_dec_Cov": "", "dec": "deg", "x": "pixel", "psfFlux_flag": "", "psfChi2": "",
		"trailLength": "arcsec", "dipoleAngle": "deg", "extendedness": "", "diaObjectId": "", "bboxSize": "pixel", "trailDecErr": "deg"} {
		if n := source.Child(name); n == nil || n.Unit != unit {
			t.Errorf("%s: %+v, want the unit %q", name, n, unit)
		}
	}
	object := r.Tree.Child("diaObject")
	for name, unit := range map[string]string{"g_psfFluxMean": "nJy", "g_psfFluxMaxSlope": "nJy/d", "g_psfFluxNdata": ""} {
		if n := object.Child(name); n == nil || n.Unit != unit {
			t.Errorf("%s: %+v, want the unit %q", name, n, unit)
		}
	}
	past := r.Tree.Child("prvDiaSources")
	first := past.Children()[0]
	if past.Type != "array of diaSource" || first.Name != "[0]" || !strings.HasPrefix(first.Note, "MJD ") || first.Child("psfFlux") == nil {
		t.Errorf("%+v, %+v", past, first)
	}
	if n := r.Tree.Child("cutoutScience"); n.Value != fmt.Sprintf("%d bytes", len(alert["cutoutScience"].([]byte))) || n.Folds() {
		t.Errorf("%+v", n)
	}
	if n := r.Tree.Child("ssSource"); !n.Null || n.Value != "null" || n.Folds() {
		t.Errorf("%+v", n)
	}
}

func TestSchemasOwnWords(t *testing.T) {
	t.Parallel()
	r, err := record.Read(`{"type":"record","name":"a","namespace":"n","fields":[
		{"name":"diaSource","type":{"type":"record","name":"s","fields":[
			{"name":"ra","type":"double","doc":"Where it is [rad]."},
			{"name":"shape","type":["null","float"],"doc":"A ratio [unitless]"},
			{"name":"more","type":{"type":"map","values":"long"}},
			{"name":"pair","type":["int",{"type":"array","items":"s2"}]},
			{"name":"psfFlux","type":{"type":"float"}}]},"doc":"the source"},
		{"name":"prvDiaSources","type":{"type":"array","items":"s"}}]}`,
		map[string]any{"diaSource": map[string]any{"ra": 1.5, "shape": float32(0.25), "more": map[string]any{"b": int64(2), "a": int64(1)}, "pair": []any{1}, "psfFlux": float32(3631)},
			"prvDiaSources": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	source := r.Tree.Child("diaSource")
	if n := source.Child("ra"); n.Unit != "rad" || n.Value != "1.5" || n.Doc != "Where it is [rad]." {
		t.Errorf("%+v", n)
	}
	if n := source.Child("shape"); n.Unit != "" || n.Value != "0.25" || n.Type != "float" {
		t.Errorf("%+v", n)
	}
	if n := source.Child("more"); n.Type != "map of long" || len(n.Children()) != 2 || n.Children()[0].Name != "a" || n.Children()[1].Value != "2" {
		t.Errorf("%+v", n)
	}
	if n := source.Child("pair"); n.Type != "int or array of s2" || n.Children()[0].Value != "1" {
		t.Errorf("%+v", n)
	}
	if n := source.Child("psfFlux"); n.Note != "AB 22.50 mag" {
		t.Errorf("%+v", n)
	}
	if n := r.Tree.Child("prvDiaSources"); n.Folds() || n.Value != "0 items" || n.Type != "array of s" {
		t.Errorf("%+v", n)
	}
	if !r.Words || len(r.Cutouts) != 0 {
		t.Errorf("words %v, cutouts %v", r.Words, r.Cutouts)
	}
	for text, want := range map[string]string{
		`{`: "not JSON", `{"type":"record","name":"a","fields":[{"name":"b","type":3}]}`: "field b",
		strings.Repeat(`{"type":"array","items":`, 100) + `"int"` + strings.Repeat("}", 100): "more than 64",
	} {
		if _, err := record.Read(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

func TestCurve(t *testing.T) {
	t.Parallel()
	at := func(mjd float64, band string, flux any) map[string]any {
		return map[string]any{"midPointTai": mjd, "filterName": band, "psFlux": flux, "psFluxErr": float32(2)}
	}
	c := record.CurveOf(map[string]any{
		"diaSource":           at(3, "r", float32(30)),
		"prvDiaSources":       []any{at(1, "y", float32(10)), at(2, "g", nil), "no record"},
		"prvDiaForcedSources": []any{at(1, "y", float32(11)), at(math.NaN(), "u", float32(1)), at(2.5, "white", float32(4)), map[string]any{"midpointMjdTai": 0.5, "psfFlux": float32(7)}},
	})
	var got []string
	for _, p := range c.Points {
		got = append(got, fmt.Sprintf("%v %s %s %v", p.MJD, p.Band, p.Kind, p.Flux))
	}
	want := "0.5 ? prvDiaForcedSources 7|1 y prvDiaSources 10|1 y prvDiaForcedSources 11|2.5 white prvDiaForcedSources 4|3 r diaSource 30"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, "|"), want)
	}
	if c.Points[0].Err != nil || *c.Points[4].Err != 2 || c.Left[record.Detected] != 1 || c.Left[record.Forced] != 1 {
		t.Errorf("%+v", c)
	}
	if b := c.Bands(); !slices.Equal(b, []string{"r", "y", "?", "white"}) {
		t.Errorf("bands %v", b)
	}
	if c := record.CurveOf(map[string]any{}); len(c.Points) != 0 || c.Left != nil {
		t.Errorf("of nothing: %+v", c)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ra, dec   float64
		deg, sexa string
	}{
		{150.1191666, 2.2058333, "150.1191666 +2.2058333", "10h00m28.600s +02d12m21.00s"},
		{0, -0.0001, "0.0000000 -0.0001000", "00h00m00.000s -00d00m00.36s"},
		{359.9999999, 89.9999999, "359.9999999 +89.9999999", "00h00m00.000s +90d00m00.00s"},
		{14.999999, -45.9999, "14.9999990 -45.9999000", "01h00m00.000s -45d59m59.64s"},
		{math.NaN(), 3, "-", "-"},
		{3, -91, "-", "-"},
	} {
		p := record.Place{RA: c.ra, Dec: c.dec}
		if p.Degrees() != c.deg || p.Sexagesimal() != c.sexa {
			t.Errorf("%v %v: %s, %s", c.ra, c.dec, p.Degrees(), p.Sexagesimal())
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	if m := record.Magnitude(3631); math.Abs(m-22.5) > 1e-12 {
		t.Errorf("3631 nJy is %v", m)
	}
	if !math.IsNaN(record.Magnitude(-1)) {
		t.Error("a negative flux has a magnitude")
	}
	// 2026-01-01T00:00:37 TAI is midnight UTC.
	if at := record.Time(61041 + 37./86400); at.Format("2006-01-02T15:04:05.000") != "2026-01-01T00:00:00.000" {
		t.Errorf("%v", at)
	}
	if !record.Time(math.NaN()).IsZero() || !record.Time(1e9).IsZero() {
		t.Error("no date has a time")
	}
}

// TestSamples reads the observatory's sample alerts with the words in their files.
func TestSamples(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("ALERTLAB_SAMPLES")
	if folder == "" {
		t.Skip("ALERTLAB_SAMPLES names no folder with sample-alert-v4.0.avro, sample-alert-v7.4.avro and sample-alert-v10.0.avro")
	}
	for _, version := range []string{"4.0", "7.4", "10.0"} {
		file, err := os.Open(filepath.Join(folder, "sample-alert-v"+version+".avro"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c, err := packet.NewContainerReader(file)
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		alert, err := c.Schema().Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Read(c.Text(), alert)
		if err != nil {
			t.Fatal(err)
		}
		words := version != "4.0" // which has none
		if r.Words != words || len(r.Curve.Points) < 3 || !r.Place.Known() {
			t.Errorf("%s: words %v, %d points, %v", version, r.Words, len(r.Curve.Points), r.Place)
		}
		for _, cut := range r.Cutouts {
			if cut.Problem == "" {
				t.Errorf("%s: %+v", version, cut)
			}
		}
		if n := r.Tree.Child("diaSource").Child("ra"); n.Unit != "deg" || (n.Doc != "right ascension") != words {
			t.Errorf("%s: %+v", version, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	v, _ := packet.ParseVersion("11.0")
	s, err := packet.Published(v)
	if err != nil {
		b.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: s, Alerts: 2, MidpointMjdTai: 61192.25})
	if err != nil {
		b.Fatal(err)
	}
	body, err := visit.Body(1)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		alert, err := s.Decode(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := record.Read(s.Canonical(), alert); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	im := &cutout.Image{Width: 2, Height: 3, Pixels: []float64{-10, 0, 5, math.NaN(), 10, 99}}
	w, h, levels := record.Cutout{Image: im, Low: 0, High: 10}.Levels()
	want := []float64{1, 1, 0.5, math.NaN(), 0, 0} // the top row is the file's last
	if w != 2 || h != 3 || fmt.Sprint(levels) != fmt.Sprint(want) {
		t.Errorf("%d x %d: %v", w, h, levels)
	}
	if _, _, levels := (record.Cutout{Image: im, Low: 5, High: 5}).Levels(); levels[0] != 0.5 {
		t.Errorf("between limits that are the same: %v", levels)
	}
	if w, _, levels := (record.Cutout{}).Levels(); w != 0 || levels != nil {
		t.Error("a picture of nothing")
	}
}
