package drafts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/packet"
)

// maxFile bounds a file; the largest published one has 70 kB.
const maxFile = 4 << 20

// maxFixed bounds the size of a fixed, in bytes: brokers take a megabyte in all unless
// they are told otherwise, and a draft is tried by making an alert.
const maxFixed = 1 << 20

// midpoint is the time of the visit that a draft is tried with: MJD days TAI, in
// the years of the survey.
const midpoint = 61365.0

// Draft is a schema version that is not released.
type Draft struct {
	Version packet.Version
	// Schema is the whole of it, as a registry holds it.
	Schema *packet.Schema
	// Files are its files' names within the folder, sorted.
	Files []string
	// Notes are sentences about what is no mistake, but may be one.
	Notes []string
	// defaults has the fields that have a default, as record.field.
	defaults map[string]bool
}

// Problem is one mistake.
type Problem struct {
	File string // within the folder; empty for the folder itself
	// Line and Column count from 1; both are 0 for the file as a whole.
	Line, Column int
	Message      string
}

func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems are all the mistakes of a draft.
type Problems struct {
	Folder string
	List   []Problem
}

func (e *Problems) Error() string {
	lines := []string{e.Folder + " is no alert schema:"}
	for _, p := range e.List {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

var (
	fileName = regexp.MustCompile(`^(lsst\.v[0-9]+_[0-9]+)\.([A-Za-z_][A-Za-z0-9_]*)\.avsc$`)
	nameText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) // of the Avro specification
)

// root is the simple name of the record that is an alert.
const root = "alert"

// Load reads the draft in a folder. Files that do not end in .avsc are none of its
// business. What is wrong with it is a *Problems, any other error is one of
// reading.
func Load(folder string) (*Draft, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	texts := make(map[string][]byte)
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".avsc" || e.IsDir() {
			continue
		}
		if texts[e.Name()], err = read(filepath.Join(folder, e.Name())); err != nil {
			return nil, err
		}
	}
	d, problems := assemble(texts)
	if len(problems) > 0 {
		return nil, &Problems{Folder: folder, List: problems}
	}
	return d, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b, err
}

// assemble puts the files of a draft, by their names, together.
func assemble(texts map[string][]byte) (*Draft, []Problem) {
	c := &checker{texts: texts, defs: make(map[string]def), state: make(map[string]int), fields: make(map[string]bool)}
	d := &Draft{defaults: c.fields}
	namespaces := make(map[string]bool)
	for _, name := range sorted(texts) {
		d.Files = append(d.Files, name)
		m := fileName.FindStringSubmatch(name)
		if m == nil {
			c.report(name, -1, `a schema's file is called as its record, such as "lsst.v12_0.diaSource.avsc"`)
			continue
		}
		namespaces[m[1]] = true
		c.define(name, m[1], m[1]+"."+m[2])
	}
	if len(texts) == 0 {
		return nil, []Problem{{Message: `there is no file whose name ends in ".avsc"`}}
	}
	switch len(namespaces) {
	case 0:
		return nil, c.problems
	case 1:
	default:
		c.report("", -1, "its files are of several versions: "+strings.Join(sorted(namespaces), ", "))
		return nil, c.sorted()
	}
	namespace := sorted(namespaces)[0]
	version, err := packet.VersionFromNamespace(namespace)
	if err != nil {
		c.report("", -1, err.Error())
		return nil, c.sorted()
	}
	d.Version = version
	top, ok := c.defs[namespace+"."+root]
	if !ok {
		if _, ok := texts[namespace+"."+root+".avsc"]; !ok {
			c.report("", -1, fmt.Sprintf("there is no %s.%s.avsc, the record that is an alert", namespace, root))
		}
		for _, name := range sorted(c.defs) {
			c.build(c.defs[name])
		}
		return nil, c.sorted()
	}
	tree := c.build(top)
	for _, name := range sorted(c.defs) {
		if c.state[name] == 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s is used by no other record", c.defs[name].file))
			c.build(c.defs[name])
		}
	}
	if len(c.problems) > 0 {
		return nil, c.sorted()
	}
	text, err := json.Marshal(tree)
	if err == nil {
		d.Schema, err = packet.ParseSchema(string(text))
	}
	if err == nil {
		// Whatever else a schema needs to be an alert shows when one is made.
		_, err = packet.NewVisit(packet.VisitConfig{Schema: d.Schema, Alerts: 1, MidpointMjdTai: midpoint})
	}
	if err != nil {
		var schema *packet.SchemaError
		if errors.As(err, &schema) {
			err = schema.Err
		}
		c.report(top.file, top.node.at, "this is no alert: "+err.Error())
		return nil, c.sorted()
	}
	return d, nil
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// def is a named type that is a whole file.
type def struct {
	file      string
	namespace string
	name      string // full
	node      *node
}

// checker goes over the files and reports what is wrong.
type checker struct {
	texts    map[string][]byte
	defs     map[string]def
	state    map[string]int // of named types: 0 not met, 1 under way, 2 done
	fields   map[string]bool
	problems []Problem
}

// report notes a mistake at an offset of a file; -1 is the file as a whole.
func (c *checker) report(file string, at int, message string) {
	p := Problem{File: file, Message: message}
	if at >= 0 {
		before := c.texts[file][:min(at, len(c.texts[file]))]
		p.Line = 1 + bytes.Count(before, []byte("\n"))
		p.Column = 1 + len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:])))
	}
	c.problems = append(c.problems, p)
}

func (c *checker) sorted() []Problem {
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(c.problems)
}

// define takes a file's type in under its full name.
func (c *checker) define(file, namespace, want string) {
	n, err := parse(c.texts[file])
	if err != nil {
		var wrong *jsonError
		errors.As(err, &wrong)
		c.report(file, wrong.at, wrong.msg)
		return
	}
	kind, _ := n.get("type").text()
	if n.kind != object || kind != "record" && kind != "enum" && kind != "fixed" {
		c.report(file, n.at, `a file holds one named type: an object whose "type" is "record", "enum" or "fixed"`)
		return
	}
	d := def{file: file, namespace: namespace, name: want, node: n}
	// What the file is called, others refer to.
	c.defs[want] = d
	if name, ok := c.fullName(file, n, ""); ok && name != want {
		c.report(file, n.at, fmt.Sprintf("the file's name says %s, and its type is called %s", want, name))
	}
}

// fullName gives what a named type is called.
func (c *checker) fullName(file string, n *node, namespace string) (string, bool) {
	name, ok := n.get("name").text()
	if !ok {
		c.report(file, n.at, `a named type needs a "name"`)
		return "", false
	}
	if s := n.get("namespace"); s != nil {
		text, ok := s.text()
		if !ok {
			c.report(file, s.at, `a "namespace" is a string`)
			return "", false
		}
		namespace = text
	}
	if !strings.Contains(name, ".") && namespace != "" {
		name = namespace + "." + name
	}
	for part := range strings.SplitSeq(name, ".") {
		if !nameText.MatchString(part) {
			c.report(file, n.get("name").at, fmt.Sprintf("%q is no name: letters, digits and underscores, the first no digit", name))
			return "", false
		}
	}
	return name, true
}

// build gives the JSON of a file's type, with every other type at its first use.
func (c *checker) build(d def) any {
	name, ok := c.fullName(d.file, d.node, "")
	if !ok {
		return nil
	}
	namespace := name[:max(strings.LastIndex(name, "."), 0)]
	return c.named(d.file, namespace, name, d.name, d.node)
}

// named builds a record, enum or fixed. The key is what it is remembered by.
func (c *checker) named(file, namespace, name, key string, n *node) any {
	c.state[key] = 1
	defer func() { c.state[key] = 2 }()
	kind, _ := n.get("type").text()
	out := map[string]any{"type": kind, "name": name}
	switch kind {
	case "enum":
		symbols := n.get("symbols")
		if symbols == nil || symbols.kind != list || len(symbols.items) == 0 {
			c.report(file, n.at, `an enum needs its "symbols", a list of names`)
			return nil
		}
		var names []string
		for _, item := range symbols.items {
			s, ok := item.text()
			if !ok || !nameText.MatchString(s) || slices.Contains(names, s) {
				c.report(file, item.at, "symbols are different names: letters, digits and underscores, the first no digit")
				continue
			}
			names = append(names, s)
		}
		out["symbols"] = names
	case "fixed":
		size, ok := integer(n.get("size"))
		if !ok || size < 1 {
			c.report(file, n.at, `a fixed needs its "size", a number of bytes`)
			return nil
		}
		if size > maxFixed {
			c.report(file, n.get("size").at, fmt.Sprintf("a fixed of %d bytes is in no alert: %d are the most", size, maxFixed))
			return nil
		}
		out["size"] = size
	case "record":
		out["fields"] = c.recordFields(file, namespace, simple(name), n)
	}
	return out
}

// simple is a name without its namespace.
func simple(name string) string { return name[strings.LastIndex(name, ".")+1:] }

func integer(n *node) (int64, bool) {
	if n == nil || n.kind != scalar {
		return 0, false
	}
	number, ok := n.value.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := number.Int64()
	return i, err == nil
}

func (c *checker) recordFields(file, namespace, record string, n *node) []any {
	fields := n.get("fields")
	if fields == nil || fields.kind != list {
		c.report(file, n.at, `a record needs its "fields", a list`)
		return nil
	}
	out := make([]any, 0, len(fields.items))
	seen := make(map[string]bool)
	for _, f := range fields.items {
		if f.kind != object {
			c.report(file, f.at, "a field is an object")
			continue
		}
		name, ok := f.get("name").text()
		if !ok || !nameText.MatchString(name) {
			c.report(file, f.at, `a field needs a "name" of letters, digits and underscores, the first no digit`)
			continue
		}
		if seen[name] {
			c.report(file, f.get("name").at, fmt.Sprintf("there is a field %s already", name))
		}
		seen[name] = true
		for _, m := range f.members {
			// A slip of the pen in one of these changes what a schema means.
			if !slices.Contains([]string{"name", "type", "doc", "default", "order", "aliases"}, m.name) && nearly(m.name, "name", "type", "default") {
				c.report(file, m.at, fmt.Sprintf("%q is no attribute of a field; is it a misprint?", m.name))
			}
		}
		t := f.get("type")
		if t == nil {
			c.report(file, f.at, fmt.Sprintf(`field %s has no "type"`, name))
			continue
		}
		before := len(c.problems)
		built := c.typeAt(file, namespace, t)
		if value := f.get("default"); value != nil && len(c.problems) == before {
			c.fields[record+"."+name] = true
			first := t
			if t.kind == list && len(t.items) > 0 {
				first = t.items[0]
			}
			if !fits(value, first) {
				of := "its type"
				if t.kind == list {
					of = "the first type of its union"
				}
				c.report(file, value.at, fmt.Sprintf("the default of field %s is not of %s", name, of))
			}
		}
		out = append(out, map[string]any{"name": name, "type": built})
	}
	return out
}

var primitives = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}

// typeAt builds any type that stands somewhere.
func (c *checker) typeAt(file, namespace string, t *node) any {
	if name, ok := t.text(); ok {
		return c.reference(file, namespace, name, t.at)
	}
	if t.kind == list {
		return c.union(file, namespace, t)
	}
	if t.kind != object {
		c.report(file, t.at, "a type is a name, a list (a union) or an object")
		return nil
	}
	inner := t.get("type")
	if inner == nil {
		c.report(file, t.at, `a type that is an object needs a "type"`)
		return nil
	}
	kind, ok := inner.text()
	if !ok {
		return c.typeAt(file, namespace, inner) // {"type": {"type": ...}}
	}
	switch kind {
	case "array", "map":
		key := map[string]string{"array": "items", "map": "values"}[kind]
		of := t.get(key)
		if of == nil {
			c.report(file, t.at, fmt.Sprintf("a type %q needs its %q", kind, key))
			return nil
		}
		return map[string]any{"type": kind, key: c.typeAt(file, namespace, of)}
	case "record", "enum", "fixed":
		name, ok := c.fullName(file, t, namespace)
		if !ok {
			return nil
		}
		if _, whole := c.defs[name]; whole || c.state[name] != 0 {
			c.report(file, t.at, fmt.Sprintf("%s is defined twice", name))
			return nil
		}
		return c.named(file, name[:max(strings.LastIndex(name, "."), 0)], name, name, t)
	}
	return c.reference(file, namespace, kind, inner.at)
}

func (c *checker) reference(file, namespace, name string, at int) any {
	if slices.Contains(primitives, name) {
		return name
	}
	full := name
	if !strings.Contains(name, ".") && namespace != "" {
		full = namespace + "." + name
	}
	d, isFile := c.defs[full]
	switch {
	case c.state[full] == 1:
		c.report(file, at, fmt.Sprintf("%s contains itself, and no alert could end", full))
		return nil
	case c.state[full] == 2:
		return full
	case isFile:
		return c.build(d)
	}
	message := fmt.Sprintf("%q is no type: neither one of Avro's nor in a file of this folder", name)
	for _, known := range append(sorted(c.defs), primitives...) {
		if strings.EqualFold(simple(known), simple(name)) || nearly(name, known) {
			message += fmt.Sprintf("; is it %s?", known)
			break
		}
	}
	c.report(file, at, message)
	return nil
}

func (c *checker) union(file, namespace string, t *node) any {
	if len(t.items) == 0 {
		c.report(file, t.at, "a union has at least one type")
		return nil
	}
	out := make([]any, 0, len(t.items))
	seen := make(map[string]bool)
	for _, item := range t.items {
		if item.kind == list {
			c.report(file, item.at, "a union cannot stand in a union")
			continue
		}
		built := c.typeAt(file, namespace, item)
		if built == nil {
			continue
		}
		what := branch(built)
		if seen[what] {
			c.report(file, item.at, fmt.Sprintf("the union has %s twice", what))
		}
		seen[what] = true
		out = append(out, built)
	}
	return out
}

// branch is what a union may have only once.
func branch(t any) string {
	m, ok := t.(map[string]any)
	if !ok {
		return fmt.Sprint(t)
	}
	if name, ok := m["name"]; ok {
		return fmt.Sprint(name)
	}
	return fmt.Sprint(m["type"])
}

// fits says whether a default can be a value of a type. Of a named type only the
// kind of JSON is looked at.
func fits(value, t *node) bool {
	for t.kind == object {
		t = t.get("type")
	}
	kind, _ := t.text()
	_, isText := value.text()
	_, isInteger := integer(value)
	switch kind {
	case "null":
		return value.kind == scalar && value.value == nil
	case "boolean":
		_, ok := value.value.(bool)
		return ok
	case "int", "long":
		return isInteger
	case "float", "double":
		_, ok := value.value.(json.Number)
		return ok
	case "bytes", "string", "fixed", "enum":
		return isText
	case "array":
		return value.kind == list
	case "map", "record":
		return value.kind == object
	}
	return value.kind != scalar || value.value != nil
}

// nearly says whether a word is one slip of the pen away from one of others: a
// letter too many, too few or wrong, or two in the other order.
func nearly(word string, others ...string) bool {
	return slices.ContainsFunc(others, func(other string) bool {
		i := 0
		for i < len(word) && i < len(other) && word[i] == other[i] {
			i++
		}
		a, b := word[i:], other[i:]
		switch {
		case a == "" || b == "":
			return len(a)+len(b) == 1
		case a[1:] == b[1:] || a[1:] == b || a == b[1:]:
			return true
		}
		return len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	})
}
