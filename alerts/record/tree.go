package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/alerts/avrotype"
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

// typeText says a type in words, without null, which a value says itself.
func typeText(t *avrotype.Type) string {
	switch t.Kind {
	case "array", "map":
		return t.Kind + " of " + typeText(t.Item)
	case "union":
		var names []string
		for _, b := range t.Branches {
			if b.Kind != "null" {
				names = append(names, typeText(b))
			}
		}
		return strings.Join(names, " or ")
	}
	return t.Name
}

// TreeOf makes the tree of a decoded datum. The schema's text may have words on its
// fields, as in files, or none, as in a registry. The error is one of the text.
func TreeOf(schema string, alert map[string]any) (*Node, error) {
	t, err := avrotype.Read(schema)
	if err != nil {
		return nil, fmt.Errorf("the schema cannot be read: %w", err)
	}
	return node(t.Name, "", t, alert), nil
}

// node makes one node of a value.
func node(name, doc string, t *avrotype.Type, value any) *Node {
	n := &Node{Name: name, Type: typeText(t), Doc: strings.TrimSpace(doc)}
	n.Unit = unitOf(name, n.Doc)
	if n.Doc == "" {
		n.Doc = meaning(name)
	}
	if value == nil {
		n.Null, n.Value = true, "null"
		return n
	}
	t = branchOf(t, value)
	switch v := value.(type) {
	case map[string]any:
		n.Unit = ""
		n.Value = plural(len(v), "field")
		n.kids = func() []*Node {
			if t.Kind == "record" {
				out := make([]*Node, 0, len(t.Fields))
				for _, f := range t.Fields {
					out = append(out, node(f.Name, f.Doc, f.Of, v[f.Name]))
				}
				return out
			}
			item := t
			if t.Kind == "map" {
				item = t.Item
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
		if t.Kind == "array" {
			item = t.Item
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

// branchOf chooses the branch of a union that a value is of.
func branchOf(t *avrotype.Type, value any) *avrotype.Type {
	if t.Kind != "union" {
		return t
	}
	var only *avrotype.Type
	for _, b := range t.Branches {
		if b.Kind == "null" {
			continue
		}
		if only == nil {
			only = b
		}
		switch value.(type) {
		case map[string]any:
			if b.Kind == "record" || b.Kind == "map" {
				return b
			}
		case []any:
			if b.Kind == "array" {
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
	f, ok := float(v)
	if !ok {
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
