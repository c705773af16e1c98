package packet

import (
	"encoding/binary"
	"errors"
	"math"
)

// Glance is what a list shows of an alert. Numbers that the schema does not have,
// or that are null, are NaN, whole ones 0, texts "".
type Glance struct {
	Head
	Visit   int64   // diaSource.visit, or ccdVisitId (3.0 to 6.1)
	Band    string  // diaSource.band or filterName
	RA, Dec float64 // degrees
	Flux    float64 // difference flux of a point source, nJy
	FluxErr float64 // nJy
	SNR     float64
}

// Glance reads what a list shows of an alert without decoding the rest: of an alert
// of 80 kB it looks at a few hundred bytes. As Head, it does not notice a datum that
// is cut off after diaSource, and its errors are Head's.
func (s *Schema) Glance(body []byte) (Glance, error) {
	c, err := s.compiled()
	if err != nil {
		return Glance{}, err
	}
	g, err := c.glance(body)
	if errors.Is(err, errNoHead) {
		return Glance{}, &SchemaError{Schema: c.layout.name, Err: err}
	}
	return g, err
}

// maxBand bounds the text of a band that is kept.
const maxBand = 16

// glanceOf finds the fields once and returns the reader for them.
func glanceOf(l *layout) func([]byte) (Glance, error) {
	id, okID := firstField(l, kindLong, "diaSourceId", "alertId")
	source, okSource := firstField(l, kindRecord, "diaSource")
	if !okID || !okSource {
		return func([]byte) (Glance, error) { return Glance{}, errNoHead }
	}
	record := l.fields[source].layout
	if _, ok := firstField(record, kindDouble, "midpointMjdTai", "midPointTai"); !ok {
		return func([]byte) (Glance, error) { return Glance{}, errNoHead }
	}
	// takers are by field of diaSource; nil for one that is passed over.
	takers := make([]func(*Glance, value), len(record.fields))
	take := func(f func(*Glance, value), names ...string) {
		for _, name := range names {
			if i, ok := record.field(name); ok {
				takers[i] = f
				return
			}
		}
	}
	take(func(g *Glance, v value) { g.MidpointMjdTai = v.number }, "midpointMjdTai", "midPointTai")
	take(func(g *Glance, v value) { g.Visit = v.whole }, "visit", "ccdVisitId")
	take(func(g *Glance, v value) { g.Band = string(v.text[:min(len(v.text), maxBand)]) }, "band", "filterName")
	take(func(g *Glance, v value) { g.RA = v.number }, "ra")
	take(func(g *Glance, v value) { g.Dec = v.number }, "dec", "decl")
	take(func(g *Glance, v value) { g.Flux = v.number }, "psfFlux", "psFlux")
	take(func(g *Glance, v value) { g.FluxErr = v.number }, "psfFluxErr", "psFluxErr")
	take(func(g *Glance, v value) { g.SNR = v.number }, "snr")
	last := 0
	for i, t := range takers {
		if t != nil {
			last = i
		}
	}
	return func(body []byte) (Glance, error) {
		nan := math.NaN()
		g := Glance{RA: nan, Dec: nan, Flux: nan, FluxErr: nan, SNR: nan}
		at := 0
		for i := 0; i <= max(id, source); i++ {
			f := &l.fields[i]
			var end int
			var err *DatumError
			switch {
			case i == id:
				g.ID, end, err = readLong(body, at)
			case i == source:
				// What follows the last taken field is walked only when the id is
				// behind the source.
				until := last
				if id > source {
					until = len(record.fields) - 1
				}
				end, err = glanceSource(record, takers, until, body, at, &g)
			default:
				end, err = f.skip(body, at)
			}
			if err != nil {
				return Glance{}, err.in(f.name)
			}
			at = end
		}
		return g, nil
	}
}

func glanceSource(record *layout, takers []func(*Glance, value), until int, body []byte, at int, g *Glance) (int, *DatumError) {
	for i := 0; i <= until; i++ {
		f := &record.fields[i]
		end, err := f.skip(body, at)
		if err != nil {
			return at, err.in(f.name)
		}
		if takers[i] != nil {
			if v, ok := f.value(body[at:end]); ok {
				takers[i](g, v)
			}
		}
		at = end
	}
	return at, nil
}

// value is a scalar, as far as it is of its kind.
type value struct {
	number float64
	whole  int64
	text   []byte
}

// value reads a scalar that skip has found whole; false for null and for what is
// none.
func (l *layout) value(b []byte) (value, bool) {
	v := value{number: math.NaN()}
	switch l.kind {
	case kindInt, kindLong:
		n, _, err := readLong(b, 0)
		v.whole, v.number = n, float64(n)
		return v, err == nil
	case kindFloat:
		v.number = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		return v, true
	case kindDouble:
		v.number = math.Float64frombits(binary.LittleEndian.Uint64(b))
		return v, true
	case kindString:
		_, end, err := readLong(b, 0)
		if err != nil {
			return v, false
		}
		v.text = b[end:]
		return v, true
	case kindUnion:
		n, end, err := readLong(b, 0)
		if err != nil || l.branches[n].kind == kindUnion {
			return v, false
		}
		return l.branches[n].value(b[end:])
	}
	return v, false
}
