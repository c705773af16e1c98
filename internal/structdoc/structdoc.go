// Package structdoc says of a struct that strictyaml reads what its keys are:
// their types, units and defaults by reflection, their meaning from the comments
// of its source. From that it makes a JSON schema for editors. It is for tests
// and generators: the source must be there.
package structdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// Kind is what may stand at a key.
type Kind string

// The kinds.
const (
	Mapping  Kind = "mapping"  // keys of its own
	List     Kind = "list"     // of mappings
	Texts    Kind = "texts"    // a list of texts
	Settings Kind = "settings" // any keys, with plain values
	Text     Kind = "text"
	Whole    Kind = "whole number"
	Switch   Kind = "true or false"
	Size     Kind = "bytes"
	Duration Kind = "duration"
)

// Key is one key of a format.
type Key struct {
	Name    string
	Meaning string // the field's comment on one line
	Kind    Kind
	// Required keys must be given. Default is the text that stands for one that
	// is left out, when HasDefault.
	Required   bool
	Default    string
	HasDefault bool
	Values     []string // the only ones, where they are few
	From       string   // where values come from, the tag from
	Unsigned   bool     // of a Whole
	Keys       []Key    // of a Mapping, and of each entry of a List
}

// Read gives the keys of a struct type, whose source lies in dir.
func Read(t reflect.Type, dir string) ([]Key, error) {
	comments, err := comments(dir)
	if err != nil {
		return nil, err
	}
	return keys(t, comments)
}

func keys(t reflect.Type, comments map[string]string) ([]Key, error) {
	var out []Key
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		k := Key{Name: name, Meaning: comments[t.Name()+"."+f.Name], From: f.Tag.Get("from")}
		if k.Meaning == "" {
			return nil, fmt.Errorf("the field %s of %s has no comment", f.Name, t)
		}
		k.Default, k.HasDefault = f.Tag.Lookup("default")
		k.Required = option != "omitempty" && !k.HasDefault
		if values, ok := f.Tag.Lookup("enum"); ok {
			k.Values = strings.Split(values, ",")
		}
		var err error
		inner := f.Type
		switch {
		case f.Type == reflect.TypeFor[time.Duration]():
			k.Kind = Duration
		case f.Tag.Get("unit") == "bytes":
			k.Kind = Size
		case f.Type.Kind() == reflect.String:
			k.Kind = Text
		case f.Type.Kind() == reflect.Bool:
			k.Kind = Switch
		case f.Type.Kind() == reflect.Map:
			k.Kind = Settings
		case f.Type == reflect.TypeFor[[]string]():
			k.Kind = Texts
		case f.Type.Kind() == reflect.Struct:
			k.Kind = Mapping
		case f.Type.Kind() == reflect.Slice:
			k.Kind, inner = List, f.Type.Elem()
		case f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Int64:
			k.Kind = Whole
		case f.Type.Kind() >= reflect.Uint && f.Type.Kind() <= reflect.Uint64:
			k.Kind, k.Unsigned = Whole, true
		default:
			return nil, fmt.Errorf("the field %s of %s has a type that no file can hold", f.Name, t)
		}
		if k.Kind == Mapping || k.Kind == List {
			if k.Keys, err = keys(inner, comments); err != nil {
				return nil, err
			}
		}
		out = append(out, k)
	}
	return out, nil
}

// comments gives the comment above each field of each struct in dir, on one
// line, by "Type.Field".
func comments(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, ident := range f.Names {
						out[spec.Name.Name+"."+ident.Name] = oneLine(f.Doc.Text())
					}
				}
			}
			return true
		})
	}
	return out, nil
}

// oneLine unwraps a comment.
func oneLine(text string) string {
	var p comment.Parser
	return strings.Join(strings.Fields(string((&comment.Printer{TextWidth: -1}).Text(p.Parse(text)))), " ")
}

// node is one JSON object whose members keep their order.
type node []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (n node) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Patterns of what strictyaml reads with a unit.
const (
	sizes     = `^[0-9]{1,19}(\.[0-9]{1,18})? ?(B|kB|MB|GB|TB|PB|KiB|MiB|GiB|TiB|PiB|Ki|Mi|Gi|Ti|Pi)?$`
	durations = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

// JSONSchema makes the JSON schema (draft 2020-12) of a format, indented.
func JSONSchema(id, title string, keys []Key) ([]byte, error) {
	root := append(node{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"$id", id}, {"title", title}}, object(keys)...)
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

func object(keys []Key) node {
	properties, required := node{}, []string{}
	for _, k := range keys {
		properties = append(properties, member{k.Name, append(node{{"description", k.Meaning}}, value(k)...)})
		if k.Required {
			required = append(required, k.Name)
		}
	}
	return node{{"type", "object"}, {"properties", properties}, {"required", required}, {"additionalProperties", false}}
}

func value(k Key) node {
	var n node
	switch k.Kind {
	case Mapping:
		return object(k.Keys)
	case List:
		return node{{"type", "array"}, {"items", object(k.Keys)}}
	case Texts:
		return node{{"type", "array"}, {"items", node{{"type", "string"}}}}
	case Settings:
		return node{{"type", "object"}, {"additionalProperties", node{{"type", []string{"string", "number", "boolean"}}}}}
	case Switch:
		n = node{{"type", "boolean"}}
	case Whole:
		n = node{{"type", "integer"}}
		if k.Unsigned {
			n = append(n, member{"minimum", 0})
		}
	case Size:
		n = node{{"type", []string{"string", "integer"}}, {"pattern", sizes}, {"minimum", 0}}
	case Duration:
		n = node{{"type", "string"}, {"pattern", durations}}
	default:
		n = node{{"type", "string"}}
	}
	if k.Values != nil {
		n = append(n, member{"enum", k.Values})
	}
	if k.HasDefault {
		var fallback any = k.Default
		if k.Kind == Whole || k.Kind == Switch {
			fallback = json.RawMessage(k.Default)
		}
		n = append(n, member{"default", fallback})
	}
	return n
}
