package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

// askAgain is how long an answer that was none is believed: a registry that is away
// is not asked for every message.
const askAgain = 5 * time.Second

// Schemas gives the writer schemas of a registry, each of which it asks for once;
// without a registry the published ones. It is safe for use by several goroutines.
type Schemas struct {
	registry *registry.Client
	now      func() time.Time

	mu    sync.Mutex
	known map[int]*writerText
}

type writerText struct {
	text   string
	schema *packet.Schema
	err    error
	at     time.Time
}

// NewSchemas makes one; schemas may be nil.
func NewSchemas(schemas *registry.Client) *Schemas {
	return &Schemas{registry: schemas, now: time.Now, known: map[int]*writerText{}}
}

// Know has a schema used for an id, whatever a registry says; text is the schema's,
// with whatever words it has.
func (s *Schemas) Know(id int, schema *packet.Schema, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[id] = &writerText{text: text, schema: schema}
}

// Get gives a schema and its text. The error is registry.ErrNotFound, one of asking,
// or a *packet.SchemaError.
func (s *Schemas) Get(ctx context.Context, id int) (*packet.Schema, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.known[id]; w != nil && (w.schema != nil || s.now().Sub(w.at) < askAgain) {
		return w.schema, w.text, w.err
	}
	w := &writerText{at: s.now()}
	if s.registry == nil {
		if w.schema, w.err = packet.Published(packet.VersionFromID(id)); w.err == nil {
			w.text = w.schema.Canonical()
		} else {
			w.err = fmt.Errorf("no published alert schema has id %d, and no registry is asked", id)
		}
	} else if w.text, w.err = s.registry.SchemaByID(ctx, id); w.err == nil {
		w.schema, w.err = packet.ParseSchema(w.text)
	}
	if ctx.Err() != nil && w.err != nil {
		return nil, "", context.Cause(ctx) // not to be remembered
	}
	if errors.Is(w.err, registry.ErrNotFound) {
		w.err = fmt.Errorf("the registry has no schema: %w", w.err)
	}
	s.known[id] = w
	return w.schema, w.text, w.err
}
