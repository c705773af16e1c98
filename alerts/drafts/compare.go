package drafts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
)

// Change is one difference between two versions.
type Change struct {
	Record string `json:"record"` // simple name, such as diaSource
	Field  string `json:"field"`  // empty for the record as a whole
	// Before and After are types; empty where there is no such field.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func (c Change) String() string {
	name := c.Record
	if c.Field != "" {
		name += "." + c.Field
	}
	switch {
	case c.Before == "":
		return "+ " + name + "  " + c.After
	case c.After == "":
		return "- " + name + "  " + c.Before
	}
	return "~ " + name + "  " + c.Before + " -> " + c.After
}

// Comparison is what a draft changes about another version. It takes records of
// the same simple name for the same: the full names differ in every version.
type Comparison struct {
	With    packet.Version
	Changes []Change
	// Forward are the reasons why a reader that has only the other version cannot
	// read alerts of the draft; Backward why a reader that has only the draft
	// cannot read alerts of the other version. A field of another version that
	// may be null counts as one whose default is null, as alert_packet writes
	// them all.
	Forward, Backward []string
}

// Compare says how a draft differs from another version.
func (d *Draft) Compare(with *packet.Schema) (Comparison, error) {
	before, err := recordsOf(with)
	if err != nil {
		return Comparison{}, err
	}
	after, err := recordsOf(d.Schema)
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{With: with.Version()}
	for _, record := range before.order {
		if _, ok := after.fields[record]; !ok {
			c.Changes = append(c.Changes, Change{Record: record, Before: "record"})
			continue
		}
		c.fields(d, record, before.fields[record], after.fields[record])
	}
	for _, record := range after.order {
		if _, ok := before.fields[record]; !ok {
			c.Changes = append(c.Changes, Change{Record: record, After: "record"})
		}
	}
	return c, nil
}

// fields compares one record.
func (c *Comparison) fields(d *Draft, record string, before, after []field) {
	find := func(in []field, name string) (field, bool) {
		i := slices.IndexFunc(in, func(f field) bool { return f.name == name })
		if i < 0 {
			return field{}, false
		}
		return in[i], true
	}
	for _, old := range before {
		now, ok := find(after, old.name)
		if !ok {
			c.Changes = append(c.Changes, Change{record, old.name, old.text(), ""})
			if !slices.Contains(old.branches, "null") {
				c.Forward = append(c.Forward, fmt.Sprintf("%s.%s is gone, and has no default in %s", record, old.name, c.With))
			}
			continue
		}
		if old.text() == now.text() {
			continue
		}
		c.Changes = append(c.Changes, Change{record, old.name, old.text(), now.text()})
		if w, r := unreadable(now, old); w != "" {
			c.Forward = append(c.Forward, fmt.Sprintf("%s.%s may be %s, which is not read as %s", record, old.name, w, r))
		}
		if w, r := unreadable(old, now); w != "" {
			c.Backward = append(c.Backward, fmt.Sprintf("%s.%s may be %s in %s, which is not read as %s", record, old.name, w, c.With, r))
		}
	}
	for _, now := range after {
		if _, ok := find(before, now.name); ok {
			continue
		}
		c.Changes = append(c.Changes, Change{record, now.name, "", now.text()})
		if !d.defaults[record+"."+now.name] {
			c.Backward = append(c.Backward, fmt.Sprintf("%s.%s is new and has no default", record, now.name))
		}
	}
}

// unreadable gives a branch of what is written that a reader does not take.
func unreadable(written, read field) (branch, as string) {
	for _, w := range written.branches {
		if !slices.ContainsFunc(read.branches, func(r string) bool { return promotes(w, r) }) {
			return w, read.text()
		}
	}
	return "", ""
}

// promotes follows the Avro specification's schema resolution.
func promotes(written, read string) bool {
	wider := map[string][]string{
		"int": {"long", "float", "double"}, "long": {"float", "double"}, "float": {"double"},
		"string": {"bytes"}, "bytes": {"string"},
	}
	if w, ok := strings.CutPrefix(written, "array of "); ok {
		if r, ok := strings.CutPrefix(read, "array of "); ok {
			return promotes(w, r)
		}
	}
	return written == read || slices.Contains(wider[written], read)
}

// Field is one field of a schema's records.
type Field struct{ Record, Field, Type string }

// Fields lists the fields of all records of a schema, in the order in which the
// records are first used; names are without their namespace.
func Fields(s *packet.Schema) ([]Field, error) {
	all, err := recordsOf(s)
	if err != nil {
		return nil, err
	}
	var out []Field
	for _, record := range all.order {
		for _, f := range all.fields[record] {
			out = append(out, Field{record, f.name, f.text()})
		}
	}
	return out, nil
}

// field is a field's name and the types that it may have, one if it is no union.
type field struct {
	name     string
	branches []string
}

func (f field) text() string { return strings.Join(f.branches, " or ") }

// records are the fields of a schema's records, by simple name.
type records struct {
	order  []string
	fields map[string][]field
}

func recordsOf(s *packet.Schema) (records, error) {
	n, err := parse([]byte(s.Canonical()))
	if err != nil {
		return records{}, err
	}
	out := records{fields: make(map[string][]field)}
	out.collect(n)
	return out, nil
}

// collect takes in every record below a type and gives the type's text.
func (r *records) collect(t *node) string {
	if name, ok := t.text(); ok {
		return simple(name)
	}
	if t.kind == list {
		return strings.Join(r.union(t), " or ")
	}
	kind, ok := t.get("type").text()
	if !ok {
		return r.collect(t.get("type"))
	}
	name, _ := t.get("name").text()
	switch kind {
	case "array":
		return "array of " + r.collect(t.get("items"))
	case "map":
		return "map of " + r.collect(t.get("values"))
	case "enum":
		var symbols []string
		for _, s := range t.get("symbols").items {
			text, _ := s.text()
			symbols = append(symbols, text)
		}
		return "enum of " + strings.Join(symbols, ", ")
	case "fixed":
		size, _ := integer(t.get("size"))
		return fmt.Sprintf("%d bytes", size)
	case "record":
		record := simple(name)
		r.order = append(r.order, record)
		var fields []field
		for _, f := range t.get("fields").items {
			name, _ := f.get("name").text()
			fields = append(fields, field{name: name, branches: r.union(f.get("type"))})
		}
		r.fields[record] = fields
		return record
	}
	return kind
}

func (r *records) union(t *node) []string {
	if t.kind != list {
		return []string{r.collect(t)}
	}
	var out []string
	for _, item := range t.items {
		out = append(out, r.collect(item))
	}
	return out
}
