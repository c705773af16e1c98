package drafts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// node is a JSON value that knows where it stands.
type node struct {
	at      int // byte offset
	value   any // nil, bool, string or json.Number of a scalar
	kind    byte
	items   []*node
	members []member
}

type member struct {
	name  string
	at    int
	value *node
}

// Kinds of nodes.
const (
	scalar = 's'
	list   = 'l'
	object = 'o'
)

// maxDepth bounds nesting; the deepest published schema has nine levels.
const maxDepth = 64

// get gives a member's value, nil if there is none.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text gives a string; ok is false for anything else, also for no node.
func (n *node) text() (s string, ok bool) {
	if n == nil || n.kind != scalar {
		return "", false
	}
	s, ok = n.value.(string)
	return s, ok
}

// jsonError is a mistake of JSON itself.
type jsonError struct {
	at  int
	msg string
}

func (e *jsonError) Error() string { return e.msg }

// parse reads one JSON value with nothing after it.
func parse(text []byte) (*node, error) {
	p := &parser{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if at := p.next(); at < len(text) {
		return nil, &jsonError{at, "there is more text after the schema's end"}
	}
	return n, nil
}

type parser struct {
	text []byte
	dec  *json.Decoder
}

// next gives the offset at which the next token begins.
func (p *parser) next() int {
	at := int(p.dec.InputOffset())
	for at < len(p.text) && bytes.IndexByte([]byte(" \t\r\n,:"), p.text[at]) >= 0 {
		at++
	}
	return at
}

func (p *parser) token() (json.Token, int, error) {
	at := p.next()
	t, err := p.dec.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return t, at, nil
	case errors.As(err, &syntax):
		return nil, 0, &jsonError{max(int(syntax.Offset)-1, 0), "this is not JSON: " + syntax.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, 0, &jsonError{len(p.text), "this is not JSON: it ends too early"}
	}
	return nil, 0, &jsonError{at, "this is not JSON: " + err.Error()}
}

func (p *parser) value(depth int) (*node, error) {
	t, at, err := p.token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, &jsonError{at, fmt.Sprintf("this is nested more than %d levels deep", maxDepth)}
	}
	n := &node{at: at, kind: scalar, value: t}
	switch t {
	case json.Delim('['):
		n.kind, n.value = list, nil
		for p.dec.More() {
			item, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case json.Delim('{'):
		n.kind, n.value = object, nil
		for p.dec.More() {
			name, at, err := p.token()
			if err != nil {
				return nil, err
			}
			m := member{name: fmt.Sprint(name), at: at}
			if n.get(m.name) != nil {
				return nil, &jsonError{at, fmt.Sprintf("%q stands here twice", m.name)}
			}
			if m.value, err = p.value(depth + 1); err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
	default:
		return n, nil
	}
	_, _, err = p.token() // the closing bracket
	return n, err
}
