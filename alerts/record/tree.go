package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Node is a field of a record, an item of an array, or the record itself.
type Node struct {
	Name string // of the field, or "[3]" of an item
	Type string // such as "float", "diaSource", "array of diaSource"
	// Value is text: the value, or for what has children how many.
	Value string
	// Unit is the value's, "" where it has none or it is not known.
	Unit string
	// Doc says what the field is: the schema's own words or, where it has none, ours.
	Doc string
	// Note is the value said in another way: a date, a magnitude.
	Note string
	// Null says that there is no value.
	Null bool

	kids func() []*Node
	held []*Node
}

// Folds says whether there is something below.
func (n *Node) Folds() bool { return n.kids != nil }

// Children are made when they are first asked for: a packet may have a hundred
// thousand values, of which a reader sees a page. It is not safe for use by several
// goroutines.
func (n *Node) Children() []*Node {
	if n.held == nil && n.kids != nil {
		n.held = n.kids()
	}
	return n.held
}

// Child finds a child by its name, nil if there is none.
func (n *Node) Child(name string) *Node {
	for _, k := range n.Children() {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// avroType is a type of a schema as far as a tree needs it.
type avroType struct {
	name     string // simple name of a record, or of the kind
	kind     string // record, array, map, union or anything else
	fields   []avroField
	item     *avroType
	branches []*avroType
}

type avroField struct {
	name, doc string
	of        *avroType
}

// text says a type in words, without null, which a value says itself.
func (t *avroType) text() string {
	switch t.kind {
	case "array", "map":
		return t.kind + " of " + t.item.text()
	case "union":
		var names []string
		for _, b := range t.branches {
			if b.kind != "null" {
				names = append(names, b.text())
			}
		}
		return strings.Join(names, " or ")
	}
	return t.name
}

// types reads a schema's JSON.
type types struct{ named map[string]*avroType }

const maxDepth = 64 // of nested types; the published schemas have nine levels

func (r *types) read(v any, namespace string, depth int) (*avroType, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d types within each other", maxDepth)
	}
	switch v := v.(type) {
	case string:
		for _, name := range []string{namespace + "." + v, v} {
			if t := r.named[name]; t != nil {
				return t, nil
			}
		}
		return &avroType{name: v, kind: v}, nil
	case []any:
		t := &avroType{kind: "union", name: "union"}
		for _, b := range v {
			bt, err := r.read(b, namespace, depth+1)
			if err != nil {
				return nil, err
			}
			t.branches = append(t.branches, bt)
		}
		return t, nil
	case map[string]any:
		return r.object(v, namespace, depth)
	}
	return nil, fmt.Errorf("%T where a type is wanted", v)
}

func (r *types) object(v map[string]any, namespace string, depth int) (*avroType, error) {
	kind, ok := v["type"].(string)
	if !ok {
		return r.read(v["type"], namespace, depth+1)
	}
	t := &avroType{kind: kind, name: kind}
	var err error
	switch kind {
	case "array":
		t.item, err = r.read(v["items"], namespace, depth+1)
		return t, err
	case "map":
		t.item, err = r.read(v["values"], namespace, depth+1)
		return t, err
	case "record", "enum", "fixed", "error":
	default: // a primitive with attributes, or a name
		return r.read(kind, namespace, depth+1)
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
	t.name = name
	r.named[full] = t
	fields, _ := v["fields"].([]any)
	for _, f := range fields {
		m, _ := f.(map[string]any)
		field := avroField{}
		field.name, _ = m["name"].(string)
		field.doc, _ = m["doc"].(string)
		if field.of, err = r.read(m["type"], namespace, depth+1); err != nil {
			return nil, fmt.Errorf("field %s: %w", field.name, err)
		}
		t.fields = append(t.fields, field)
	}
	return t, nil
}

// TreeOf makes the tree of a decoded datum. The schema's text may have words on its
// fields, as in files, or none, as in a registry. The error is one of the text.
func TreeOf(schema string, alert map[string]any) (*Node, error) {
	var v any
	if err := json.Unmarshal([]byte(schema), &v); err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	t, err := (&types{named: map[string]*avroType{}}).read(v, "", 0)
	if err != nil {
		return nil, fmt.Errorf("the schema cannot be read: %w", err)
	}
	return node(t.name, "", t, alert), nil
}

// node makes one node of a value.
func node(name, doc string, t *avroType, value any) *Node {
	n := &Node{Name: name, Type: t.text(), Doc: strings.TrimSpace(doc)}
	n.Unit = unitOf(name, n.Doc)
	if n.Doc == "" {
		n.Doc = meaning(name)
	}
	if value == nil {
		n.Null, n.Value = true, "null"
		return n
	}
	t = t.of(value)
	switch v := value.(type) {
	case map[string]any:
		n.Unit = ""
		n.Value = plural(len(v), "field")
		n.kids = func() []*Node {
			if t.kind == "record" {
				out := make([]*Node, 0, len(t.fields))
				for _, f := range t.fields {
					out = append(out, node(f.name, f.doc, f.of, v[f.name]))
				}
				return out
			}
			item := t
			if t.kind == "map" {
				item = t.item
			}
			out := make([]*Node, 0, len(v))
			for _, key := range slices.Sorted(maps.Keys(v)) {
				out = append(out, node(key, "", item, v[key]))
			}
			return out
		}
	case []any:
		n.Unit = ""
		n.Value = plural(len(v), "item")
		if len(v) == 0 {
			return n
		}
		item := t
		if t.kind == "array" {
			item = t.item
		}
		n.kids = func() []*Node {
			out := make([]*Node, len(v))
			for i, e := range v {
				out[i] = node("["+strconv.Itoa(i)+"]", "", item, e)
				if row, ok := e.(map[string]any); ok {
					out[i].Note = rowNote(row)
				}
			}
			return out
		}
	case []byte:
		n.Value = plural(len(v), "byte")
	default:
		n.Value = scalar(v)
		n.Note = note(n, v)
	}
	return n
}

// of chooses the branch of a union that a value is of.
func (t *avroType) of(value any) *avroType {
	if t.kind != "union" {
		return t
	}
	var only *avroType
	for _, b := range t.branches {
		if b.kind == "null" {
			continue
		}
		if only == nil {
			only = b
		}
		switch value.(type) {
		case map[string]any:
			if b.kind == "record" || b.kind == "map" {
				return b
			}
		case []any:
			if b.kind == "array" {
				return b
			}
		}
	}
	if only == nil {
		return t
	}
	return only
}

func scalar(v any) string {
	switch v := v.(type) {
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// note says a number in another way.
func note(n *Node, v any) string {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case float32:
		f = float64(v)
	default:
		return ""
	}
	switch {
	case n.Unit == "d" && !strings.Contains(n.Name, "arc_length") && f > 15020:
		if at := Time(f); !at.IsZero() {
			return at.Format("2006-01-02 15:04:05.000 UTC")
		}
	case n.Unit == "nJy" && strings.Contains(n.Name, "Flux") && !strings.Contains(n.Name, "Err") && !strings.Contains(n.Name, "Sigma"):
		if m := Magnitude(f); !math.IsNaN(m) {
			return fmt.Sprintf("AB %.2f mag", m)
		}
	}
	return ""
}

// rowNote says what an item of a history is, so that one need not unfold it.
func rowNote(row map[string]any) string {
	mjd, ok := number(row, "midpointMjdTai", "midPointTai")
	if !ok {
		return ""
	}
	text := fmt.Sprintf("MJD %.4f, %s", mjd, band(row))
	if flux, ok := number(row, "psfFlux", "psFlux"); ok {
		text += fmt.Sprintf(", %.0f nJy", flux)
	}
	return text
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}
