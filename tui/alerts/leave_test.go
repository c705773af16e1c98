package alerts

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/start"
)

// Nothing goes on after the dashboard was left while a topic is followed.
func TestNoGoroutineIsLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	theme := golden.Theme()
	before := runtime.NumGoroutine()
	for range 3 {
		f := world(t)
		f.t, f.blocked, f.closed = t, make(chan struct{}), make(chan string, 16)
		in, press := io.Pipe()
		go func() {
			select {
			case <-f.blocked: // what there is was shown, and more is waited for
			case <-ctx.Done():
			}
			press.Write([]byte("q")) // fails only where the dashboard is gone
		}()
		err := dash.Run(ctx, dash.Options{In: in, Out: &bytes.Buffer{}, Theme: theme, Lab: "mine",
			Health: func(context.Context) dash.Health { return dash.Health{Condition: dash.Ready} },
			Pages: func(ctx context.Context) ([]dash.Entry, dash.Starter) {
				return []dash.Entry{{Digit: '3', Page: New(ctx, theme, picture.Shades, f)}}, start.New(ctx, theme, nil)
			},
			Size: func() (int, int) { return 80, 24 }})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.closed:
		case <-ctx.Done():
			t.Fatal("the peek is not closed")
		}
		press.Close()
	}
	for runtime.NumGoroutine() > before {
		if ctx.Err() != nil {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}
