package registry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/hamba/avro/v2"
)

// schemaTypeAvro is the one schema type that this registry parses; it is also
// what an absent schemaType means.
const schemaTypeAvro = "AVRO"

// maxCause bounds the parser's message in an answer: it quotes what it could not
// read, which may be a whole schema of tens of kilobytes.
const maxCause = 300

// content is a schema with everything that it refers to: what decides, alone,
// how it parses and what it is equal to.
type content struct {
	Text string
	// References are as posted, in their order.
	References []Reference
	// Dependencies are the texts behind the references, each after those that
	// it needs itself.
	Dependencies []string
}

// digest identifies content or its normal form.
type digest [sha256.Size]byte

// raw is the digest of the content byte for byte.
func (c content) raw() digest {
	h := sha256.New()
	part := func(s string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	part(c.Text)
	for _, ref := range c.References {
		part(ref.Name)
		part(ref.Subject)
		part(fmt.Sprint(ref.Version))
	}
	// A referenced version can be deleted for good and registered anew.
	for _, text := range c.Dependencies {
		part(text)
	}
	return digest(h.Sum(nil))
}

// parse reads the schema. The error is for whoever posted it.
func (c content) parse() (avro.Schema, error) {
	// The library's own cache is global: a type of one posted schema would be
	// known to all later ones.
	types := &avro.SchemaCache{}
	for _, text := range c.Dependencies {
		if _, err := parseAvro(text, types); err != nil {
			return nil, fmt.Errorf("referenced schema: %w", err)
		}
	}
	return parseAvro(c.Text, types)
}

func parseAvro(text string, types *avro.SchemaCache) (avro.Schema, error) {
	if text == "" {
		return nil, errors.New("the schema is empty")
	}
	// The library takes what is no JSON for a type's name.
	if !json.Valid([]byte(text)) {
		return nil, errors.New("the schema is not JSON")
	}
	schema, err := avro.ParseWithCache(text, "", types)
	if err != nil {
		cause := err.Error()
		if len(cause) > maxCause {
			cause = cause[:maxCause] + "..."
		}
		return nil, errors.New(cause)
	}
	return schema, nil
}

// normalForm is the digest by which two schemas are the same: layout, order of
// attributes and the way names are qualified do not count, everything else does.
// Avro's parsing canonical form would be too coarse: it drops defaults, and a
// schema that only adds one would never be stored.
func normalForm(c content, schema avro.Schema) (digest, error) {
	text, err := json.Marshal(schema)
	if err != nil {
		return digest{}, err
	}
	return content{Text: string(text), References: c.References}.raw(), nil
}

// normalForms remembers normal forms, because parsing is by far the most
// expensive part of registering (an alert schema takes milliseconds).
type normalForms struct {
	mu    sync.Mutex
	known map[digest]digest
}

// maxNormalForms bounds what lookups of ever new content can make it keep; at
// 64 bytes each it is small, and far above the number of schemas in any topic.
const maxNormalForms = 4096

// of gives the normal form, parsing only content that it does not know.
func (n *normalForms) of(c content) (digest, error) {
	raw := c.raw()
	n.mu.Lock()
	form, ok := n.known[raw]
	n.mu.Unlock()
	if ok {
		return form, nil
	}
	schema, err := c.parse()
	if err != nil {
		return digest{}, err
	}
	if form, err = normalForm(c, schema); err != nil {
		return digest{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= maxNormalForms {
		n.known = make(map[digest]digest)
	}
	n.known[raw] = form
	return form, nil
}

// same reports whether two texts without references are one schema. Texts that
// cannot be parsed are the same only if they are equal.
func (n *normalForms) same(a, b string) bool {
	if a == b {
		return true
	}
	formA, errA := n.of(content{Text: a})
	formB, errB := n.of(content{Text: b})
	return errA == nil && errB == nil && formA == formB
}
