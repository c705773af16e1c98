package record

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Kind says what a point of a light curve is.
type Kind string

// The kinds of points.
const (
	Current  Kind = "diaSource"           // the detection that the alert is about
	Detected Kind = "prvDiaSources"       // an earlier detection
	Forced   Kind = "prvDiaForcedSources" // a measurement at the place, detected or not
)

// Point is one measurement: the flux of a point source in the difference image.
type Point struct {
	Kind Kind    `json:"kind"`
	ID   int64   `json:"id,omitempty"`
	MJD  float64 `json:"mjd"` // mid-exposure, days TAI
	Band string  `json:"band"`
	Flux float64 `json:"flux"` // nJy
	// Err is its uncertainty, nJy; absent where the alert has none.
	Err *float64 `json:"fluxErr,omitempty"`
}

// Curve is a light curve.
type Curve struct {
	// Points are in the order of time; of the same time, detections first.
	Points []Point `json:"points"`
	// Left counts what has no time or no flux, by where it stands.
	Left map[Kind]int `json:"left,omitempty"`
}

// Bands are the bands that a curve has, those of the LSST in the order of their
// wavelength first.
func (c Curve) Bands() []string {
	var out []string
	for _, p := range c.Points {
		if !slices.Contains(out, p.Band) {
			out = append(out, p.Band)
		}
	}
	rank := func(band string) int {
		if i := strings.Index(LSSTBands, band); i >= 0 && len(band) == 1 {
			return i
		}
		return len(LSSTBands)
	}
	slices.SortFunc(out, func(a, b string) int {
		if n := cmp.Compare(rank(a), rank(b)); n != 0 {
			return n
		}
		return cmp.Compare(a, b)
	})
	return out
}

// LSSTBands are the six bands in the order of their wavelength.
const LSSTBands = "ugrizy"

// CurveOf gathers the light curve of a decoded alert of any schema version.
func CurveOf(alert map[string]any) Curve {
	c := Curve{Points: []Point{}}
	if source, ok := alert["diaSource"].(map[string]any); ok {
		c.add(Current, source)
	}
	for _, kind := range []Kind{Detected, Forced} {
		rows, _ := alert[string(kind)].([]any)
		for _, row := range rows {
			if m, ok := row.(map[string]any); ok {
				c.add(kind, m)
			}
		}
	}
	rank := map[Kind]int{Current: 0, Detected: 1, Forced: 2}
	slices.SortStableFunc(c.Points, func(a, b Point) int {
		if n := cmp.Compare(a.MJD, b.MJD); n != 0 {
			return n
		}
		return cmp.Compare(rank[a.Kind], rank[b.Kind])
	})
	return c
}

func (c *Curve) add(kind Kind, row map[string]any) {
	mjd, okTime := number(row, "midpointMjdTai", "midPointTai")
	flux, okFlux := number(row, "psfFlux", "psFlux")
	if !okTime || !okFlux {
		if c.Left == nil {
			c.Left = map[Kind]int{}
		}
		c.Left[kind]++
		return
	}
	p := Point{Kind: kind, MJD: mjd, Flux: flux, Band: band(row)}
	if e, ok := number(row, "psfFluxErr", "psFluxErr"); ok {
		p.Err = &e
	}
	p.ID, _ = firstWhole(row, "diaSourceId", "diaForcedSourceId")
	c.Points = append(c.Points, p)
}

// band of a source, "?" where it has none.
func band(row map[string]any) string {
	for _, name := range []string{"band", "filterName"} {
		if s, ok := row[name].(string); ok && s != "" {
			return s
		}
	}
	return "?"
}

// number takes the first of the fields that is a finite number; names changed over
// the versions.
func number(row map[string]any, names ...string) (float64, bool) {
	for _, name := range names {
		if f, ok := float(row[name]); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, true
		}
	}
	return math.NaN(), false
}

// float gives a value of Avro's float or double.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	}
	return 0, false
}

func firstWhole(row map[string]any, names ...string) (int64, bool) {
	for _, name := range names {
		switch v := row[name].(type) {
		case int64:
			return v, true
		case int:
			return int64(v), true
		}
	}
	return 0, false
}
