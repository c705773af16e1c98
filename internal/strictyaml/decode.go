package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Header is what the first keys of a file, apiVersion and kind, must say.
type Header struct{ APIVersion, Kind string }

// MaxSize is how many bytes a file may have; a longer one was named by mistake.
const MaxSize = 1 << 20

// Decode reads the one YAML document in data into the struct that into points
// to. Problems are in the report, together with the place of each value; what
// was read soundly is in the struct all the same, so that it can be validated.
//
// The types drive the reading. A field's key is the name in its `yaml` tag;
// with the option omitempty the key may be missing, and with the tag
// `default:"text"` a missing key counts as if it said that text; any other key
// is required. The
// tag `unit:"bytes"` on an int64 takes sizes with a unit (see ParseSize), and
// a time.Duration takes a duration with a unit. A map[string]string takes any
// scalars and keeps their text. Other fields are structs, slices, strings,
// booleans and whole numbers; any other type panics.
func Decode(file string, data []byte, want Header, into any) *Report {
	r := NewReport(file)
	root := r.parse(data)
	if root == nil || !r.hasHeader(root, want) {
		return r
	}
	r.readable = true
	r.value(root, "", reflect.ValueOf(into).Elem(), "")
	return r
}

// parse gives the root of the one document, or nil and a problem.
func (r *Report) parse(data []byte) *yaml.Node {
	if len(data) > MaxSize {
		r.fail("", place{1, 1}, "the file has %d bytes, more than the %d that a file of this kind may have", len(data), MaxSize)
		return nil
	}
	if at, ok := unreadable(data); ok {
		r.fail("", at, "not UTF-8 text, or a control character")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		r.fail("", place{1, 1}, "the file is empty")
		return nil
	case err != nil:
		r.syntax(data, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.fail("", place{second.Line, second.Column}, "a second YAML document begins here: one file holds one document")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(data, err)
		return nil
	}
	root := first.Content[0]
	if isNull(root) {
		r.fail("", place{1, 1}, "the file is empty")
		return nil
	}
	return root
}

// unreadable finds the first character that YAML does not allow in a file.
func unreadable(data []byte) (place, bool) {
	at := place{1, 1}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1,
			c < ' ' && c != '\t' && c != '\n' && c != '\r',
			c >= 0x7f && c < 0xa0 && c != 0x85,
			c == 0xfffe, c == 0xffff,
			c == 0xfeff && i > 0:
			return at, true
		}
		at.column++
		if c == '\n' {
			at = place{at.line + 1, 1}
		}
		i += size
	}
	return place{}, false
}

var (
	errorLine     = regexp.MustCompile(`^yaml: (?:line (\d+): )?((?s).*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// The parser of yaml.v3 counts lines from 0 in these messages, its
	// scanner from 1 in all others.
	fromZero = regexp.MustCompile(`^did not find expected (<|node content|key$|'-' indicator|',' or)`)
)

// syntax turns the error of the YAML library into one problem with a line.
func (r *Report) syntax(data []byte, err error) {
	at, message := place{line: 1}, err.Error()
	if parts := errorLine.FindStringSubmatch(message); parts != nil {
		message = parts[2]
		if n, err := strconv.Atoi(parts[1]); err == nil {
			at.line = n
			if fromZero.MatchString(message) {
				at.line++
			}
		}
	}
	if parts := unknownAnchor.FindStringSubmatch(message); parts != nil {
		if i := bytes.Index(data, []byte("*"+parts[1])); i >= 0 {
			at.line = 1 + bytes.Count(data[:i], []byte("\n"))
		}
	}
	// Some messages stand on the line after the last one.
	at.line = min(at.line, 1+bytes.Count(bytes.TrimRight(data, "\n"), []byte("\n")))
	r.fail("", at, "not valid YAML: %s", message)
}

// hasHeader tells whether the rest of the file is worth reading: in a file of
// another kind or version every key would be a problem.
func (r *Report) hasHeader(root *yaml.Node, want Header) bool {
	if root.Kind != yaml.MappingNode {
		r.fail("", position(root), "must be a mapping of keys to values, but is %s", describe(root))
		return false
	}
	ok := true
	check := func(key, want string) {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if value := root.Content[i+1]; root.Content[i].Value == key {
				if value.Kind != yaml.ScalarNode || value.Value != want {
					r.fail(key, position(value), "must be %s here, but is %s", Quote(want), describe(value))
					ok = false
				}
				return
			}
		}
	}
	check("apiVersion", want.APIVersion)
	check("kind", want.Kind)
	return ok
}

// value reads node into target, whose unit tag is unit.
func (r *Report) value(node *yaml.Node, path string, target reflect.Value, unit string) {
	at := position(node)
	r.places[path] = at
	switch {
	case node.Kind == yaml.AliasNode:
		r.fail(path, at, "aliases (*%s) are not supported: write the value out", node.Value)
		return
	case node.Anchor != "":
		r.fail(path, at, "anchors (&%s) are not supported: write the value out where it is needed", node.Anchor)
		return
	case isNull(node):
		r.fail(path, at, "has no value")
		return
	}
	switch target.Kind() {
	case reflect.Struct:
		r.mapping(node, path, target)
	case reflect.Slice:
		r.sequence(node, path, target)
	case reflect.Map:
		r.texts(node, path, target)
	default:
		if err := setScalar(node, target, unit); err != nil {
			r.fail(path, at, "%s", err)
		}
	}
}

// field is one key that a struct knows.
type field struct {
	key      string
	unit     string
	index    int
	optional bool
	// fallback is the text of the value where the key is missing, when given.
	fallback string
	given    bool
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" {
			panic(fmt.Sprintf("strictyaml: %s.%s has no yaml tag with a key", t, f.Name))
		}
		fallback, given := f.Tag.Lookup("default")
		fields = append(fields, field{key, f.Tag.Get("unit"), i, options == "omitempty", fallback, given})
	}
	return fields
}

func (r *Report) mapping(node *yaml.Node, path string, target reflect.Value) {
	if node.Kind != yaml.MappingNode {
		r.fail(path, position(node), "must be a mapping of keys to values, but is %s", describe(node))
		return
	}
	fields := fieldsOf(target.Type())
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	seen := map[string]bool{}
	misspelt := map[string]bool{} // keys that an unknown key was most likely meant to be
	r.pairs(node, path, func(key, value *yaml.Node) {
		i := slices.Index(keys, key.Value)
		if i < 0 {
			near := Nearest(key.Value, keys)
			misspelt[near] = true
			r.fail(join(path, key.Value), position(key), "unknown key %s, %s", Quote(key.Value), didYouMean(key.Value, keys))
			// What stands below is looked at too, as what it was most likely meant to be.
			if i := slices.Index(keys, near); i >= 0 && value.Kind != yaml.ScalarNode && !has(node, near) {
				meant := reflect.New(target.Field(fields[i].index).Type()).Elem()
				r.value(value, join(path, key.Value), meant, fields[i].unit)
			}
			return
		}
		seen[key.Value] = true
		r.value(value, join(path, key.Value), target.Field(fields[i].index), fields[i].unit)
	})
	for _, f := range fields {
		switch {
		case seen[f.key] || f.optional:
		case misspelt[f.key]:
			// Reported already, at the line where it can be mended.
			r.spoil(join(path, f.key))
		case f.given:
			setFallback(target.Field(f.index), f)
		default:
			r.fail(join(path, f.key), position(node), "the key is missing")
		}
	}
}

// has says whether a mapping has a key.
func has(node *yaml.Node, key string) bool {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return true
		}
	}
	return false
}

// setFallback sets what a missing key stands for. It panics when the tag of the
// field does not fit its type.
func setFallback(target reflect.Value, f field) {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: f.fallback}
	if target.Kind() == reflect.String {
		node.Tag = "!!str"
	}
	if err := setScalar(node, target, f.unit); err != nil {
		panic(fmt.Sprintf("strictyaml: the default of the key %s: %s", f.key, err))
	}
}

// pairs calls each with every key that can be one, the first time it stands.
func (r *Report) pairs(node *yaml.Node, path string, each func(key, value *yaml.Node)) {
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		first, twice := lines[key.Value]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			r.fail(path, position(key), "merge keys (<<) are not supported: write the values out")
		case key.Kind == yaml.ScalarNode && key.Anchor != "":
			r.fail(path, position(key), "anchors (&%s) are not supported", key.Anchor)
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Value == "":
			r.fail(path, position(key), "a key must be a word, but is %s", describe(key))
		case twice:
			r.fail(join(path, key.Value), position(key), "the key stands here a second time, the first is on line %d", first)
		default:
			lines[key.Value] = key.Line
			each(key, value)
		}
	}
}

func (r *Report) sequence(node *yaml.Node, path string, target reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		r.fail(path, position(node), "must be a list, but is %s", describe(node))
		return
	}
	target.Set(reflect.MakeSlice(target.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		r.value(item, fmt.Sprintf("%s[%d]", path, i), target.Index(i), "")
	}
}

// texts reads a map whose values keep the text they have in the file, as
// Kafka's configuration wants it.
func (r *Report) texts(node *yaml.Node, path string, target reflect.Value) {
	into, ok := target.Addr().Interface().(*map[string]string)
	if !ok {
		panic(fmt.Sprintf("strictyaml: cannot read into %s", target.Type()))
	}
	if node.Kind != yaml.MappingNode {
		r.fail(path, position(node), "must be a mapping of keys to values, but is %s", describe(node))
		return
	}
	*into = map[string]string{}
	r.pairs(node, path, func(key, value *yaml.Node) {
		inner := join(path, key.Value)
		r.places[inner] = position(value)
		switch {
		case isNull(value):
			r.fail(inner, position(value), "has no value")
		case value.Kind != yaml.ScalarNode || value.Anchor != "" || !plainTag(value):
			r.fail(inner, position(value), "must be one plain value, but is %s", describe(value))
		default:
			(*into)[key.Value] = value.Value
		}
	})
}

// setScalar reads a scalar into a field of a scalar type.
func setScalar(node *yaml.Node, target reflect.Value, unit string) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("must be one plain value, but is %s", describe(node))
	}
	tag := node.ShortTag()
	if !plainTag(node) {
		return fmt.Errorf("the tag %s is not supported", tag)
	}
	switch {
	case unit == "bytes":
		n, err := ParseSize(node.Value)
		target.SetInt(n)
		return err
	case target.Type() == reflect.TypeFor[time.Duration]():
		d, err := ParseDuration(node.Value)
		target.SetInt(int64(d))
		return err
	}
	switch target.Kind() {
	case reflect.String:
		if tag != "!!str" {
			return fmt.Errorf("must be text, but %s is read as %s: put it in quotes", node.Value, kindOf(tag))
		}
		target.SetString(node.Value)
	case reflect.Bool:
		// Only the two spellings that every reader of YAML agrees on.
		if tag != "!!bool" || node.Value != "true" && node.Value != "false" {
			return fmt.Errorf("must be true or false, but is %s", describe(node))
		}
		target.SetBool(node.Value == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if tag == "!!str" && node.Style != 0 {
			return fmt.Errorf("%w, but is text: leave out the quotes", errNotWhole)
		}
		n, err := ParseInt(node.Value, target.Type().Bits())
		target.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if tag == "!!str" && node.Style != 0 {
			return fmt.Errorf("%w, but is text: leave out the quotes", errNotWhole)
		}
		n, err := ParseUint(node.Value, target.Type().Bits())
		target.SetUint(n)
		return err
	default:
		panic(fmt.Sprintf("strictyaml: cannot read into %s", target.Type()))
	}
	return nil
}

func position(node *yaml.Node) place { return place{node.Line, node.Column} }

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// plainTag tells whether a scalar has one of YAML's everyday types.
func plainTag(node *yaml.Node) bool { return kindOf(node.ShortTag()) != "" }

func kindOf(tag string) string {
	switch tag {
	case "!!str":
		return "text"
	case "!!int":
		return "a whole number"
	case "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return ""
}

// describe says what stands at node, for the end of "…, but is".
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if isNull(node) {
		return "empty"
	}
	return Quote(node.Value)
}

func join(path, key string) string {
	// A key of any length may stand in the file; a path is for reading.
	const limit = 80
	if len(key) > limit {
		key = strings.ToValidUTF8(key[:limit], "") + "…"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
