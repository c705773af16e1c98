package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
)

// ConvertError says why alerts of one schema cannot be written with another.
type ConvertError struct {
	From, To string // namespaces or names
	Err      error
}

func (e *ConvertError) Error() string {
	return fmt.Sprintf("alerts of %s cannot be written as %s: %s", e.From, e.To, e.Err)
}
func (e *ConvertError) Unwrap() error { return e.Err }

// Converter writes alerts of one schema anew with another one. Fields are found by
// their names, also where a version renamed them (see names.go); values are carried
// over as they are. What the other schema has no place for is dropped, what it wants
// and the alert does not have is null, or zero, false or empty where it may not be
// null. The alert's id and time are always kept.
//
// It works on bytes, and may be used from many goroutines.
type Converter struct {
	convert step
	losses  []*Loss // index is the number that steps note
	counts  []atomic.Int64
	alerts  atomic.Int64
}

// Loss is one field that could not be carried over.
type Loss struct {
	// Field is its path, in the names of the schema that has the field, e.g.
	// "prvDiaSources[].flags".
	Field string
	// Dropped: the field had a value that the new schema has no place for.
	// Otherwise the new schema has the field, and Default was written.
	Dropped bool
	Default string // null, 0, false, "" or []; empty when dropped
	Alerts  int64  // in which this happened
}

// NewConverter compares two schemas. The error is a *ConvertError when the id or the
// time of an alert would be lost, or a *SchemaError.
func NewConverter(from, to *Schema) (*Converter, error) {
	a, err := from.compiled()
	if err != nil {
		return nil, err
	}
	b, err := to.compiled()
	if err != nil {
		return nil, err
	}
	refuse := func(err error) error { return &ConvertError{a.layout.name, b.layout.name, err} }
	m := &converterMaker{}
	s, ok := m.make(a.layout, b.layout, paths{})
	if !ok {
		return nil, refuse(errors.New("their types differ"))
	}
	for _, l := range m.losses {
		if !l.Dropped && (l.Field == "alertId" || l.Field == "diaSourceId" || strings.EqualFold(l.Field, "diaSource.midPointTai") || l.Field == "diaSource.midpointMjdTai") {
			return nil, refuse(fmt.Errorf("nothing in them is %s", l.Field))
		}
	}
	return &Converter{convert: s, losses: m.losses, counts: make([]atomic.Int64, len(m.losses))}, nil
}

// Convert writes one alert anew. Errors are *DatumError.
func (c *Converter) Convert(body []byte) ([]byte, error) {
	w := &conversion{out: make([]byte, 0, len(body)+len(body)/8+1024), noted: make([]bool, len(c.losses))}
	end, err := c.convert(w, body, 0)
	if err != nil {
		return nil, err
	}
	if end != len(body) {
		return nil, &DatumError{Offset: end, Err: errTrailing}
	}
	c.alerts.Add(1)
	for i, noted := range w.noted {
		if noted {
			c.counts[i].Add(1)
		}
	}
	return w.out, nil
}

// Losses lists what was lost so far, dropped fields first, each in the order of its
// schema. A field that was null in every alert is no loss.
func (c *Converter) Losses() []Loss {
	var out []Loss
	for _, dropped := range []bool{true, false} {
		for i, l := range c.losses {
			if n := c.counts[i].Load(); l.Dropped == dropped && n > 0 {
				loss := *l
				loss.Alerts = n
				out = append(out, loss)
			}
		}
	}
	return out
}

// conversion is the writing of one alert.
type conversion struct {
	out   []byte
	noted []bool // by number of the loss
}

// step converts the datum at b[at], appends it to w.out and returns where it ends.
type step func(w *conversion, b []byte, at int) (end int, err *DatumError)

type converterMaker struct{ losses []*Loss }

// paths are where a type stands, in the names of either schema.
type paths struct{ from, to string }

func (m *converterMaker) loss(l Loss) int {
	m.losses = append(m.losses, &l)
	return len(m.losses) - 1
}

// make finds how one type becomes another; false when it cannot.
func (m *converterMaker) make(from, to *layout, at paths) (step, bool) {
	innerFrom, nullFrom, _, optionalFrom := from.optional()
	innerTo, nullTo, valueTo, optionalTo := to.optional()
	if !optionalFrom && !optionalTo {
		return m.value(from, to, at)
	}
	if !optionalFrom {
		innerFrom = from
	}
	if !optionalTo {
		innerTo = to
	}
	before := len(m.losses)
	convert, ok := m.value(innerFrom, innerTo, at)
	if !ok {
		m.losses = m.losses[:before]
		return nil, false
	}
	fallback, absent := zero(to), -1
	if optionalFrom && !optionalTo {
		absent = m.loss(Loss{Field: at.to, Default: zeroText(to)})
	}
	return func(w *conversion, b []byte, at int) (int, *DatumError) {
		if optionalFrom {
			n, end, err := readInt(b, at)
			if err != nil {
				return at, err
			}
			if n < 0 || n > 1 {
				return at, &DatumError{Offset: at, Err: errBranch}
			}
			at = end
			if int(n) == nullFrom {
				if optionalTo {
					w.out = binary.AppendVarint(w.out, int64(nullTo))
				} else {
					w.out = append(w.out, fallback...)
					w.noted[absent] = true
				}
				return at, nil
			}
		}
		if optionalTo {
			w.out = binary.AppendVarint(w.out, int64(valueTo))
		}
		return convert(w, b, at)
	}, true
}

// value is make for what is not a union with null.
func (m *converterMaker) value(from, to *layout, at paths) (step, bool) {
	switch {
	case from.kind == kindRecord && to.kind == kindRecord:
		return m.record(from, to, at), true
	case from.kind == kindArray && to.kind == kindArray:
		item, ok := m.make(from.item, to.item, paths{at.from + "[]", at.to + "[]"})
		return arrayStep(from, item), ok
	case from.kind == kindFloat && to.kind == kindDouble:
		return func(w *conversion, b []byte, at int) (int, *DatumError) {
			end, err := skipBytes(b, at, 4)
			if err == nil {
				f := math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
				w.out = binary.LittleEndian.AppendUint64(w.out, math.Float64bits(float64(f)))
			}
			return end, err
		}, true
	case from.kind == kindDouble && to.kind == kindFloat:
		return func(w *conversion, b []byte, at int) (int, *DatumError) {
			end, err := skipBytes(b, at, 8)
			if err == nil {
				f := math.Float64frombits(binary.LittleEndian.Uint64(b[at:]))
				w.out = binary.LittleEndian.AppendUint32(w.out, math.Float32bits(float32(f)))
			}
			return end, err
		}, true
	case sameBytes(from, to):
		return func(w *conversion, b []byte, at int) (int, *DatumError) {
			end, err := from.skip(b, at)
			if err == nil {
				w.out = append(w.out, b[at:end]...)
			}
			return end, err
		}, true
	}
	return nil, false
}

// sameBytes tells whether every datum of one type is the same datum of the other.
func sameBytes(from, to *layout) bool {
	if from.kind != to.kind {
		text := func(l *layout) bool { return l.kind == kindBytes || l.kind == kindString }
		return from.kind == kindInt && to.kind == kindLong || text(from) && text(to)
	}
	switch from.kind {
	case kindFixed, kindEnum:
		return from.size == to.size
	case kindMap:
		return sameBytes(from.item, to.item)
	case kindUnion:
		return slices.EqualFunc(from.branches, to.branches, sameBytes)
	case kindRecord:
		return slices.EqualFunc(from.fields, to.fields, func(a, b layoutField) bool { return a.name == b.name && sameBytes(a.layout, b.layout) })
	case kindArray:
		return sameBytes(from.item, to.item)
	}
	return true
}

// fieldStep writes one field of the new record.
type fieldStep struct {
	source   int  // index of the old record's field, or -1
	convert  step // of that field
	fallback []byte
	absent   int // number of the loss that a missing source is
}

// record matches the fields of two records by their newest names.
func (m *converterMaker) record(from, to *layout, at paths) step {
	kind, toKind := newestRecord(from.name), newestRecord(to.name)
	sources := map[string]int{}
	for i, f := range from.fields {
		sources[newestField(kind, f.name)] = i
	}
	under := func(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	used := make([]bool, len(from.fields))
	plan := make([]fieldStep, len(to.fields))
	for i, f := range to.fields {
		if source, ok := sources[newestField(toKind, f.name)]; ok {
			if s, ok := m.make(from.fields[source].layout, f.layout, paths{under(at.from, from.fields[source].name), under(at.to, f.name)}); ok {
				plan[i], used[source] = fieldStep{source: source, convert: s}, true
				continue
			}
		}
		plan[i] = fieldStep{source: -1, fallback: zero(f.layout), absent: m.loss(Loss{Field: under(at.to, f.name), Default: zeroText(f.layout)})}
	}
	dropped := make([]int, len(from.fields))
	for i, f := range from.fields {
		if dropped[i] = -1; !used[i] {
			dropped[i] = m.loss(Loss{Field: under(at.from, f.name), Dropped: true})
		}
	}
	return func(w *conversion, b []byte, at int) (int, *DatumError) {
		var room [160]int // more fields than all but the oldest records have
		ends := room[:0]
		start := at
		for i := range from.fields {
			end, err := from.fields[i].skip(b, at)
			if err != nil {
				return at, err.in(from.fields[i].name)
			}
			if n := dropped[i]; n >= 0 && !w.noted[n] && from.fields[i].holds(b[at:end]) {
				w.noted[n] = true
			}
			ends = append(ends, end)
			at = end
		}
		for _, f := range plan {
			if f.source < 0 {
				w.out = append(w.out, f.fallback...)
				w.noted[f.absent] = true
				continue
			}
			begin := start
			if f.source > 0 {
				begin = ends[f.source-1]
			}
			if _, err := f.convert(w, b, begin); err != nil {
				return begin, err.in(from.fields[f.source].name)
			}
		}
		return at, nil
	}
}

// holds tells whether a datum is more than null or an empty array.
func (l *layout) holds(datum []byte) bool {
	if _, null, _, ok := l.optional(); ok {
		n, _, err := readInt(datum, 0)
		return err == nil && int(n) != null
	}
	return l.kind != kindArray && l.kind != kindMap || len(datum) > 1
}

// arrayStep converts every item and writes them as one block.
func arrayStep(from *layout, item step) step {
	return func(w *conversion, b []byte, at int) (int, *DatumError) {
		end, err := from.skip(b, at) // so that counts and sizes are what they claim
		if err != nil {
			return at, err
		}
		outer, items := w.out, int64(0)
		w.out = nil
		for {
			count, next, err := readLong(b, at)
			if err != nil {
				return at, err
			}
			at = next
			if count == 0 {
				break
			}
			if count < 0 {
				count = -count
				if _, at, err = readLong(b, at); err != nil {
					return at, err
				}
			}
			for range count {
				if at, err = item(w, b, at); err != nil {
					return at, err.in(fmt.Sprintf("[%d]", items))
				}
				items++
			}
		}
		if items > 0 {
			outer = append(binary.AppendVarint(outer, items), w.out...)
		}
		w.out = append(outer, 0)
		return end, nil
	}
}

// zero is the datum that stands for a value which is not there.
func zero(l *layout) []byte {
	if _, null, _, ok := l.optional(); ok {
		return binary.AppendVarint(nil, int64(null))
	}
	switch l.kind {
	case kindRecord:
		var out []byte
		for _, f := range l.fields {
			out = append(out, zero(f.layout)...)
		}
		return out
	case kindUnion: // of several types: the first
		return append([]byte{0}, zero(l.branches[0])...)
	case kindNull:
		return nil
	case kindFloat:
		return make([]byte, 4)
	case kindDouble:
		return make([]byte, 8)
	case kindFixed:
		return make([]byte, l.size)
	}
	return []byte{0} // 0, false, no bytes, no items, the first symbol
}

// zeroText says what zero wrote.
func zeroText(l *layout) string {
	if _, _, _, ok := l.optional(); ok {
		return "null"
	}
	switch l.kind {
	case kindBoolean:
		return "false"
	case kindString, kindBytes:
		return `""`
	case kindArray, kindMap:
		return "[]"
	case kindRecord:
		return "zeros"
	}
	return "0"
}
