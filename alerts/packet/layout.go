package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hamba/avro/v2"
)

// layout is the shape of a type as far as bytes go. The Avro library decodes
// values but does not tell where a datum ends, which is what container files
// and Head need; so the walk over bytes is our own, and values are the
// library's.
type layout struct {
	kind     kind
	name     string // full name of a named type, else the name of its kind
	fields   []layoutField
	item     *layout   // of an array or a map
	branches []*layout // of a union
	size     int       // bytes of a fixed, symbols of an enum
	least    int       // the fewest bytes that a datum takes
	weight   int       // types in it, repeated ones counted again
}

type layoutField struct {
	name string
	*layout
}

type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindRecord
	kindEnum
	kindArray
	kindMap
	kindUnion
	kindFixed
)

var primitives = map[avro.Type]layout{
	avro.Null:    {kind: kindNull},
	avro.Boolean: {kind: kindBoolean, least: 1},
	avro.Int:     {kind: kindInt, least: 1},
	avro.Long:    {kind: kindLong, least: 1},
	avro.Float:   {kind: kindFloat, least: 4},
	avro.Double:  {kind: kindDouble, least: 8},
	avro.Bytes:   {kind: kindBytes, least: 1},
	avro.String:  {kind: kindString, least: 1},
}

const (
	// maxWeight bounds the work for one datum: a schema of a few lines can
	// nest records so that one datum has a number of fields exponential in
	// their number. The largest published schema weighs under 3,000.
	maxWeight = 1 << 20
	// maxEmptyItems bounds arrays whose items take no bytes, where the count
	// cannot be held against what is left.
	maxEmptyItems = 1 << 16
)

var (
	errRecursive = errors.New("a record contains itself")
	errHuge      = fmt.Errorf("more than %d types when spelt out", maxWeight)
)

func layoutOf(s avro.Schema) (*layout, error) {
	return (&layoutMaker{named: make(map[string]*layout)}).make(s)
}

// layoutMaker holds nil for a named type whose making is under way.
type layoutMaker struct{ named map[string]*layout }

func (m *layoutMaker) make(s avro.Schema) (*layout, error) {
	if ref, ok := s.(*avro.RefSchema); ok {
		s = ref.Schema()
	}
	if p, ok := primitives[s.Type()]; ok {
		p.name, p.weight = string(s.Type()), 1
		return &p, nil
	}
	named, ok := s.(avro.NamedSchema)
	if ok {
		if l, ok := m.named[named.FullName()]; ok {
			if l == nil {
				return nil, fmt.Errorf("%s: %w", named.FullName(), errRecursive)
			}
			return l, nil
		}
		m.named[named.FullName()] = nil
	}
	l, err := m.complex(s)
	if err != nil {
		return nil, err
	}
	if l.weight > maxWeight || l.least > math.MaxInt32 {
		return nil, fmt.Errorf("%s: %w", l.name, errHuge)
	}
	if named != nil {
		m.named[named.FullName()] = l
	}
	return l, nil
}

func (m *layoutMaker) complex(s avro.Schema) (*layout, error) {
	switch s := s.(type) {
	case *avro.RecordSchema:
		l := &layout{kind: kindRecord, name: s.FullName(), weight: 1}
		for _, f := range s.Fields() {
			fl, err := m.make(f.Type())
			if err != nil {
				return nil, err
			}
			l.fields = append(l.fields, layoutField{name: f.Name(), layout: fl})
			l.least += fl.least
			l.weight += fl.weight
			if l.weight > maxWeight {
				return nil, fmt.Errorf("%s: %w", l.name, errHuge)
			}
		}
		return l, nil
	case *avro.EnumSchema:
		return &layout{kind: kindEnum, name: s.FullName(), size: len(s.Symbols()), least: 1, weight: 1}, nil
	case *avro.FixedSchema:
		return &layout{kind: kindFixed, name: s.FullName(), size: s.Size(), least: s.Size(), weight: 1}, nil
	case *avro.ArraySchema:
		item, err := m.make(s.Items())
		if err != nil {
			return nil, err
		}
		return &layout{kind: kindArray, name: "array", item: item, least: 1, weight: 1 + item.weight}, nil
	case *avro.MapSchema:
		item, err := m.make(s.Values())
		if err != nil {
			return nil, err
		}
		return &layout{kind: kindMap, name: "map", item: item, least: 1, weight: 1 + item.weight}, nil
	case *avro.UnionSchema:
		l := &layout{kind: kindUnion, name: "union", weight: 1, least: math.MaxInt32}
		for _, b := range s.Types() {
			bl, err := m.make(b)
			if err != nil {
				return nil, err
			}
			l.branches = append(l.branches, bl)
			l.weight += bl.weight
			l.least = min(l.least, 1+bl.least)
		}
		return l, nil
	}
	return nil, fmt.Errorf("type %s has no known layout", s.Type())
}

// optional splits a union of null and one other type; null is the index of
// null and value that of the other. It is false for every other type.
func (l *layout) optional() (inner *layout, null, value int, ok bool) {
	if l.kind != kindUnion || len(l.branches) != 2 {
		return nil, 0, 0, false
	}
	for i, b := range l.branches {
		if b.kind == kindNull {
			return l.branches[1-i], i, 1 - i, true
		}
	}
	return nil, 0, 0, false
}

// field finds a field of a record.
func (l *layout) field(name string) (int, bool) {
	for i, f := range l.fields {
		if f.name == name {
			return i, true
		}
	}
	return 0, false
}

func (l *layout) eachUnionBranch(seen map[*layout]bool, visit func(*layout)) {
	if seen[l] {
		return
	}
	seen[l] = true
	for _, f := range l.fields {
		f.eachUnionBranch(seen, visit)
	}
	if l.item != nil {
		l.item.eachUnionBranch(seen, visit)
	}
	for _, b := range l.branches {
		visit(b)
		b.eachUnionBranch(seen, visit)
	}
}

// DatumError reports bytes that are not one datum of the schema.
type DatumError struct {
	Path   string // field in question, such as "diaSource.psfFlux"; "" for the whole
	Offset int    // bytes from the beginning of the datum
	Err    error  // io.ErrUnexpectedEOF when bytes are missing
}

func (e *DatumError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("avro datum, byte %d: %s", e.Offset, e.Err)
	}
	return fmt.Sprintf("avro datum, field %s, byte %d: %s", e.Path, e.Offset, e.Err)
}

func (e *DatumError) Unwrap() error { return e.Err }

// in puts a step in front of the path, from the innermost field outwards.
func (e *DatumError) in(step string) *DatumError {
	switch {
	case e.Path == "":
		e.Path = step
	case e.Path[0] == '[':
		e.Path = step + e.Path
	default:
		e.Path = step + "." + e.Path
	}
	return e
}

var (
	errVarint   = errors.New("a number takes more bytes than its type allows")
	errNegative = errors.New("negative length")
	errBoolean  = errors.New("a boolean is neither 0 nor 1")
	errBranch   = errors.New("no such branch of the union")
	errSymbol   = errors.New("no such symbol of the enum")
	errBlock    = errors.New("the items of a block do not fill its stated size")
	errItems    = fmt.Errorf("more than %d items of no size", maxEmptyItems)
	errTrailing = errors.New("bytes after the end of the datum")
)

func short(b []byte) *DatumError { return &DatumError{Offset: len(b), Err: io.ErrUnexpectedEOF} }

// skip returns where the datum that begins at b[at] ends.
func (l *layout) skip(b []byte, at int) (int, *DatumError) {
	switch l.kind {
	case kindNull:
		return at, nil
	case kindBoolean:
		if at >= len(b) {
			return at, short(b)
		}
		if b[at] > 1 {
			return at, &DatumError{Offset: at, Err: errBoolean}
		}
		return at + 1, nil
	case kindInt:
		_, end, err := readInt(b, at)
		return end, err
	case kindLong:
		_, end, err := readLong(b, at)
		return end, err
	case kindFloat:
		return skipBytes(b, at, 4)
	case kindDouble:
		return skipBytes(b, at, 8)
	case kindFixed:
		return skipBytes(b, at, int64(l.size))
	case kindBytes, kindString:
		n, end, err := readLong(b, at)
		if err != nil {
			return at, err
		}
		return skipBytes(b, end, n)
	case kindEnum:
		n, end, err := readInt(b, at)
		if err == nil && (n < 0 || n >= int64(l.size)) {
			err = &DatumError{Offset: at, Err: errSymbol}
		}
		return end, err
	case kindUnion:
		n, end, err := readInt(b, at)
		if err != nil {
			return at, err
		}
		if n < 0 || n >= int64(len(l.branches)) {
			return at, &DatumError{Offset: at, Err: errBranch}
		}
		return l.branches[n].skip(b, end)
	case kindRecord:
		for i := range l.fields {
			end, err := l.fields[i].skip(b, at)
			if err != nil {
				return at, err.in(l.fields[i].name)
			}
			at = end
		}
		return at, nil
	default:
		return l.skipBlocks(b, at)
	}
}

// skipBlocks walks an array or a map: blocks of a count and so many items,
// until a count of zero. A negative count is followed by the block's size in
// bytes, which is checked rather than trusted.
func (l *layout) skipBlocks(b []byte, at int) (int, *DatumError) {
	least := l.item.least
	if l.kind == kindMap {
		least++ // the key's length
	}
	var items int64
	for {
		start := at
		count, end, err := readLong(b, at)
		if err != nil {
			return at, err
		}
		at = end
		if count == 0 {
			return at, nil
		}
		size := int64(-1)
		if count < 0 {
			if count == math.MinInt64 {
				return start, &DatumError{Offset: start, Err: errVarint}
			}
			count = -count
			if size, at, err = readLong(b, at); err != nil {
				return at, err
			}
			if size < 0 {
				return at, &DatumError{Offset: start, Err: errNegative}
			}
		}
		if least > 0 && count > int64((len(b)-at)/least) {
			return at, short(b)
		}
		if least == 0 && (count > maxEmptyItems || items+count > maxEmptyItems) {
			return at, &DatumError{Offset: start, Err: errItems}
		}
		first := at
		for range count {
			if l.kind == kindMap {
				n, end, err := readLong(b, at)
				if err != nil {
					return at, err
				}
				if at, err = skipBytes(b, end, n); err != nil {
					return at, err
				}
			}
			if at, err = l.item.skip(b, at); err != nil {
				return at, err.in(fmt.Sprintf("[%d]", items))
			}
			items++
		}
		if size >= 0 && int64(at-first) != size {
			return at, &DatumError{Offset: start, Err: errBlock}
		}
	}
}

func skipBytes(b []byte, at int, n int64) (int, *DatumError) {
	if n < 0 {
		return at, &DatumError{Offset: at, Err: errNegative}
	}
	if n > int64(len(b)-at) {
		return at, short(b)
	}
	return at + int(n), nil
}

func readLong(b []byte, at int) (int64, int, *DatumError) {
	if at < len(b) && b[at] < 0x80 { // most numbers in an alert
		u := b[at]
		return int64(u>>1) ^ -int64(u&1), at + 1, nil
	}
	v, n := binary.Varint(b[at:])
	switch {
	case n == 0:
		return 0, at, short(b)
	case n < 0:
		return 0, at, &DatumError{Offset: at, Err: errVarint}
	}
	return v, at + n, nil
}

func readInt(b []byte, at int) (int64, int, *DatumError) {
	v, end, err := readLong(b, at)
	if err == nil && (v > math.MaxInt32 || v < math.MinInt32 || end-at > binary.MaxVarintLen32) {
		err = &DatumError{Offset: at, Err: errVarint}
	}
	return v, end, err
}

// whole checks that b is exactly one datum.
func (l *layout) whole(b []byte) error {
	end, err := l.skip(b, 0)
	if err != nil {
		return err
	}
	if end != len(b) {
		return &DatumError{Offset: end, Err: errTrailing}
	}
	return nil
}
