package archive

import (
	"context"
	"sync"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

// ErrUnknownSchema is what a SchemaSource's error matches when the registry
// answers that it has no such id. Any other error means that it could not be
// asked.
var ErrUnknownSchema = registry.ErrNotFound

// SchemaSource yields the text of a writer schema, exactly as registered, by
// the id in an alert's header. *registry.Client is one.
type SchemaSource interface {
	SchemaByID(ctx context.Context, id int) (string, error)
}

// writer is a writer schema of the registry that the ingester has seen.
type writer struct {
	text   string
	schema *packet.Schema
	// broken is why the text is of no use for reading ids.
	broken error
}

// writers caches writer schemas by id. A registry never changes the meaning of
// an id, so that entries stay; there are as many as the registry has schemas.
type writers struct {
	source SchemaSource
	mu     sync.Mutex
	known  map[int]*writer
}

// get asks the registry at most once per id that it knows.
func (w *writers) get(ctx context.Context, id int) (*writer, error) {
	w.mu.Lock()
	known := w.known[id]
	w.mu.Unlock()
	if known != nil {
		return known, nil
	}
	// Two partitions may ask for a new id at the same time; one answer more
	// costs less than making one wait for the other's time-out.
	text, err := w.source.SchemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	fresh := &writer{text: text}
	fresh.schema, fresh.broken = packet.ParseSchema(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[id] = fresh
	return fresh, nil
}
