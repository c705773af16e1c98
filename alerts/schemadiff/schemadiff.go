package schemadiff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What says what happened to a field.
type What string

// What can happen to a field.
const (
	Added   What = "added"
	Removed What = "removed"
	Type    What = "type"    // its type changed
	Default What = "default" // its default did, or was given, or taken away
	Doc     What = "doc"     // the words on it did
	Order   What = "order"   // it stands elsewhere in its record
)

// Change is one difference. A field of which several things changed has several.
type Change struct {
	What What `json:"what"`
	// Path leads to the field from the top, "[]" standing for the items of an array
	// or map: "diaSource.psfFlux", "prvDiaNondetectionLimits[].band".
	Path string `json:"path"`
	// Also are other paths to the same record, which is compared once.
	Also []string `json:"also,omitempty"`
	// Before and After are the types, defaults (as JSON) or words; one of them is
	// empty where there is none. Of Order they are the places, counted from 1.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Sign is the change's kind in one character: + - ~.
func (c Change) Sign() string {
	switch c.What {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return "~"
}

// Error says that a text is no schema.
type Error struct {
	Which string // "first", "second"
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("the %s schema: %v", e.Which, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Compare lists what changed from one schema to another, in the order of the first
// one's fields, with what was added to a record behind what it had. Records are the
// same when the same path leads to them: every version of an alert schema has names
// of its own. Errors are *Error.
func Compare(before, after string) ([]Change, error) {
	a, err := parse(before)
	if err != nil {
		return nil, &Error{"first", err}
	}
	b, err := parse(after)
	if err != nil {
		return nil, &Error{"second", err}
	}
	c := &comparison{seen: map[pair]string{}, changes: []Change{}}
	if a.text() != b.text() {
		c.add(Change{What: Type, Before: a.text(), After: b.text()})
	}
	c.types("", a, b)
	for i := range c.changes {
		record, _ := cutLast(c.changes[i].Path)
		c.changes[i].Also = under(c.also[record], c.changes[i].Path, record)
	}
	return c.changes, nil
}

// under gives the other paths to a field of a record.
func under(records []string, path, record string) []string {
	rest := strings.TrimPrefix(path, record)
	var out []string
	for _, r := range records {
		out = append(out, r+rest)
	}
	return out
}

func cutLast(path string) (record, field string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

type pair struct{ before, after *schemaType }

type comparison struct {
	changes []Change
	seen    map[pair]string     // records that were compared, and by which path
	also    map[string][]string // other paths to a record, by that one
}

func (c *comparison) add(change Change) { c.changes = append(c.changes, change) }

// types compares what two types hold; what they are called was compared before.
func (c *comparison) types(path string, a, b *schemaType) {
	switch {
	case a.kind == "record" && b.kind == "record":
		if first, ok := c.seen[pair{a, b}]; ok {
			if c.also == nil {
				c.also = map[string][]string{}
			}
			c.also[first] = append(c.also[first], path)
			return
		}
		c.seen[pair{a, b}] = path
		c.records(path, a, b)
	case (a.kind == "array" || a.kind == "map") && a.kind == b.kind:
		c.types(path+"[]", a.item, b.item)
	case a.kind == "union" || b.kind == "union":
		// The branches that hold something are compared where each has one of the
		// kind.
		for _, kind := range []string{"record", "array", "map"} {
			x, y := a.branch(kind), b.branch(kind)
			if x != nil && y != nil {
				c.types(path, x, y)
			}
		}
	}
}

func (c *comparison) records(path string, a, b *schemaType) {
	at := func(field string) string {
		if path == "" {
			return field
		}
		return path + "." + field
	}
	find := func(t *schemaType, name string) int {
		return slices.IndexFunc(t.fields, func(f schemaField) bool { return f.name == name })
	}
	// The order is that of the fields that both have.
	var inA, inB []string
	for _, f := range a.fields {
		if find(b, f.name) >= 0 {
			inA = append(inA, f.name)
		}
	}
	for _, f := range b.fields {
		if find(a, f.name) >= 0 {
			inB = append(inB, f.name)
		}
	}
	moved := outOfOrder(inA, inB)
	for i, old := range a.fields {
		j := find(b, old.name)
		if j < 0 {
			c.add(Change{What: Removed, Path: at(old.name), Before: old.of.text()})
			continue
		}
		now := b.fields[j]
		if x, y := old.of.text(), now.of.text(); x != y {
			c.add(Change{What: Type, Path: at(old.name), Before: x, After: y})
		}
		if old.def != now.def {
			c.add(Change{What: Default, Path: at(old.name), Before: old.def, After: now.def})
		}
		if old.doc != now.doc {
			c.add(Change{What: Doc, Path: at(old.name), Before: old.doc, After: now.doc})
		}
		if moved[old.name] {
			c.add(Change{What: Order, Path: at(old.name), Before: fmt.Sprint(i + 1), After: fmt.Sprint(j + 1)})
		}
		c.types(at(old.name), old.of, now.of)
	}
	for _, now := range b.fields {
		if find(a, now.name) < 0 {
			c.add(Change{What: Added, Path: at(now.name), After: now.of.text()})
		}
	}
}

// outOfOrder gives the fewest names that must move to make one order the other:
// those outside of a longest common run of names.
func outOfOrder(a, b []string) map[string]bool {
	place := map[string]int{}
	for i, name := range b {
		place[name] = i
	}
	// The longest increasing sequence of places, by its ends.
	ends, from := []int{}, make([]int, len(a))
	for i, name := range a {
		k, _ := slices.BinarySearchFunc(ends, place[name], func(e, p int) int { return place[a[e]] - p })
		from[i] = -1
		if k > 0 {
			from[i] = ends[k-1]
		}
		if k == len(ends) {
			ends = append(ends, i)
		} else {
			ends[k] = i
		}
	}
	moved := map[string]bool{}
	for _, name := range a {
		moved[name] = true
	}
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = from[i] {
			delete(moved, a[i])
		}
	}
	return moved
}

// schemaType is a type with what is compared of it.
type schemaType struct {
	kind     string
	name     string // simple name, or the kind's
	detail   string // of an enum or fixed; the logical type
	fields   []schemaField
	item     *schemaType
	branches []*schemaType
}

type schemaField struct {
	name, doc string
	def       string // JSON; "" for none
	of        *schemaType
}

func (t *schemaType) branch(kind string) *schemaType {
	if t.kind == kind {
		return t
	}
	for _, b := range t.branches {
		if b.kind == kind {
			return b
		}
	}
	return nil
}

// text says a type in words, the names without their namespace.
func (t *schemaType) text() string {
	switch t.kind {
	case "array", "map":
		return t.kind + " of " + t.item.text()
	case "union":
		var names []string
		for _, b := range t.branches {
			names = append(names, b.text())
		}
		return strings.Join(names, " or ")
	}
	return t.name + t.detail
}

const maxDepth = 64

type reader struct{ named map[string]*schemaType }

func parse(text string) (*schemaType, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more text after it")
	}
	return (&reader{named: map[string]*schemaType{}}).read(v, "", 0)
}

func (r *reader) read(v any, namespace string, depth int) (*schemaType, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d types are within each other", maxDepth)
	}
	switch v := v.(type) {
	case string:
		for _, name := range []string{namespace + "." + v, v} {
			if t := r.named[name]; t != nil {
				return t, nil
			}
		}
		return &schemaType{kind: v, name: v}, nil
	case []any:
		t := &schemaType{kind: "union"}
		for _, b := range v {
			of, err := r.read(b, namespace, depth+1)
			if err != nil {
				return nil, err
			}
			t.branches = append(t.branches, of)
		}
		return t, nil
	case map[string]any:
		return r.object(v, namespace, depth)
	}
	return nil, fmt.Errorf("a type is %s", jsonText(v))
}

func (r *reader) object(v map[string]any, namespace string, depth int) (*schemaType, error) {
	kind, ok := v["type"].(string)
	if !ok {
		return r.read(v["type"], namespace, depth+1)
	}
	t := &schemaType{kind: kind, name: kind}
	var err error
	switch kind {
	case "array":
		t.item, err = r.read(v["items"], namespace, depth+1)
		return t, err
	case "map":
		t.item, err = r.read(v["values"], namespace, depth+1)
		return t, err
	case "record", "error", "enum", "fixed":
		return r.namedType(t, v, namespace, depth)
	}
	if logical, ok := v["logicalType"].(string); ok {
		t.detail = " (" + logical + ")"
		return t, nil
	}
	return r.read(kind, namespace, depth+1)
}

func (r *reader) namedType(t *schemaType, v map[string]any, namespace string, depth int) (*schemaType, error) {
	if t.kind == "error" {
		t.kind = "record"
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
	switch t.kind {
	case "enum":
		t.detail = " of " + jsonText(v["symbols"])
	case "fixed":
		t.detail = " of " + jsonText(v["size"]) + " bytes"
	}
	fields, _ := v["fields"].([]any)
	for _, f := range fields {
		m, ok := f.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("record %s has a field that is %s", name, jsonText(f))
		}
		var field schemaField
		field.name, _ = m["name"].(string)
		field.doc, _ = m["doc"].(string)
		if def, ok := m["default"]; ok {
			field.def = jsonText(def)
		}
		var err error
		if field.of, err = r.read(m["type"], namespace, depth+1); err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", field.name, name, err)
		}
		t.fields = append(t.fields, field)
	}
	return t, nil
}

// jsonText writes a value as JSON, the members of objects sorted.
func jsonText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
