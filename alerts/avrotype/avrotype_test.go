package avrotype_test

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/avrotype"
)

// spelt writes a type out, a record in full where it is met first.
func spelt(t *avrotype.Type, seen map[*avrotype.Type]bool) string {
	text := t.Kind + " " + t.Name + t.Detail
	if t.Kind == t.Name {
		text = t.Name + t.Detail
	}
	if t.Item != nil {
		text += " of " + spelt(t.Item, seen)
	}
	for _, b := range t.Branches {
		text += " | " + spelt(b, seen)
	}
	if seen[t] || len(t.Fields) == 0 {
		return text
	}
	seen[t] = true
	var fields []string
	for _, f := range t.Fields {
		field := f.Name + ": " + spelt(f.Of, seen)
		if f.Default != "" {
			field += " = " + f.Default
		}
		if f.Doc != "" {
			field += " # " + f.Doc
		}
		fields = append(fields, field)
	}
	return text + " {" + strings.Join(fields, "; ") + "}"
}

func TestRead(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`"int"`:           "int",
		`{"type":"int"}`:  "int",
		`["null","long"]`: "union | null | long",
		`{"type":"array","items":{"type":"map","values":"bytes"}}`:     "array of map of bytes",
		`{"type":"long","logicalType":"timestamp-micros"}`:             "long (timestamp-micros)",
		`{"type":"enum","name":"n.band","symbols":["g","r"]}`:          `enum band of ["g","r"]`,
		`{"type":"fixed","name":"id","namespace":"n","size":16}`:       "fixed id of 16 bytes",
		`{"type":{"type":"string"}}`:                                   "string",
		`{"type":"error","name":"e","fields":[]}`:                      "record e",
		`{"type":"record","name":"a","fields":[{"type":"elsewhere"}]}`: "record a {: elsewhere}",
		// A default stays as it is written; a library that reads numbers makes 3 of 3.0
		// and loses the end of a long one.
		`{"type":"record","name":"a","fields":[{"name":"x","type":"double","default":3.0,"doc":"w"},{"name":"y","type":"long","default":9007199254740993}]}`: "record a {x: double = 3.0 # w; y: long = 9007199254740993}",
		// Names count from the namespace that they stand in, and a record may hold itself.
		`{"type":"record","name":"a","namespace":"n","fields":[
			{"name":"one","type":{"type":"record","name":"m.b","fields":[{"name":"again","type":["null","b"]}]}},
			{"name":"two","type":"m.b"},{"name":"three","type":"b"},{"name":"four","type":{"type":"n.a","logicalType":"no"}}]}`: "record a {one: record b {again: union | null | record b}; two: record b; three: b; four: record a}",
	} {
		got, err := avrotype.Read(schema)
		if err != nil {
			t.Errorf("%s: %v", schema, err)
			continue
		}
		if got := spelt(got, map[*avrotype.Type]bool{}); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", schema, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{`: "it is not JSON", `"int" "int"`: "more text", `7`: "a type is 7", `{}`: "a type is null",
		`{"type":"record","name":"a","fields":[{"name":"b","type":["int",false]}]}`: "field b of a: a type is false",
		`["null","array"]`: "what the array is of", `{"type":{"type":["map"]}}`: "what the map is of",
		`{"type":"record","name":"a","fields":["b"]}`:                                      `record a has a field that is "b"`,
		strings.Repeat(`{"type":"array","items":`, 65) + `"int"` + strings.Repeat("}", 65): "more than 64",
	} {
		if _, err := avrotype.Read(schema); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", schema, err)
		}
	}
}
