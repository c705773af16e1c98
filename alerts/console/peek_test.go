package console

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
)

// packets makes alerts of schema 11.0 as messages, of 80 kB.
func packets(t testing.TB, n int) [][]byte {
	t.Helper()
	v, err := packet.ParseVersion("11.0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := packet.Published(v)
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: s, Alerts: n, Visit: 2026060100012, MidpointMjdTai: 61192.25})
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, n)
	for i := range out {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = packet.Frame(uint32(s.ID()), body)
	}
	return out
}

// hand is a clock that is set by hand.
type hand struct{ at time.Time }

func (h *hand) now() time.Time { return h.at }

func TestPeekStaysWithinItsLimits(t *testing.T) {
	t.Parallel()
	alerts := packets(t, 3)
	clock := &hand{time.Unix(1_780_000_000, 0)}
	p := newPeek("alerts", nil, NewSchemas(nil), Limits{Heads: 5, Packets: 3, Bytes: 1 << 20, PerSecond: 4}, clock.now)
	ctx := t.Context()
	// Ten seconds of ten messages each: the burst and then four a second are read.
	for i := range 100 {
		p.take(ctx, &kgo.Record{Topic: "alerts", Partition: 1, Offset: int64(i), Value: alerts[i%3], Timestamp: clock.at})
		clock.at = clock.at.Add(100 * time.Millisecond)
	}
	v, err := p.Next(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(alerts[0]) + len(alerts[1]) + len(alerts[2]))
	if v.Seen != 100 || v.Passed < 55 || v.Passed > 60 || v.Bytes < 33*size || v.Rate != 10 || v.ByteRate < 9*float64(size)/3 {
		t.Errorf("%+v", v)
	}
	if len(v.Heads) != 5 || len(p.kept) != 3 || p.bytes > 1<<20 || len(p.order) != 3 {
		t.Fatalf("%d heads, %d kept in %d bytes", len(v.Heads), len(p.kept), p.bytes)
	}
	for i, h := range v.Heads {
		if i > 0 && h.Offset >= v.Heads[i-1].Offset || h.ID == 0 || h.SchemaID != 1100 || h.Version != "11.0" || h.Visit != 2026060100012 || h.Problem != "" || h.Band == "" {
			t.Errorf("head %d: %+v", i, h)
		}
	}
	newest := v.Heads[0]
	if got, ok := p.Packet(1, newest.Offset); !ok || !slices.Equal(got, alerts[newest.Offset%3]) {
		t.Errorf("the newest packet is not kept: %v", ok)
	}
	if _, ok := p.Packet(1, v.Heads[4].Offset); ok {
		t.Error("more packets are kept than may be")
	}
	// One that is larger than all that may be kept is listed, not kept.
	p.limits.Bytes = 1000
	clock.at = clock.at.Add(time.Second)
	p.take(ctx, &kgo.Record{Partition: 1, Offset: 100, Value: alerts[0]})
	if _, ok := p.Packet(1, 100); ok {
		t.Error("a packet above the bound is kept")
	}
	if v, err = p.Next(ctx, v.Number); err != nil || v.Heads[0].Offset != 100 || v.Seen != 101 {
		t.Errorf("%v %+v", err, v.Heads[0])
	}
	// Some seconds later nothing comes any more, and the rate says so.
	clock.at = clock.at.Add(7 * time.Second)
	if r, _ := p.meter.rates(clock.at); r != 0 || p.meter.moving(clock.at) {
		t.Errorf("rate %v", r)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	enough := errors.New("enough")
	cancel(enough)
	if _, err := p.Next(ctx, v.Number); !errors.Is(err, enough) {
		t.Errorf("waiting ended with %v", err)
	}
}

func TestHeadsOfWhatIsNoAlert(t *testing.T) {
	t.Parallel()
	alerts := packets(t, 1)
	for _, c := range []struct {
		value   []byte
		schema  int
		problem string
	}{
		{nil, -1, "confluent wire format: 0 bytes, the header takes 5"},
		{[]byte("hello"), -1, "confluent wire format: first byte is 0x68, not 0x00"},
		{packet.Frame(4711, nil), 4711, "no published alert schema has id 4711, and no registry is asked"},
		{alerts[0][:60], 1100, "avro datum, field diaSource"},
	} {
		h := HeadOf(t.Context(), NewSchemas(nil), &kgo.Record{Value: c.value, Partition: 2, Offset: 9})
		if h.SchemaID != c.schema || len(h.Problem) < len(c.problem) || h.Problem[:len(c.problem)] != c.problem || h.Partition != 2 || h.Offset != 9 {
			t.Errorf("%+v", h)
		}
	}
	r, err := OpenPacket(t.Context(), NewSchemas(nil), alerts[0])
	if err != nil || r.Tree.Child("diaSource") == nil || len(r.Cutouts) != 3 {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := OpenPacket(t.Context(), NewSchemas(nil), alerts[0][:1000]); err == nil {
		t.Error("half a packet is opened")
	}
}

// TestPeekOfAnHour: 300 alerts a second of 80 kB for an hour, and no more is held
// than at the beginning.
func TestPeekOfAnHour(t *testing.T) {
	v, grown := hour(t)
	t.Logf("after %d alerts, %d MB: %.1f MB held, %d of them read", v.Seen, v.Bytes>>20, float64(grown)/(1<<20), v.Seen-v.Passed)
	if v.Seen != 3600*300 || len(v.Heads) != PeekLimits().Heads || math.Abs(v.Rate-300) > 2 {
		t.Errorf("%d seen, %d heads, rate %v", v.Seen, len(v.Heads), v.Rate)
	}
	if grown > 20<<20 {
		t.Errorf("%d MB are held", grown>>20)
	}
}

// hour peeks for an hour of a clock of its own, and gives the bytes that are held then.
func hour(t testing.TB) (v View, grown int64) {
	t.Helper()
	alerts := packets(t, 8)
	clock := &hand{time.Unix(1_780_000_000, 0)}
	p := newPeek("alerts", nil, NewSchemas(nil), PeekLimits(), clock.now)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 3600 * 300 {
		p.take(t.Context(), &kgo.Record{Partition: int32(i % 45), Offset: int64(i), Value: alerts[i%8]})
		clock.at = clock.at.Add(time.Second / 300)
	}
	v, err := p.Next(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	grown = heap() - before
	runtime.KeepAlive(p)
	return v, grown
}

// BenchmarkHour is what a peek holds after an hour.
func BenchmarkHour(b *testing.B) {
	for range b.N {
		_, grown := hour(b)
		b.ReportMetric(float64(max(grown, 0))/1e6, "MB-grown")
	}
}

func BenchmarkPeek(b *testing.B) {
	alerts := packets(b, 8)
	clock := &hand{time.Unix(1_780_000_000, 0)}
	p := newPeek("alerts", nil, NewSchemas(nil), PeekLimits(), clock.now)
	b.ReportAllocs()
	b.SetBytes(int64(len(alerts[0])))
	for i := 0; b.Loop(); i++ {
		p.take(b.Context(), &kgo.Record{Offset: int64(i), Value: alerts[i%8]})
		clock.at = clock.at.Add(time.Second / 300)
	}
}

func TestPeekOfACluster(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	alerts := packets(t, 4)
	for i, a := range alerts[:3] {
		s.produce(t, "alerts", int32(i), int64(i), string(a))
	}
	ctx := deadline(t)
	reader := func(extra ...kgo.Opt) *Cluster {
		return New(s.login(t, "antares", "reader", append(PeekOptions(), extra...)...))
	}
	limits := PeekLimits()
	limits.Every = 0
	p, err := reader().Peek(ctx, "alerts", NewSchemas(nil), limits)
	if err != nil {
		t.Fatal(err)
	}
	until := func(n int64) View {
		t.Helper()
		var v View
		for v.Seen < n {
			if v, err = p.Next(ctx, v.Number); err != nil {
				t.Fatalf("after %d of %d: %v", v.Seen, n, err)
			}
		}
		return v
	}
	until(3) // what was there before
	s.produce(t, "alerts", 1, 9, string(alerts[3]))
	v := until(4)
	if v.Heads[0].Partition != 1 || v.Heads[0].Offset != 1 || v.Ended || v.Problem != "" {
		t.Errorf("%+v", v)
	}
	if b, ok := p.Packet(1, 1); !ok || !slices.Equal(b, alerts[3]) {
		t.Error("the packet is not kept")
	}
	p.Close()
	if v, err := p.Next(ctx, v.Number); err != nil || !v.Ended || v.Err != nil {
		t.Errorf("after its end: %+v %v", v, err)
	}

	var refusal *RefusedError
	if _, err := reader().Peek(ctx, "hidden", NewSchemas(nil), limits); !errors.As(err, &refusal) {
		t.Errorf("a topic that the user may not read: %v", err)
	}
	var unknown *UnknownError
	super := New(s.login(t, "kafka-admin", "secret", PeekOptions()...))
	if _, err := super.Peek(ctx, "nothing", NewSchemas(nil), limits); !errors.As(err, &unknown) || !slices.Contains(unknown.Known, "alerts") {
		t.Errorf("a topic that is not there: %v", err)
	}
}
