package packet

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// fill appends the Avro encoding of one value to dst. A schema is turned into
// fills once, so that making an alert looks up no names.
type fill func(s *scene, dst []byte) []byte

// put is a fill that may have nothing to say: false, and dst as it was.
type put func(s *scene, dst []byte) ([]byte, bool)

// alertPlan is a schema as the generator sees it.
type alertPlan struct {
	fill   fill
	rows   rowFills
	stamps int  // how many fields are for stamps
	moving bool // there is a record for solar-system objects
	guess  bool // fields that are not known get a value by their type
}

// with gives the values of a record as this plan wants them.
func (p *alertPlan) with(v values) values {
	v.guess = p.guess
	return v
}

// rowFills make records of the history arrays; nil for an array that the
// schema does not have.
type rowFills struct{ source, forced, limit fill }

// planOf makes the plan of an alert record. With guess, fields that are not known
// by their name get a value all the same.
func planOf(alert *layout, guess bool) (*alertPlan, error) {
	p := &alertPlan{guess: guess}
	fills := make([]fill, 0, len(alert.fields))
	for i := range alert.fields {
		f := &alert.fields[i]
		special, err := p.alertField(f)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
		if special == nil {
			if special, err = putOf(f.name, inner(f.layout), p.with(alertValues)); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.name, err)
			}
		}
		fills = append(fills, fillOf(f.layout, special))
	}
	if _, ok := firstField(alert, kindRecord, "diaSource"); !ok {
		return nil, errNoHead
	}
	p.fill = sequence(fills)
	return p, nil
}

// alertField handles the fields that make an alert: its source, history,
// object and stamps. For any other it returns nil.
func (p *alertPlan) alertField(f *layoutField) (put, error) {
	l := inner(f.layout)
	switch {
	case f.name == "diaSource" && l.kind == kindRecord:
		return recordPut(l, p.with(sourceValues), always)
	case f.name == "diaObject" && l.kind == kindRecord:
		return recordPut(l, p.with(objectValues), func(s *scene) bool { return !s.moving })
	case movingRecords[f.name] != nil && l.kind == kindRecord:
		p.moving = true
		return recordPut(l, p.with(*movingRecords[f.name]), func(s *scene) bool { return s.moving })
	case l.kind == kindArray && l.item.kind == kindRecord:
		return p.historyField(f.name, l)
	case l.kind == kindBytes && stampFields[f.name].kind != "":
		p.stamps++
		stamp := stampFields[f.name]
		return func(s *scene, dst []byte) ([]byte, bool) {
			set := &s.v.stamps
			if set.side == 0 {
				return dst, false
			}
			flux := stamp.flux(&s.m)
			dst = binary.AppendVarint(dst, int64(fitsBlock+blocked(4*set.side*set.side)))
			return set.append(dst, stamp.kind, s, flux, s.m.sigma), true
		}, nil
	}
	return nil, nil
}

func (p *alertPlan) historyField(name string, l *layout) (put, error) {
	type history struct {
		values values
		fill   *fill
		rows   func(*scene) *rows
	}
	h, ok := map[string]history{
		"prvDiaSources":            {sourceValues, &p.rows.source, func(s *scene) *rows { return &s.sources }},
		"prvDiaForcedSources":      {forcedValues, &p.rows.forced, func(s *scene) *rows { return &s.forced }},
		"prvDiaNondetectionLimits": {limitValues, &p.rows.limit, func(s *scene) *rows { return &s.limits }},
	}[name]
	if !ok {
		return nil, nil
	}
	fields, err := recordFills(l.item, p.with(h.values))
	if err != nil {
		return nil, err
	}
	*h.fill = fields
	return func(s *scene, dst []byte) ([]byte, bool) {
		r := h.rows(s)
		if len(r.ends) == 0 {
			return dst, false
		}
		return r.append(dst), true
	}, nil
}

var stampFields = map[string]struct {
	kind string
	flux func(*measurement) float64
}{
	"cutoutDifference": {stampDifference, func(m *measurement) float64 { return m.diff }},
	"cutoutScience":    {stampScience, func(m *measurement) float64 { return m.diff + m.template }},
	"cutoutTemplate":   {stampTemplate, func(m *measurement) float64 { return m.template }},
}

func always(*scene) bool { return true }

func recordPut(l *layout, v values, when func(*scene) bool) (put, error) {
	f, err := recordFills(l, v)
	if err != nil {
		return nil, err
	}
	return func(s *scene, dst []byte) ([]byte, bool) {
		if !when(s) {
			return dst, false
		}
		return f(s, dst), true
	}, nil
}

func recordFills(l *layout, v values) (fill, error) {
	fills := make([]fill, len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		p, err := putOf(f.name, inner(f.layout), v)
		if err != nil {
			return nil, fmt.Errorf("field %s.%s: %w", l.name, f.name, err)
		}
		fills[i] = fillOf(f.layout, p)
	}
	return sequence(fills), nil
}

func sequence(fills []fill) fill {
	return func(s *scene, dst []byte) []byte {
		for _, f := range fills {
			dst = f(s, dst)
		}
		return dst
	}
}

// inner is the type that a value has when it is not null.
func inner(l *layout) *layout {
	if in, _, _, ok := l.optional(); ok {
		return in
	}
	return l
}

// fillOf writes a put's value where l stands; without one it writes null, or,
// where null is not allowed, the type's zero.
func fillOf(l *layout, p put) fill {
	_, null, value, ok := l.optional()
	if !ok {
		zero := zeroOf(l)
		return func(s *scene, dst []byte) []byte {
			out, ok := p(s, dst)
			if !ok {
				return append(dst, zero...)
			}
			return out
		}
	}
	nullBranch, valueBranch := byte(null<<1), byte(value<<1) // as Avro varints
	return func(s *scene, dst []byte) []byte {
		n := len(dst)
		out, ok := p(s, append(dst, valueBranch))
		if !ok {
			return append(out[:n], nullBranch)
		}
		return out
	}
}

// zeroOf is the encoding of 0, false, "", no items, the first branch, or a
// record of those.
func zeroOf(l *layout) []byte {
	switch l.kind {
	case kindNull:
		return nil
	case kindRecord:
		var b []byte
		for i := range l.fields {
			b = append(b, zeroOf(l.fields[i].layout)...)
		}
		return b
	case kindUnion:
		if _, null, _, ok := l.optional(); ok {
			return []byte{byte(null << 1)}
		}
		return append([]byte{0}, zeroOf(l.branches[0])...)
	}
	return make([]byte, l.least)
}

// putOf chooses the value of a field by its name, else by what names of its
// kind usually mean, and writes it as the schema's type. What has no value
// stays without one.
func putOf(name string, l *layout, v values) (put, error) {
	name, band := v.plain(name)
	switch l.kind {
	case kindLong, kindInt:
		if id, ok := v.ids[name]; ok {
			return putWhole(l.kind, id), nil
		}
		if x := v.number(name, band, l.kind); x != nil {
			return putWhole(l.kind, func(s *scene) int64 {
				f := x(s)
				if math.IsNaN(f) {
					return none
				}
				return int64(math.Round(f))
			}), nil
		}
	case kindFloat:
		if x := v.number(name, band, l.kind); x != nil {
			return func(s *scene, dst []byte) ([]byte, bool) {
				f := x(s)
				return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), f == f
			}, nil
		}
	case kindDouble:
		if x := v.number(name, band, l.kind); x != nil {
			return func(s *scene, dst []byte) ([]byte, bool) {
				f := x(s)
				return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), f == f
			}, nil
		}
	case kindBoolean:
		x := v.flag(name)
		return func(s *scene, dst []byte) ([]byte, bool) {
			if x(s) {
				return append(dst, 1), true
			}
			return append(dst, 0), true
		}, nil
	case kindString:
		if x, ok := v.texts[name]; ok {
			return func(s *scene, dst []byte) ([]byte, bool) {
				t := x(s)
				dst = binary.AppendVarint(dst, int64(len(t)))
				return append(dst, t...), t != ""
			}, nil
		}
	}
	if v.guess {
		guess := guessOf(name, l, v)
		return func(s *scene, dst []byte) ([]byte, bool) { return guess(s, dst), true }, nil
	}
	return func(_ *scene, dst []byte) ([]byte, bool) { return dst, false }, nil
}

// maxGuesses bounds the items of an array that nobody knows.
const maxGuesses = 4

// guessOf gives a value of a type and nothing more: what the author of a schema
// that is not released sees in fields that only they know. In records the fields
// that are known have their values.
func guessOf(name string, l *layout, v values) fill {
	items := int64(maxGuesses)
	if v.within {
		items = 1 // arrays of arrays would grow beyond measure
	}
	v.within = true
	one := func(l *layout) fill {
		p, err := putOf(name, inner(l), v)
		if err != nil {
			return func(_ *scene, dst []byte) []byte { return append(dst, zeroOf(l)...) }
		}
		return fillOf(l, p)
	}
	switch l.kind {
	case kindInt, kindLong:
		return func(s *scene, dst []byte) []byte { return binary.AppendVarint(dst, s.rng.Int64N(100)) }
	case kindFloat:
		return func(s *scene, dst []byte) []byte {
			return binary.LittleEndian.AppendUint32(dst, math.Float32bits(s.rng.Float32()))
		}
	case kindDouble:
		return func(s *scene, dst []byte) []byte {
			return binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.rng.Float64()))
		}
	case kindString, kindBytes:
		return func(s *scene, dst []byte) []byte {
			text := name + "-" + strconv.Itoa(s.rng.IntN(10))
			return append(binary.AppendVarint(dst, int64(len(text))), text...)
		}
	case kindEnum:
		return func(s *scene, dst []byte) []byte { return binary.AppendVarint(dst, s.rng.Int64N(int64(l.size))) }
	case kindFixed:
		return func(s *scene, dst []byte) []byte {
			for range l.size {
				dst = append(dst, byte(s.rng.Uint32()))
			}
			return dst
		}
	case kindArray, kindMap:
		item := one(l.item)
		return func(s *scene, dst []byte) []byte {
			n := 1 + s.rng.Int64N(items)
			dst = binary.AppendVarint(dst, n)
			for i := range n {
				if l.kind == kindMap {
					key := name + "-" + strconv.FormatInt(i, 10)
					dst = append(binary.AppendVarint(dst, int64(len(key))), key...)
				}
				dst = item(s, dst)
			}
			return append(dst, 0)
		}
	case kindRecord:
		if fields, err := recordFills(l, v); err == nil {
			return fields
		}
	case kindUnion:
		branches := make([]fill, len(l.branches))
		for i, b := range l.branches {
			branches[i] = one(b)
		}
		return func(s *scene, dst []byte) []byte {
			i := s.rng.IntN(len(branches))
			return branches[i](s, binary.AppendVarint(dst, int64(i)))
		}
	}
	return func(_ *scene, dst []byte) []byte { return append(dst, zeroOf(l)...) }
}

// none is the absent whole number.
const none = math.MinInt64

func putWhole(k kind, x func(*scene) int64) put {
	return func(s *scene, dst []byte) ([]byte, bool) {
		n := x(s)
		if n == none {
			return dst, false
		}
		if k == kindInt {
			n = min(max(n, math.MinInt32), math.MaxInt32)
		}
		return binary.AppendVarint(dst, n), true
	}
}
