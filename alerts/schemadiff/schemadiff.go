package schemadiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/avrotype"
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
	a, err := avrotype.Read(before)
	if err != nil {
		return nil, &Error{"first", err}
	}
	b, err := avrotype.Read(after)
	if err != nil {
		return nil, &Error{"second", err}
	}
	c := &comparison{seen: map[pair]string{}, changes: []Change{}}
	if text(a) != text(b) {
		c.add(Change{What: Type, Before: text(a), After: text(b)})
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

type pair struct{ before, after *avrotype.Type }

type comparison struct {
	changes []Change
	seen    map[pair]string     // records that were compared, and by which path
	also    map[string][]string // other paths to a record, by that one
}

func (c *comparison) add(change Change) { c.changes = append(c.changes, change) }

// types compares what two types hold; what they are called was compared before.
func (c *comparison) types(path string, a, b *avrotype.Type) {
	switch {
	case a.Kind == "record" && b.Kind == "record":
		if first, ok := c.seen[pair{a, b}]; ok {
			if c.also == nil {
				c.also = map[string][]string{}
			}
			c.also[first] = append(c.also[first], path)
			return
		}
		c.seen[pair{a, b}] = path
		c.records(path, a, b)
	case (a.Kind == "array" || a.Kind == "map") && a.Kind == b.Kind:
		c.types(path+"[]", a.Item, b.Item)
	case a.Kind == "union" || b.Kind == "union":
		// The branches that hold something are compared where each has one of the
		// kind.
		for _, kind := range []string{"record", "array", "map"} {
			x, y := branch(a, kind), branch(b, kind)
			if x != nil && y != nil {
				c.types(path, x, y)
			}
		}
	}
}

func (c *comparison) records(path string, a, b *avrotype.Type) {
	at := func(field string) string {
		if path == "" {
			return field
		}
		return path + "." + field
	}
	find := func(t *avrotype.Type, name string) int {
		return slices.IndexFunc(t.Fields, func(f avrotype.Field) bool { return f.Name == name })
	}
	// The order is that of the fields that both have.
	var inA, inB []string
	for _, f := range a.Fields {
		if find(b, f.Name) >= 0 {
			inA = append(inA, f.Name)
		}
	}
	for _, f := range b.Fields {
		if find(a, f.Name) >= 0 {
			inB = append(inB, f.Name)
		}
	}
	moved := outOfOrder(inA, inB)
	for i, old := range a.Fields {
		j := find(b, old.Name)
		if j < 0 {
			c.add(Change{What: Removed, Path: at(old.Name), Before: text(old.Of)})
			continue
		}
		now := b.Fields[j]
		if x, y := text(old.Of), text(now.Of); x != y {
			c.add(Change{What: Type, Path: at(old.Name), Before: x, After: y})
		}
		if old.Default != now.Default {
			c.add(Change{What: Default, Path: at(old.Name), Before: old.Default, After: now.Default})
		}
		if old.Doc != now.Doc {
			c.add(Change{What: Doc, Path: at(old.Name), Before: old.Doc, After: now.Doc})
		}
		if moved[old.Name] {
			c.add(Change{What: Order, Path: at(old.Name), Before: fmt.Sprint(i + 1), After: fmt.Sprint(j + 1)})
		}
		c.types(at(old.Name), old.Of, now.Of)
	}
	for _, now := range b.Fields {
		if find(a, now.Name) < 0 {
			c.add(Change{What: Added, Path: at(now.Name), After: text(now.Of)})
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

// branch gives the type itself or the branch of a union that is of a kind; nil for none.
func branch(t *avrotype.Type, kind string) *avrotype.Type {
	if t.Kind == kind {
		return t
	}
	for _, b := range t.Branches {
		if b.Kind == kind {
			return b
		}
	}
	return nil
}

// text says a type in words, the names without their namespace.
func text(t *avrotype.Type) string {
	switch t.Kind {
	case "array", "map":
		return t.Kind + " of " + text(t.Item)
	case "union":
		var names []string
		for _, b := range t.Branches {
			names = append(names, text(b))
		}
		return strings.Join(names, " or ")
	}
	return t.Name + t.Detail
}
