package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Reference names an output of a part. Its text is ${part.output}; the part's
// key has no dot, the output's name may have some.
type Reference struct{ Part, Output string }

// String gives the reference as it stands in an input.
func (r Reference) String() string { return "${" + r.Part + "." + r.Output + "}" }

var reference = regexp.MustCompile(`\$\{([a-z0-9-]+)\.([A-Za-z0-9.-]+)\}`)

// References lists the references in an input, each once, in order.
func References(input json.RawMessage) []Reference {
	var refs []Reference
	for _, m := range reference.FindAllSubmatch(input, -1) {
		r := Reference{Part: string(m[1]), Output: string(m[2])}
		if !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	return refs
}

// Resolve replaces the references in an input by outputs, by part and name. The
// error names every output that is missing.
func Resolve(input json.RawMessage, outputs map[string]map[string]string) (json.RawMessage, error) {
	var missing []string
	resolved := reference.ReplaceAllFunc(input, func(m []byte) []byte {
		sub := reference.FindSubmatch(m)
		value, ok := outputs[string(sub[1])][string(sub[2])]
		if !ok {
			missing = append(missing, string(m))
			return m
		}
		// References stand inside JSON strings, so the value goes in as the
		// inside of one.
		quoted, err := json.Marshal(value)
		if err != nil {
			missing = append(missing, string(m))
			return m
		}
		return quoted[1 : len(quoted)-1]
	})
	if len(missing) > 0 {
		return nil, fmt.Errorf("no value for %s", strings.Join(missing, ", "))
	}
	return resolved, nil
}

// Diff says how two inputs differ, a line for each place, in order of the path:
// "topics.alerts-static.partitions 12 -> 24", or "list[1] 12 -> 24" for lists of
// what has no name. Values that are themselves objects or lists are compared
// inside; one that is only on one side is "added" or "dropped".
func Diff(from, to json.RawMessage) []string {
	a, errA := decode(from)
	b, errB := decode(to)
	if errA != nil || errB != nil {
		if bytes.Equal(from, to) {
			return nil
		}
		return []string{"the input changed"}
	}
	if a == nil || b == nil { // an input that is missing has no places inside
		if a == nil && b == nil {
			return nil
		}
		return []string{"the input changed"}
	}
	var out []string
	diff(&out, "", a, b)
	return out
}

func decode(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 64-bit sizes must not pass through a float
	err := d.Decode(&v)
	return v, err
}

func diff(out *[]string, path string, a, b any) {
	if am, ok := a.(map[string]any); ok {
		if bm, ok := b.(map[string]any); ok {
			keys := slices.Sorted(maps.Keys(am))
			for k := range bm {
				if _, ok := am[k]; !ok {
					keys = append(keys, k)
				}
			}
			slices.Sort(keys)
			for _, k := range keys {
				av, inA := am[k]
				bv, inB := bm[k]
				switch p := strings.TrimPrefix(path+"."+k, "."); {
				case !inA:
					*out = append(*out, fmt.Sprintf("%s added: %s", p, short(bv)))
				case !inB:
					*out = append(*out, fmt.Sprintf("%s dropped: %s", p, short(av)))
				default:
					diff(out, p, av, bv)
				}
			}
			return
		}
	}
	if al, ok := a.([]any); ok {
		if bl, ok := b.([]any); ok {
			diffList(out, path, al, bl)
			return
		}
	}
	if a != b {
		*out = append(*out, fmt.Sprintf("%s %s -> %s", path, short(a), short(b)))
	}
}

// diffList compares lists of named objects by name, so that one that was put in
// the middle does not make all behind it differ, and other lists by place.
func diffList(out *[]string, path string, a, b []any) {
	an, okA := named(a)
	bn, okB := named(b)
	if okA && okB {
		diff(out, path, an, bn)
		return
	}
	for i := range max(len(a), len(b)) {
		p := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(a):
			*out = append(*out, fmt.Sprintf("%s added: %s", p, short(b[i])))
		case i >= len(b):
			*out = append(*out, fmt.Sprintf("%s dropped: %s", p, short(a[i])))
		default:
			diff(out, p, a[i], b[i])
		}
	}
}

// named turns a list of objects that all have different names into a map.
func named(list []any) (map[string]any, bool) {
	out := map[string]any{}
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		name, ok := m["name"].(string)
		if !ok {
			return nil, false
		}
		if _, dup := out[name]; dup {
			return nil, false
		}
		rest := maps.Clone(m)
		delete(rest, "name")
		out[name] = rest
	}
	return out, true
}

// short prints a value for a person, cut to a length that keeps a plan readable.
func short(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a URL is shown as it is
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	s := strings.TrimSuffix(b.String(), "\n")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "..."
	}
	return s
}

// Input writes a part's input. It is made of plain structs, which JSON can always
// say.
func Input(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
