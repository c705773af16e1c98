package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alertlab/alertlab/alerts/avrotype"
)

// value is a JSON value with its members in the order in which they stand.
type value struct {
	text  string // of what holds nothing
	open  string // "{" or "[" of what does
	names []string
	items []*value
}

const maxDepth = 64

// pretty writes JSON on lines of at most width, with what fits on one line on one
// line: a field of a schema, mostly. What is no JSON is given back as its lines.
func pretty(text string, width int) []string {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := parse(dec, 0)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("more text")
		}
	}
	if err != nil {
		return strings.Split(text, "\n")
	}
	return v.lines(nil, "", "", "", width)
}

func parse(dec *json.Decoder, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return &value{text: avrotype.JSON(t)}, nil
	}
	v := &value{open: delim.String()}
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v.names = append(v.names, avrotype.JSON(name))
		}
		item, err := parse(dec, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	_, err = dec.Token()
	return v, err
}

// flat writes a value on one line, or gives up beyond a width.
func (v *value) flat(b *strings.Builder, width int) bool {
	if v.open == "" {
		b.WriteString(v.text)
		return b.Len() <= width
	}
	b.WriteString(v.open)
	for i, item := range v.items {
		if i > 0 {
			b.WriteString(", ")
		}
		if v.open == "{" {
			b.WriteString(v.names[i] + ": ")
		}
		if !item.flat(b, width) {
			return false
		}
	}
	b.WriteString(v.end())
	return b.Len() <= width
}

func (v *value) end() string {
	if v.open == "{" {
		return "}"
	}
	return "]"
}

// lines adds a value with what stands before and after it.
func (v *value) lines(out []string, indent, before, after string, width int) []string {
	var b strings.Builder
	b.WriteString(indent + before)
	if v.flat(&b, width-len(after)) || v.open == "" || len(v.items) == 0 {
		return append(out, b.String()+after)
	}
	out = append(out, indent+before+v.open)
	for i, item := range v.items {
		name, comma := "", ","
		if v.open == "{" {
			name = v.names[i] + ": "
		}
		if i == len(v.items)-1 {
			comma = ""
		}
		out = item.lines(out, indent+"  ", name, comma, width)
	}
	return append(out, indent+v.end()+after)
}
