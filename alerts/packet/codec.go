package packet

import (
	"errors"
	"fmt"
	"math"
	"reflect"
)

// Alert is a decoded alert: field names to values. An int is an int, a long an
// int64, float and double float32 and float64, bytes []byte, an array []any, a
// record a map[string]any; null is nil. A union's value stands for itself, not
// wrapped in its type's name.
type Alert = map[string]any

// ValueError reports a value that the schema has no place for.
type ValueError struct {
	Path string // such as "diaSource.psfFlux"
	Err  error
}

func (e *ValueError) Error() string { return fmt.Sprintf("alert field %s: %s", e.Path, e.Err) }
func (e *ValueError) Unwrap() error { return e.Err }

func (e *ValueError) in(step string) *ValueError {
	d := DatumError{Path: e.Path}
	e.Path = d.in(step).Path
	return e
}

var (
	errMissing = errors.New("missing, and may not be null")
	errRange   = errors.New("out of the type's range")
)

// Encode writes an alert as one Avro datum, without wire header. A field that
// is absent is null if it may be; fields that the schema does not have are left
// out, so that an alert decoded with one version can be encoded with another.
// Whole numbers may be of any Go integer type, and float32 and float64 stand
// for each other. Arrays are written as one block of a positive count, as
// fastavro does. Errors are *ValueError.
func (s *Schema) Encode(a Alert) ([]byte, error) {
	c, err := s.compiled()
	if err != nil {
		return nil, err
	}
	v, verr := c.layout.toAvro(map[string]any(a))
	if verr != nil {
		return nil, verr
	}
	body, err := c.api.Marshal(c.schema, v)
	if err != nil {
		return nil, &ValueError{Path: c.layout.name, Err: err}
	}
	return body, nil
}

// Decode reads one Avro datum that was written with this schema. Bytes
// missing at the end, or left over, are a *DatumError.
func (s *Schema) Decode(body []byte) (Alert, error) {
	c, err := s.compiled()
	if err != nil {
		return nil, err
	}
	// The library grows slices to what a datum claims before it reads it, and
	// takes a datum that ends early at some places for a whole one.
	if err := c.layout.whole(body); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(c.layout.fields))
	if err := c.api.Unmarshal(c.schema, body, &out); err != nil {
		return nil, &DatumError{Err: err}
	}
	return out, nil
}

// toAvro turns a value into what the Avro library takes for this type: exact
// Go types, and a map from the branch's name for a record in a union, where
// the library cannot tell a record from its own notation for unions.
func (l *layout) toAvro(v any) (any, *ValueError) {
	switch l.kind {
	case kindInt, kindLong:
		return l.integer(v)
	case kindFloat:
		switch f := v.(type) {
		case float32:
			return f, nil
		case float64:
			return float32(f), nil
		}
	case kindDouble:
		switch f := v.(type) {
		case float64:
			return f, nil
		case float32:
			return float64(f), nil
		}
	case kindBoolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case kindString, kindEnum:
		if s, ok := v.(string); ok {
			return s, nil
		}
	case kindBytes:
		if b, ok := v.([]byte); ok && b != nil {
			return b, nil
		}
	case kindNull:
		if v == nil {
			return nil, nil
		}
	case kindFixed:
		return v, nil
	case kindRecord:
		if m, ok := v.(map[string]any); ok && m != nil {
			return l.recordToAvro(m)
		}
	case kindMap:
		if m, ok := v.(map[string]any); ok && m != nil {
			out := make(map[string]any, len(m))
			for k, v := range m {
				w, err := l.item.toAvro(v)
				if err != nil {
					return nil, err.in(k)
				}
				out[k] = w
			}
			return out, nil
		}
	case kindArray:
		return l.arrayToAvro(v)
	case kindUnion:
		return l.unionToAvro(v)
	}
	if v == nil {
		return nil, &ValueError{Err: errMissing}
	}
	return nil, &ValueError{Err: fmt.Errorf("a %T where the schema wants %s", v, l.name)}
}

func (l *layout) recordToAvro(m map[string]any) (any, *ValueError) {
	out := make(map[string]any, len(l.fields))
	for i := range l.fields {
		f := &l.fields[i]
		w, err := f.toAvro(m[f.name])
		if err != nil {
			return nil, err.in(f.name)
		}
		out[f.name] = w
	}
	return out, nil
}

func (l *layout) arrayToAvro(v any) (any, *ValueError) {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() || rv.Kind() != reflect.Slice || rv.IsNil() {
		return nil, &ValueError{Err: fmt.Errorf("a %T where the schema wants an array", v)}
	}
	out := make([]any, rv.Len())
	for i := range out {
		w, err := l.item.toAvro(rv.Index(i).Interface())
		if err != nil {
			return nil, err.in(fmt.Sprintf("[%d]", i))
		}
		out[i] = w
	}
	return out, nil
}

func (l *layout) unionToAvro(v any) (any, *ValueError) {
	inner, _, _, ok := l.optional()
	if !ok {
		// A union of several types takes the library's own notation.
		return v, nil
	}
	if v == nil {
		return nil, nil
	}
	w, err := inner.toAvro(v)
	if err != nil {
		return nil, err
	}
	if inner.kind == kindRecord || inner.kind == kindMap {
		return map[string]any{inner.name: w}, nil
	}
	return w, nil
}

func (l *layout) integer(v any) (any, *ValueError) {
	var n int64
	switch rv := reflect.ValueOf(v); {
	case !rv.IsValid():
		return nil, &ValueError{Err: errMissing}
	case rv.CanInt():
		n = rv.Int()
	case rv.CanUint():
		if rv.Uint() > math.MaxInt64 {
			return nil, &ValueError{Err: errRange}
		}
		n = int64(rv.Uint())
	default:
		return nil, &ValueError{Err: fmt.Errorf("a %T where the schema wants %s", v, l.name)}
	}
	if l.kind == kindLong {
		return n, nil
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return nil, &ValueError{Err: errRange}
	}
	return int(n), nil
}
