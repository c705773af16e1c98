package alerts

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/record"
)

// perSecond is the speed of the topic that is followed.
const perSecond = 300

// BenchmarkFrameBesideAPeek draws a list of 500 alerts that came, while 300 alerts of
// 80 kB a second are read beside it, which is more of them than a peek reads.
func BenchmarkFrameBesideAPeek(b *testing.B) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("alerts, 500 listed anew beside a peek, %dx%d", s[0], s[1]+4), func(b *testing.B) {
			bench, view := full(b, s)
			ctx, stop := context.WithCancel(b.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				tick := time.NewTicker(time.Second / perSecond)
				defer tick.Stop()
				schemas := console.NewSchemas(nil)
				for i := 0; ; i++ {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						console.HeadOf(ctx, schemas, &kgo.Record{Topic: "alerts-simulated", Offset: int64(i), Value: bench.fake.alerts.wires[i%len(bench.fake.alerts.wires)]})
					}
				}
			}()
			for b.Loop() {
				bench.page.seen = view()
				bench.page.fill()
				_ = bench.page.View()
			}
			stop()
			<-over
		})
	}
}

// BenchmarkHour is what the page grows by over its first frame in an hour: four views a
// second, each of 500 alerts that it did not have before.
func BenchmarkHour(b *testing.B) {
	for range b.N {
		bench, view := full(b, sizes[1])
		heap := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		}
		before := heap()
		for range 4 * 3600 {
			bench.page.seen = view()
			bench.page.fill()
			_ = bench.page.View()
		}
		b.ReportMetric(max(heap()-before, 0)/1e6, "MB-grown")
		runtime.KeepAlive(bench)
	}
}

// full is a page that shows its list, and what gives it the next view: 500 alerts that
// no view before it had.
func full(b *testing.B, size [2]int) (*bench, func() record.View) {
	f := world(b)
	page := newBench(b, f, size[0], size[1])
	page.settle(page.page.Show())
	v, offset := f.views[0], int64(0)
	return page, func() record.View {
		now := v
		now.Number++
		now.Heads = make([]record.Head, 0, 500)
		for len(now.Heads) < cap(now.Heads) {
			h := v.Heads[len(now.Heads)%29]
			offset++
			h.Offset, h.ID = offset, 6100632242766217216+offset
			now.Heads = append(now.Heads, h)
		}
		v.Number = now.Number
		return now
	}
}
