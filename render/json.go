package render

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/alertlab/alertlab/lab/event"
)

// JSON writes each event as one line of JSON (NDJSON), in the form of
// event.Event.
type JSON struct {
	mu  sync.Mutex
	enc *json.Encoder
	err error
}

// NewJSON makes a JSON renderer.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(w)
	// A reader of lines wants "<" in a reason as it is; nothing here is HTML.
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc}
}

// Event writes one line.
func (j *JSON) Event(e event.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = j.enc.Encode(e)
	}
}

// Close gives the first error.
func (j *JSON) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
