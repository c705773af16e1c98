package registry

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/start"
)

// asking is a registry that does not answer until its caller gives up.
type asking struct{ asked chan struct{} }

func (a asking) Subjects(ctx context.Context) ([]Subject, error) {
	a.asked <- struct{}{}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (a asking) Schema(ctx context.Context, _ int) (string, error) { return "", context.Cause(ctx) }

// Nothing goes on after the dashboard was left while the registry was asked.
func TestNoGoroutineIsLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	theme := golden.Theme()
	before := runtime.NumGoroutine()
	for range 3 {
		a := asking{make(chan struct{}, 16)}
		in, press := io.Pipe()
		go func() {
			select {
			case <-a.asked:
			case <-ctx.Done():
			}
			press.Write([]byte("q")) // fails only where the dashboard is gone
		}()
		err := dash.Run(ctx, dash.Options{In: in, Out: &bytes.Buffer{}, Theme: theme, Lab: "mine",
			Health: func(context.Context) dash.Health { return dash.Health{Condition: dash.Ready} },
			Pages: func(ctx context.Context) ([]dash.Entry, dash.Starter) {
				return []dash.Entry{{Digit: '6', Page: New(ctx, theme, a)}}, start.New(ctx, theme, nil)
			},
			Size: func() (int, int) { return 80, 24 }})
		if err != nil {
			t.Fatal(err)
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
