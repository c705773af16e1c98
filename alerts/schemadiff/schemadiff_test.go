package schemadiff_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/schemadiff"
)

func lines(changes []schemadiff.Change) string {
	var out []string
	for _, c := range changes {
		line := c.Sign() + " " + string(c.What) + " " + c.Path + ": " + c.Before + " -> " + c.After
		if len(c.Also) > 0 {
			line += " (" + strings.Join(c.Also, ", ") + ")"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

const before = `{"type":"record","name":"n1.alert","fields":[
	{"name":"id","type":"long"},
	{"name":"source","type":{"type":"record","name":"n1.source","fields":[
		{"name":"ra","type":"double","doc":"where"},
		{"name":"flux","type":["null","float"],"default":null},
		{"name":"gone","type":"int"},
		{"name":"kind","type":{"type":"enum","name":"k","symbols":["a","b"]}},
		{"name":"when","type":{"type":"long","logicalType":"timestamp-micros"}}]}},
	{"name":"past","type":["null",{"type":"array","items":"n1.source"}]},
	{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"}]}`

const after = `{"type":"record","name":"alert","namespace":"n2","fields":[
	{"name":"id","type":"long"},
	{"name":"source","type":{"type":"record","name":"source","fields":[
		{"name":"ra","type":"double","doc":"where it is"},
		{"name":"flux","type":"float"},
		{"name":"kind","type":{"type":"enum","name":"k","symbols":["a","b","c"]}},
		{"name":"when","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"more","type":{"type":"map","values":"bytes"}}]}},
	{"name":"past","type":["null",{"type":"array","items":"source"}]},
	{"name":"c","type":"int"},{"name":"a","type":"int","default":3},{"name":"b","type":"int"},
	{"name":"new","type":{"type":"fixed","name":"f","size":16}}]}`

func TestCompare(t *testing.T) {
	t.Parallel()
	changes, err := schemadiff.Compare(before, after)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(`
~ doc source.ra: where -> where it is (past[].ra)
~ type source.flux: null or float -> float (past[].flux)
~ default source.flux: null ->  (past[].flux)
- removed source.gone: int ->  (past[].gone)
~ type source.kind: k of ["a","b"] -> k of ["a","b","c"] (past[].kind)
~ type source.when: long (timestamp-micros) -> long (timestamp-millis) (past[].when)
+ added source.more:  -> map of bytes (past[].more)
~ default a:  -> 3
~ order c: 6 -> 4
+ added new:  -> f of 16 bytes`)
	if got := lines(changes); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if changes, err := schemadiff.Compare(before, before); err != nil || len(changes) != 0 {
		t.Errorf("with itself: %v %v", changes, err)
	}
	if changes, err := schemadiff.Compare(`"int"`, `["null","int"]`); err != nil || lines(changes) != "~ type : int -> null or int" {
		t.Errorf("of no records: %s %v", lines(changes), err)
	}
}

func TestPublished(t *testing.T) {
	t.Parallel()
	text := func(version string) string {
		v, err := packet.ParseVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		s, err := packet.Published(v)
		if err != nil {
			t.Fatal(err)
		}
		return s.Canonical()
	}
	// The 10 fields of the 22 that an alert reaches may not be null any more.
	changes, err := schemadiff.Compare(text("10.0"), text("11.0"))
	if err != nil || len(changes) != 10 {
		t.Fatalf("%v\n%s", err, lines(changes))
	}
	if c := changes[0]; c.What != schemadiff.Type || c.Path != "diaSource.psfNdata" || c.Before != "null or int" || c.After != "int" ||
		len(c.Also) != 1 || c.Also[0] != "prvDiaSources[].psfNdata" {
		t.Errorf("%+v", c)
	}
	// 7.4 added two fields and moved others.
	changes, err = schemadiff.Compare(text("7.3"), text("7.4"))
	if err != nil {
		t.Fatal(err)
	}
	count := map[schemadiff.What]int{}
	for _, c := range changes {
		count[c.What]++
	}
	if count[schemadiff.Added] != 2 || count[schemadiff.Order] == 0 || count[schemadiff.Removed]+count[schemadiff.Type] != 0 {
		t.Errorf("%v\n%s", count, lines(changes))
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{`: "the second schema: it is not JSON", `"int" "int"`: "more text",
		`{"type":"record","name":"a","fields":[{"name":"b","type":7}]}`: "field b of a: a type is 7",
		`{"type":"record","name":"a","fields":[7]}`:                     "record a has a field that is 7",
		strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100):             "within each other",
	} {
		_, err := schemadiff.Compare(before, text)
		var bad *schemadiff.Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", text, err)
		}
	}
	if _, err := schemadiff.Compare(`nothing`, after); err == nil || !strings.Contains(err.Error(), "the first schema") {
		t.Error(err)
	}
}

// FuzzCompare: two texts give changes or an error, and a text has what it has.
func FuzzCompare(f *testing.F) {
	f.Add(before, after)
	f.Add(`{"type":"record","name":"a","fields":[{"name":"b","type":["null","a"]}]}`, `"a"`)
	f.Add(`["map"]`, `"array"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		_, _ = schemadiff.Compare(a, b)
		if changes, err := schemadiff.Compare(a, a); err == nil {
			for _, c := range changes {
				if c.What == schemadiff.Added || c.What == schemadiff.Removed {
					t.Fatalf("%s: %s", a, lines(changes))
				}
			}
		}
	})
}
