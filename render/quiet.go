package render

import (
	"io"
	"os"
	"sync"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/render/style"
)

// Quiet writes failures and nothing else.
type Quiet struct {
	mu    sync.Mutex
	w     lineWriter
	shown map[event.Problem]bool
}

// NewQuiet makes a quiet renderer.
func NewQuiet(w io.Writer) *Quiet {
	return &Quiet{w: lineWriter{w: w, Styles: style.New(w, os.Getenv)}, shown: map[event.Problem]bool{}}
}

// Event writes the problem of a failed step, and that of a walk when no step
// had the same.
func (q *Quiet) Event(e event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.Problem == nil || q.shown[*e.Problem] {
		return
	}
	if e.Kind != event.Finished && phrase.Cancelled(e.Problem) {
		return // Finished says it once for all steps
	}
	q.shown[*e.Problem] = true
	q.w.block(q.w.Bad, phrase.Remedy(e.Problem))
}

// Close gives the first error of the writer.
func (q *Quiet) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.w.err
}
