package cmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/state"
)

// guarded is a buffer for two goroutines.
type guarded struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

// TestLeavingDoesNotCancel: who presses q leaves a walk that goes on, and nobody
// cancels it behind their back.
func TestLeavingDoesNotCancel(t *testing.T) {
	t.Setenv("TERM", "xterm")
	in, press := io.Pipe()
	defer press.Close()
	out := &guarded{}
	root := t.TempDir()
	a := &app{in: in, out: io.Discard, err: out, lab: state.DefaultLab, getenv: func(name string) string {
		if name == "ALERTLAB_STATE_DIR" {
			return root
		}
		return ""
	}}
	cancelled, end, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { _, _ = press.Write([]byte("q")) }()
	err := a.follow(t.Context(), "tui", func(ctx context.Context, sink event.Sink) error {
		defer close(over)
		sink(event.Event{Time: time.Now(), Kind: event.Planned, Steps: []event.Step{{Key: "kafka", Title: "six brokers"}}})
		<-end
		if ctx.Err() != nil {
			close(cancelled)
		}
		return nil
	})
	if !errors.Is(err, errDetached) {
		t.Fatalf("got %v", err)
	}
	close(end)
	<-over
	select {
	case <-cancelled:
		t.Error("the walk was cancelled")
	default:
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if !strings.Contains(out.b.String(), "alertlab attach --lab default follows it") {
		t.Errorf("it is not said how to come back: %q", out.b.String())
	}
}
