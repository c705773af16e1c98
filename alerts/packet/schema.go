package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/hamba/avro/v2"
)

// Schema is one writer schema: a record, usually an alert. It is immutable
// and safe for concurrent use.
type Schema struct {
	version   Version
	canonical string
	// compiled is made on first use: a lab that only fills a registry needs
	// the text of fourteen schemas and the codec of one.
	compiled func() (*compiled, error)
}

type compiled struct {
	api    avro.API
	schema avro.Schema
	layout *layout
	head   func(body []byte) (Head, error)
	glance func(body []byte) (Glance, error)
}

// SchemaError reports a schema that cannot be used, and why.
type SchemaError struct {
	Schema string // its name or namespace, as far as known
	Err    error
}

func (e *SchemaError) Error() string {
	if e.Schema == "" {
		return "avro schema: " + e.Err.Error()
	}
	return fmt.Sprintf("avro schema %s: %s", e.Schema, e.Err)
}

func (e *SchemaError) Unwrap() error { return e.Err }

// ParseSchema reads the JSON text of any writer schema, such as one fetched
// from a registry or found in a container's header. It must be a record that
// does not contain itself. Documentation, defaults and logical types are
// dropped: none of them changes a datum's bytes, and without them a schema
// reads the same whether it came from a file or from a registry (so a
// timestamp is always a long of microseconds). Errors are *SchemaError.
func ParseSchema(text string) (*Schema, error) {
	var tree any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, &SchemaError{Err: fmt.Errorf("not JSON: %w", err)}
	}
	if dec.More() {
		return nil, &SchemaError{Err: errors.New("text after the schema")}
	}
	bare, err := json.Marshal(bareType(tree))
	if err != nil {
		return nil, &SchemaError{Err: err}
	}
	parsed, err := parseAvro(string(bare))
	if err != nil {
		return nil, &SchemaError{Err: err}
	}
	record, ok := parsed.(*avro.RecordSchema)
	if !ok {
		return nil, &SchemaError{Err: fmt.Errorf("%s where a record is wanted", parsed.Type())}
	}
	// A schema outside the alert series has the zero version; it still
	// encodes and decodes.
	version, _ := VersionFromNamespace(record.Namespace())
	layout, err := layoutOf(record)
	if err != nil {
		return nil, &SchemaError{Schema: record.FullName(), Err: err}
	}
	// The canonical text of a tree that uses a record a thousand times names
	// it after the first, but is only safe to write once layoutOf has found
	// the tree to be finite.
	s := &Schema{version: version, canonical: record.String()}
	s.compiled = sync.OnceValues(func() (*compiled, error) { return compile(record, layout), nil })
	return s, nil
}

// newSchema is for text that is canonical already.
func newSchema(v Version, canonical string) *Schema {
	s := &Schema{version: v, canonical: canonical}
	s.compiled = sync.OnceValues(func() (*compiled, error) {
		parsed, err := parseAvro(canonical)
		if err != nil {
			return nil, &SchemaError{Schema: v.Namespace(), Err: err}
		}
		layout, err := layoutOf(parsed)
		if err != nil {
			return nil, &SchemaError{Schema: v.Namespace(), Err: err}
		}
		return compile(parsed, layout), nil
	})
	return s
}

// Version is the alert schema version that the record's namespace tells, or
// the zero Version for a schema outside the alert series.
func (s *Schema) Version() Version { return s.version }

// ID is the version's registry ID, or 0 for the zero version.
func (s *Schema) ID() int { return s.version.ID() }

// Canonical is the Avro parsing canonical form, as a registry holds it.
func (s *Schema) Canonical() string { return s.canonical }

// parseAvro keeps names to this one text: the library's default cache would
// let a schema refer to a record that some other schema has defined.
func parseAvro(text string) (avro.Schema, error) {
	return avro.ParseWithCache(text, "", &avro.SchemaCache{})
}

func compile(s avro.Schema, l *layout) *compiled {
	api := avro.Config{
		// One plain block per array (positive count, items, zero), as fastavro
		// writes it; the library's default is blocks of 100 with a byte size.
		DisableBlockSizeHeader: true,
		BlockLength:            math.MaxInt32,
		// A stamp may exceed the default of 1 MiB. What a datum claims as its
		// sizes has been held against its real length before it is decoded.
		MaxByteSliceSize: -1,
	}.Freeze()
	l.eachUnionBranch(make(map[*layout]bool), func(branch *layout) {
		switch branch.kind {
		// Without a registered type the library wraps the value of a union in
		// a map from the branch's name.
		case kindRecord:
			api.Register(branch.name, map[string]any{})
		case kindArray:
			api.Register("array:"+branch.item.name, []any{})
		case kindMap:
			api.Register("map:"+branch.item.name, map[string]any{})
		case kindEnum:
			api.Register(branch.name, "")
		}
	})
	return &compiled{api: api, schema: s, layout: l, head: headOf(l), glance: glanceOf(l)}
}

// bareType copies the JSON of a schema without what its canonical form leaves
// out. It knows where types stand, so that a default value that looks like a
// schema is not touched as one.
func bareType(t any) any {
	switch t := t.(type) {
	case []any:
		out := make([]any, len(t))
		for i, branch := range t {
			out[i] = bareType(branch)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(t))
		for _, key := range []string{"name", "namespace", "symbols", "size"} {
			if v, ok := t[key]; ok {
				out[key] = v
			}
		}
		for _, key := range []string{"type", "items", "values"} {
			if v, ok := t[key]; ok {
				out[key] = bareType(v)
			}
		}
		if fields, ok := t["fields"].([]any); ok {
			bare := make([]any, len(fields))
			for i, f := range fields {
				bare[i] = bareType(f)
			}
			out["fields"] = bare
		}
		return out
	default:
		return t
	}
}
