package kafka_test

import (
	"context"
	"fmt"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/internal/dashload"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/start"
)

// BenchmarkFrame draws the dashboard with a cluster of six brokers, 400 partitions and
// 40 groups: a frame after a key, and one after news of everything.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []struct{ width, height int }{{80, 24}, {200, 60}} {
		for view, key := range map[string]string{"brokers": "b", "topics": "t", "groups": "g"} {
			p := pageOf(golden.Coloured(), dashload.Cluster{}, size.width, size.height-4, key)
			model := dash.New(context.Background(), dash.Options{Theme: golden.Coloured(), Lab: "mine",
				Health: func(context.Context) dash.Health { return dash.Health{Condition: dash.Ready} },
				Pages: func(ctx context.Context) ([]dash.Entry, dash.Starter) {
					return []dash.Entry{{Digit: '2', Page: p}}, start.New(ctx, golden.Coloured(), nil)
				}})
			model.Update(tea.WindowSizeMsg{Width: size.width, Height: size.height})
			settle(model, model.Init())
			name := fmt.Sprintf("Kafka, %s, %dx%d", view, size.width, size.height)
			b.Run(name+", a key", func(b *testing.B) {
				for range b.N {
					model.Update(golden.Key("down"))
					if model.View() == "" {
						b.Fatal("nothing is drawn")
					}
				}
			})
			b.Run(name+", news", func(b *testing.B) {
				for range b.N {
					golden.Settle(p, p.Show())
					if model.View() == "" {
						b.Fatal("nothing is drawn")
					}
				}
			})
		}
	}
}

// settle gives a model what a command brings, once.
func settle(m tea.Model, cmd tea.Cmd) {
	if cmd != nil {
		m.Update(cmd())
	}
}
