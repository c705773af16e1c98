package packet

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// schemasCSV is the table of every field of every record of every published
// version, in order: version,record,field,type,nullable,default,logicalType.
//
//go:embed schemas.csv
var schemasCSV string

// catalogue is the table by version, each version's schema made when asked for.
type catalogue struct {
	versions []Version
	schemas  map[Version]func() (*Schema, error)
	err      error
}

// published reads the table once; what it returns never changes.
var published = sync.OnceValue(func() *catalogue {
	tables, err := readTable(strings.NewReader(schemasCSV))
	if err != nil {
		return &catalogue{err: fmt.Errorf("embedded table of alert schemas: %w", err)}
	}
	c := &catalogue{schemas: make(map[Version]func() (*Schema, error), len(tables))}
	for v, t := range tables {
		c.versions = append(c.versions, v)
		c.schemas[v] = sync.OnceValues(func() (*Schema, error) {
			text, err := t.canonical(v)
			if err != nil {
				return nil, &SchemaError{Schema: v.Namespace(), Err: err}
			}
			return newSchema(v, text), nil
		})
	}
	slices.SortFunc(c.versions, Version.Compare)
	return c
})

// Versions lists the published versions, ascending, 3.0 to 11.0.
func Versions() []Version { return slices.Clone(published().versions) }

func isPublished(v Version) bool {
	_, ok := published().schemas[v]
	return ok
}

// UnknownVersionError reports a version that was never published.
type UnknownVersionError struct{ Version Version }

func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("alert schema %s is not one of the published versions", e.Version)
}

// Published returns the schema of a published version. It is built on first
// use, kept, and safe for concurrent use. The error is *UnknownVersionError
// for any other version.
func Published(v Version) (*Schema, error) {
	c := published()
	if c.err != nil {
		return nil, c.err
	}
	build, ok := c.schemas[v]
	if !ok {
		return nil, &UnknownVersionError{Version: v}
	}
	return build()
}

// table is one version: its records by name.
type table map[string][]tableField

type tableField struct {
	name     string
	typ      string // Avro primitive, full record name, or array<full record name>
	nullable bool   // a union of null and typ, null first
}

var tableHeader = []string{"version", "record", "field", "type", "nullable", "default", "logicalType"}

func readTable(r io.Reader) (map[Version]table, error) {
	cr := csv.NewReader(r)
	cr.ReuseRecord = true
	head, err := cr.Read()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(head, tableHeader) {
		return nil, fmt.Errorf("columns %v, want %v", head, tableHeader)
	}
	tables := make(map[Version]table)
	for {
		row, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return tables, nil
		}
		if err != nil {
			return nil, err
		}
		v, err := ParseVersion(row[0])
		if err != nil {
			return nil, err
		}
		t := tables[v]
		if t == nil {
			t = make(table)
			tables[v] = t
		}
		t[row[1]] = append(t[row[1]], tableField{name: row[2], typ: row[3], nullable: row[4] == "true"})
	}
}

// canonical writes the alert record in Avro parsing canonical form: full
// names, attributes in the order name, type, fields, items, each record spelt
// out where it is first used and referred to by name after that; no doc,
// default or logicalType.
func (t table) canonical(v Version) (string, error) {
	w := canonicalWriter{table: t, namespace: v.Namespace() + ".", seen: make(map[string]bool)}
	if err := w.record("alert"); err != nil {
		return "", err
	}
	return w.String(), nil
}

type canonicalWriter struct {
	strings.Builder
	table     table
	namespace string
	seen      map[string]bool
}

func (w *canonicalWriter) record(name string) error {
	fields, ok := w.table[name]
	if !ok {
		return fmt.Errorf("no record %s%s", w.namespace, name)
	}
	w.seen[name] = true
	fmt.Fprintf(w, `{"name":"%s%s","type":"record","fields":[`, w.namespace, name)
	for i, f := range fields {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString(`{"name":"`)
		w.WriteString(f.name)
		w.WriteString(`","type":`)
		if f.nullable {
			w.WriteString(`["null",`)
		}
		if err := w.typ(f.typ); err != nil {
			return fmt.Errorf("field %s.%s: %w", name, f.name, err)
		}
		if f.nullable {
			w.WriteByte(']')
		}
		w.WriteByte('}')
	}
	w.WriteString("]}")
	return nil
}

func (w *canonicalWriter) typ(typ string) error {
	if items, ok := strings.CutPrefix(typ, "array<"); ok {
		w.WriteString(`{"type":"array","items":`)
		if err := w.typ(strings.TrimSuffix(items, ">")); err != nil {
			return err
		}
		w.WriteByte('}')
		return nil
	}
	if name, ok := strings.CutPrefix(typ, w.namespace); ok && !w.seen[name] {
		return w.record(name)
	}
	w.WriteByte('"')
	w.WriteString(typ)
	w.WriteByte('"')
	return nil
}
