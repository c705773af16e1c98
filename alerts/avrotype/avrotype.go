package avrotype

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Type is a type of a schema. Types of the same name are the same *Type, so that a
// record may hold itself.
type Type struct {
	// Kind is "record" (also of Avro's "error"), "enum", "fixed", "array", "map",
	// "union", a primitive's name, or a name that no type of the schema has.
	Kind     string
	Name     string  // without its namespace; Kind where it has none
	Detail   string  // behind the name: an enum's symbols, a fixed's size, the logical type
	Fields   []Field // of a record
	Item     *Type   // of an array or map
	Branches []*Type // of a union
}

// Field is a field of a record.
type Field struct {
	Name, Doc string
	Default   string // as JSON, the members of objects sorted; "" for none
	Of        *Type
}

const maxDepth = 64 // of nested types; the published alert schemas have nine levels

// Read reads a schema. The error says what in the text is no type.
func Read(schema string) (*Type, error) {
	dec := json.NewDecoder(strings.NewReader(schema))
	dec.UseNumber() // a default stays as it was written
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more text after it")
	}
	return (&reader{named: map[string]*Type{}}).read(v, "", 0)
}

type reader struct{ named map[string]*Type }

// find gives the type of a name, as seen from a namespace; nil if there is none.
func (r *reader) find(name, namespace string) *Type {
	if t := r.named[namespace+"."+name]; t != nil {
		return t
	}
	return r.named[name]
}

func (r *reader) read(v any, namespace string, depth int) (*Type, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d types are within each other", maxDepth)
	}
	switch v := v.(type) {
	case string:
		if t := r.find(v, namespace); t != nil {
			return t, nil
		}
		if v == "array" || v == "map" {
			return nil, fmt.Errorf("it is not said what the %s is of", v)
		}
		return &Type{Kind: v, Name: v}, nil
	case []any:
		t := &Type{Kind: "union", Name: "union"}
		for _, b := range v {
			of, err := r.read(b, namespace, depth+1)
			if err != nil {
				return nil, err
			}
			t.Branches = append(t.Branches, of)
		}
		return t, nil
	case map[string]any:
		return r.object(v, namespace, depth)
	}
	return nil, fmt.Errorf("a type is %s", JSON(v))
}

func (r *reader) object(v map[string]any, namespace string, depth int) (*Type, error) {
	kind, ok := v["type"].(string)
	if !ok {
		return r.read(v["type"], namespace, depth+1)
	}
	t := &Type{Kind: kind, Name: kind}
	var err error
	switch kind {
	case "array":
		t.Item, err = r.read(v["items"], namespace, depth+1)
		return t, err
	case "map":
		t.Item, err = r.read(v["values"], namespace, depth+1)
		return t, err
	case "record", "error", "enum", "fixed":
		return r.namedType(t, v, namespace, depth)
	}
	if named := r.find(kind, namespace); named != nil {
		return named, nil
	}
	if logical, ok := v["logicalType"].(string); ok {
		t.Detail = " (" + logical + ")"
	}
	return t, nil
}

func (r *reader) namedType(t *Type, v map[string]any, namespace string, depth int) (*Type, error) {
	if t.Kind == "error" {
		t.Kind = "record"
	}
	name, _ := v["name"].(string)
	if ns, ok := v["namespace"].(string); ok {
		namespace = ns
	}
	full := name
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		namespace, name = name[:i], name[i+1:]
	} else if namespace != "" {
		full = namespace + "." + name
	}
	t.Name = name
	r.named[full] = t
	switch t.Kind {
	case "enum":
		t.Detail = " of " + JSON(v["symbols"])
	case "fixed":
		t.Detail = " of " + JSON(v["size"]) + " bytes"
	}
	fields, _ := v["fields"].([]any)
	for _, f := range fields {
		m, ok := f.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("record %s has a field that is %s", name, JSON(f))
		}
		var field Field
		field.Name, _ = m["name"].(string)
		field.Doc, _ = m["doc"].(string)
		if def, ok := m["default"]; ok {
			field.Default = JSON(def)
		}
		var err error
		if field.Of, err = r.read(m["type"], namespace, depth+1); err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", field.Name, name, err)
		}
		t.Fields = append(t.Fields, field)
	}
	return t, nil
}

// JSON writes a value of a schema, such as a default or a name, as one line of JSON in
// which "<", ">" and "&" stand as they are and the members of objects are sorted.
func JSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
