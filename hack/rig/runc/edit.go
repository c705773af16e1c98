package runc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Denied is the capability that the edits take away.
const Denied = "CAP_SYS_RESOURCE"

// Config edits a config.json: its process, if it has one. The result is the
// input itself when nothing had to change.
func Config(doc []byte) ([]byte, error) {
	return within(doc, "", "process", func(p []byte) ([]byte, error) { return process(p, "process.") })
}

// Process edits the process of an exec. The result is the input itself when
// nothing had to change.
func Process(doc []byte) ([]byte, error) { return process(doc, "") }

func process(doc []byte, path string) ([]byte, error) {
	doc, err := within(doc, path, "capabilities", func(sets []byte) ([]byte, error) {
		return capabilities(sets, path+"capabilities.")
	})
	if err != nil {
		return nil, err
	}
	if doc, err = within(doc, path, "oomScoreAdj", func(v []byte) ([]byte, error) {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%soomScoreAdj is %s, not a whole number", path, v)
		}
		if n < 0 {
			return []byte("0"), nil
		}
		return v, nil
	}); err != nil {
		return nil, err
	}
	return within(doc, path, "rlimits", func([]byte) ([]byte, error) { return nil, nil })
}

// capabilities takes the denied one out of every set, known here or not.
func capabilities(doc []byte, path string) ([]byte, error) {
	o, err := parse(doc, path)
	if err != nil {
		return nil, err
	}
	changed := false
	for i, f := range o {
		if isNull(f.value) {
			continue
		}
		var all, kept []json.RawMessage
		if err := json.Unmarshal(f.value, &all); err != nil {
			return nil, fmt.Errorf("%s%s is no list", path, f.name)
		}
		for _, c := range all {
			var name string
			if json.Unmarshal(c, &name) != nil || !strings.EqualFold(name, Denied) {
				kept = append(kept, c)
			}
		}
		if len(kept) < len(all) {
			o[i].value = append(append([]byte{'['}, bytes.Join(raw(kept), []byte{','})...), ']')
			changed = true
		}
	}
	if !changed {
		return doc, nil
	}
	return o.text(), nil
}

// within applies an edit to the value of one name of an object and puts the
// result in its place; nil takes the name out. A document without the name, or
// with null, stays as it is.
func within(doc []byte, path, name string, edit func([]byte) ([]byte, error)) ([]byte, error) {
	o, err := parse(doc, path)
	if err != nil {
		return nil, err
	}
	at := -1
	for i, f := range o {
		// runc reads the file with encoding/json, which takes names of any case
		// and of several the last: an edit that saw only one would miss another.
		if strings.EqualFold(f.name, name) {
			if at >= 0 {
				return nil, fmt.Errorf("%s%s is there twice", path, name)
			}
			at = i
		}
	}
	if at < 0 || isNull(o[at].value) {
		return doc, nil
	}
	value, err := edit(o[at].value)
	switch {
	case err != nil:
		return nil, err
	case value == nil:
		o = append(o[:at], o[at+1:]...)
	case bytes.Equal(value, o[at].value):
		return doc, nil
	default:
		o[at].value = value
	}
	return o.text(), nil
}

// object is a JSON object in the order in which it was written, each value as it
// was written.
type object []field

type field struct {
	key   []byte // with its quotes and escapes
	name  string
	value []byte
}

// parse reads one object and nothing after it.
func parse(doc []byte, path string) (object, error) {
	where := strings.TrimSuffix(path, ".")
	if where == "" {
		where = "the document"
	}
	if !json.Valid(doc) {
		var v any
		return nil, fmt.Errorf("%s is not JSON: %w", where, json.Unmarshal(doc, &v))
	}
	if t := bytes.TrimLeft(doc, " \t\r\n"); t[0] != '{' {
		return nil, fmt.Errorf("%s is no object", where)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var o object
	for d.More() {
		before := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New(where + " has a name that is no text")
		}
		var v json.RawMessage
		key := bytes.TrimLeft(doc[before:d.InputOffset()], ", \t\r\n")
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		o = append(o, field{key, name, v})
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return o, nil
}

func (o object) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(f.key)
		b.WriteByte(':')
		b.Write(f.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func isNull(v []byte) bool { return string(v) == "null" }

func raw(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
