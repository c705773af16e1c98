package dash_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/alertlab/alertlab/internal/dashload"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/tui/alerts"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kafka"
	"github.com/alertlab/alertlab/tui/start"
)

// loaded is a dashboard of six brokers, 400 partitions and 40 groups, with a topic of
// 300 alerts of 80 kB a second.
func loaded(ctx context.Context, source alerts.Source) tea.Model {
	theme := golden.Coloured()
	return dash.New(ctx, dash.Options{Theme: theme, Lab: "mine",
		Health: func(context.Context) dash.Health { return dash.Health{Condition: dash.Ready} },
		Pages: func(ctx context.Context) ([]dash.Entry, dash.Starter) {
			return []dash.Entry{{Digit: '2', Page: kafka.New(ctx, theme, dashload.Cluster{})}, {Digit: '3', Page: alerts.New(ctx, theme, picture.TrueColour, source)}}, start.New(ctx, theme, nil)
		}})
}

// aside has the topic read beside the dashboard also while another page is in view.
type aside struct {
	*dashload.Alerts
	peek alerts.Peek
}

func (a aside) Peek(context.Context, string) (alerts.Peek, error) { return lasting{a.peek}, nil }

// lasting is a peek that its page does not end.
type lasting struct{ alerts.Peek }

func (lasting) Close() {}

// timed notes how long each message with its frame takes.
type timed struct {
	tea.Model
	began time.Time
	mu    *sync.Mutex
	took  *[]time.Duration
}

func (t timed) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	t.began = time.Now()
	model, cmd := t.Model.Update(msg)
	t.Model = model
	return t, cmd
}

func (t timed) View() string {
	text := t.Model.View()
	if !t.began.IsZero() {
		t.mu.Lock()
		*t.took = append(*t.took, time.Since(t.began))
		t.mu.Unlock()
	}
	return text
}

// BenchmarkTogether runs the dashboard as it is used, on no terminal: alerts come all the
// time, and somebody goes through the views of Kafka, the list of alerts and one of
// them, twenty keys a second.
func BenchmarkTogether(b *testing.B) {
	keys := []string{"2", "b", "down", "t", "down", "down", "pgdown", "end", "g", "down", "enter", "down", "esc", "u", "3", "down", "down", "pgdown", "home", "s", "s", "down", "down", "enter", "down", "pgdown", "l", "c", "r", "esc"}
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		b.Run(fmt.Sprintf("Kafka and a peek together, %dx%d", size[0], size[1]), func(b *testing.B) {
			for range b.N {
				ctx, cancel := context.WithCancel(context.Background())
				source := dashload.NewAlerts(b)
				peek, err := source.Peek(ctx, "alerts-simulated")
				if err != nil {
					b.Fatal(err)
				}
				var took []time.Duration
				model := timed{Model: loaded(ctx, aside{source, peek}), mu: &sync.Mutex{}, took: &took}
				program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithFPS(60), tea.WithoutSignalHandler())
				over := make(chan error, 1)
				go func() {
					_, err := program.Run()
					over <- err
				}()
				program.Send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				tick := time.NewTicker(50 * time.Millisecond)
				for range 4 {
					for _, k := range keys {
						<-tick.C
						program.Send(golden.Key(k))
					}
				}
				tick.Stop()
				program.Quit()
				err = <-over
				cancel()
				peek.Close()
				if err != nil {
					b.Fatal(err)
				}
				if len(took) < 4*len(keys) {
					b.Fatalf("%d frames after %d keys", len(took), 4*len(keys))
				}
				slices.Sort(took)
				ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
				b.ReportMetric(ms(took[len(took)/2]), "ms-half")
				b.ReportMetric(ms(took[len(took)*99/100]), "ms-99th")
				b.ReportMetric(ms(took[len(took)-1]), "ms-worst")
				b.ReportMetric(float64(len(took)), "frames")
			}
		})
	}
}

// BenchmarkHour is what the dashboard grows by over its first frames in an hour: four
// views of 500 new alerts a second, news of Kafka every two seconds, and a frame of
// each.
func BenchmarkHour(b *testing.B) {
	for range b.N {
		ctx, cancel := context.WithCancel(context.Background())
		theme := golden.Coloured()
		hour := dashload.NewHour(b)
		brokers := kafka.New(ctx, theme, dashload.Cluster{})
		page := alerts.New(ctx, theme, picture.TrueColour, hour)
		for _, p := range []interface{ SetSize(width, height int) }{brokers, page} {
			p.SetSize(200, 56)
		}
		heap := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		}
		// What the page's commands bring is handed back by hand: topics, then views
		// without end.
		next := page.Show()
		step := func() {
			msg := next()
			if batch, ok := msg.(tea.BatchMsg); ok {
				msg = batch[0]()
			}
			next = page.Update(msg)
		}
		for range 3 { // topics, the peek, a view
			step()
			_ = page.View()
		}
		golden.Settle(brokers, brokers.Show())
		_ = brokers.View()
		before := heap()
		for i := range 4 * 3600 {
			step()
			_ = page.View()
			if i%8 == 0 {
				golden.Settle(brokers, brokers.Show())
				_ = brokers.View()
			}
		}
		b.ReportMetric(max(heap()-before, 0)/1e6, "MB-grown")
		runtime.KeepAlive(page)
		runtime.KeepAlive(brokers)
		cancel()
	}
}
