package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Head is what the data plane needs to know of an alert to store and to
// time it.
type Head struct {
	// ID is the top-level alertId (schemas 3.0 to 7.4) or diaSourceId (8.0 on).
	ID int64
	// MidpointMjdTai is the observation's mid-exposure time, MJD days TAI:
	// diaSource.midPointTai (3.0, 4.0) or diaSource.midpointMjdTai (5.0 on).
	MidpointMjdTai float64
}

var errNoHead = errors.New("no top-level alertId or diaSourceId (long), or no midpoint time (double) in diaSource")

// Head reads an alert's head without decoding the rest. It looks no further
// than diaSource, so it does not notice a datum that is cut off after it.
// Errors are *DatumError, or *SchemaError for a schema that has no such
// fields.
func (s *Schema) Head(body []byte) (Head, error) {
	c, err := s.compiled()
	if err != nil {
		return Head{}, err
	}
	h, err := c.head(body)
	if errors.Is(err, errNoHead) {
		return Head{}, &SchemaError{Schema: c.layout.name, Err: err}
	}
	return h, err
}

// headOf finds the fields once and returns the reader for them.
func headOf(l *layout) func([]byte) (Head, error) {
	id, okID := firstField(l, kindLong, "diaSourceId", "alertId")
	source, okSource := firstField(l, kindRecord, "diaSource")
	if !okID || !okSource {
		return func([]byte) (Head, error) { return Head{}, errNoHead }
	}
	midpoint, ok := firstField(l.fields[source].layout, kindDouble, "midpointMjdTai", "midPointTai")
	if !ok {
		return func([]byte) (Head, error) { return Head{}, errNoHead }
	}
	return func(body []byte) (Head, error) {
		var h Head
		at := 0
		for i := 0; i <= max(id, source); i++ {
			f := &l.fields[i]
			var end int
			var err *DatumError
			switch i {
			case id:
				h.ID, end, err = readLong(body, at)
			case source:
				h.MidpointMjdTai, end, err = readDoubleField(f.layout, midpoint, body, at)
			default:
				end, err = f.skip(body, at)
			}
			if err != nil {
				return Head{}, err.in(f.name)
			}
			at = end
		}
		return h, nil
	}
}

// readDoubleField reads one double of the record at body[at] and returns where
// the record ends. The fields after it are walked too only because what
// follows the record may still be wanted.
func readDoubleField(record *layout, index int, body []byte, at int) (float64, int, *DatumError) {
	var v float64
	for i := range record.fields {
		end, err := record.fields[i].skip(body, at)
		if err != nil {
			return 0, at, err.in(record.fields[i].name)
		}
		if i == index {
			v = math.Float64frombits(binary.LittleEndian.Uint64(body[at:]))
		}
		at = end
	}
	return v, at, nil
}

func firstField(l *layout, want kind, names ...string) (int, bool) {
	for _, name := range names {
		if i, ok := l.field(name); ok && l.fields[i].kind == want {
			return i, true
		}
	}
	return 0, false
}

// String is for logs.
func (h Head) String() string { return fmt.Sprintf("%d at MJD %.6f", h.ID, h.MidpointMjdTai) }
