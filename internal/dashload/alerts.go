package dashload

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
	"github.com/alertlab/alertlab/tui/alerts"
)

const (
	// PerSecond is how many alerts of 80 kB the topic brings.
	PerSecond = 300
	// Listed is how many of them a view lists, as that of a peek does.
	Listed = 500
	// viewEvery is the time between two views, as that of a peek is.
	viewEvery = 250 * time.Millisecond
)

// Alerts is a topic. It implements alerts.Source.
type Alerts struct {
	schema *packet.Schema
	wires  [][]byte
}

// NewAlerts makes the alerts, of the size that the survey's have.
func NewAlerts(t testing.TB) *Alerts {
	t.Helper()
	v, err := packet.ParseVersion("11.0")
	if err != nil {
		t.Fatal(err)
	}
	a := &Alerts{}
	if a.schema, err = packet.Published(v); err != nil {
		t.Fatal(err)
	}
	const n = 30
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: a.schema, Alerts: n, Seed: 4, Visit: 2026060100012, MidpointMjdTai: 61192.25})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		a.wires = append(a.wires, packet.Frame(uint32(a.schema.ID()), body))
	}
	return a
}

// Topics is one topic.
func (a *Alerts) Topics(context.Context) ([]string, error) { return []string{"alerts-simulated"}, nil }

// Peek reads the topic, which goes on until it is closed.
func (a *Alerts) Peek(ctx context.Context, topic string) (alerts.Peek, error) {
	p := &peek{topic: topic, over: make(chan struct{}), gone: make(chan struct{})}
	go p.read(context.WithoutCancel(ctx), a)
	return p, nil
}

// Open decodes an alert.
func (a *Alerts) Open(_ context.Context, h record.Head) (alerts.Opened, error) {
	wire := a.wires[h.Offset%int64(len(a.wires))]
	alert, err := a.schema.Decode(wire[packet.HeaderSize:])
	if err != nil {
		return alerts.Opened{}, err
	}
	r, err := record.Read(a.schema.Canonical(), alert)
	return alerts.Opened{Head: h, Wire: wire, Record: r, Origin: "kept by the peek"}, err
}

// Archived says that the copy is equal.
func (a *Alerts) Archived(_ context.Context, o alerts.Opened) alerts.Archived {
	return alerts.Archived{State: alerts.Equal, Key: fmt.Sprintf("v2/alerts/%d.avro.gz", o.Head.ID), Bytes: len(o.Wire)}
}

// head decodes what a list shows of a message, as a peek does.
func (a *Alerts) head(ctx context.Context, schemas *console.Schemas, topic string, offset int64) record.Head {
	return console.HeadOf(ctx, schemas, &kgo.Record{Topic: topic, Partition: int32(offset % 45), Offset: offset, Timestamp: time.Now(), Value: a.wires[offset%int64(len(a.wires))]})
}

// peek decodes every alert that comes, which is more of them than the peek of a lab does.
type peek struct {
	topic      string
	over, gone chan struct{}

	mu    sync.Mutex
	seen  int64
	bytes int64
	heads []record.Head // the newest last
}

func (p *peek) read(ctx context.Context, a *Alerts) {
	defer close(p.gone)
	tick := time.NewTicker(time.Second / PerSecond)
	defer tick.Stop()
	schemas := console.NewSchemas(nil)
	for offset := int64(0); ; offset++ {
		select {
		case <-p.over:
			return
		case <-tick.C:
		}
		h := a.head(ctx, schemas, p.topic, offset)
		p.mu.Lock()
		p.seen++
		p.bytes += int64(h.Bytes)
		if p.heads = append(p.heads, h); len(p.heads) >= 2*Listed {
			p.heads = append(p.heads[:0], p.heads[len(p.heads)-Listed:]...)
		}
		p.mu.Unlock()
	}
}

// Next gives a view each quarter of a second.
func (p *peek) Next(ctx context.Context, _ uint64) (record.View, error) {
	timer := time.NewTimer(viewEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return record.View{}, context.Cause(ctx)
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	heads := slices.Clone(p.heads[max(len(p.heads)-Listed, 0):])
	slices.Reverse(heads)
	return record.View{Number: uint64(p.seen), Seen: p.seen, Bytes: p.bytes, Rate: PerSecond, ByteRate: PerSecond * 80e3, Heads: heads}, nil
}

// Close ends it.
func (p *peek) Close() {
	close(p.over)
	<-p.gone
}

// Hour is the topic without a clock: each view brings 500 alerts that none before it
// had. It implements alerts.Source.
type Hour struct {
	*Alerts
	heads []record.Head
}

// NewHour makes it.
func NewHour(t testing.TB) *Hour {
	h := &Hour{Alerts: NewAlerts(t)}
	schemas := console.NewSchemas(nil)
	for i := range h.wires {
		h.heads = append(h.heads, h.head(t.Context(), schemas, "alerts-simulated", int64(i)))
	}
	return h
}

// Peek implements alerts.Source.
func (h *Hour) Peek(context.Context, string) (alerts.Peek, error) { return &quick{of: h}, nil }

type quick struct {
	of     *Hour
	offset int64
}

// Next gives a view at once.
func (q *quick) Next(_ context.Context, after uint64) (record.View, error) {
	v := record.View{Number: after + 1, Rate: PerSecond, ByteRate: PerSecond * 80e3, Heads: make([]record.Head, 0, Listed)}
	for range Listed {
		head := q.of.heads[q.offset%int64(len(q.of.heads))]
		q.offset++
		head.Offset, head.ID = q.offset, head.ID+q.offset
		v.Heads = append(v.Heads, head)
	}
	v.Seen = q.offset
	return v, nil
}

// Close ends it.
func (q *quick) Close() {}
