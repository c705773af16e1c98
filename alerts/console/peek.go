package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/record"
)

// Limits bound what a peek holds and does.
type Limits struct {
	Heads     int   // the newest alerts that are listed
	Packets   int   // the newest packets that are kept whole
	Bytes     int64 // of those together
	PerSecond int   // heads that are read in a second; the other messages are counted
	Begin     int   // messages from before the beginning, so that something is seen at once
	// Every is the least time between two views.
	Every time.Duration
}

// PeekLimits are those of an interactive peek: a reader sees no more alerts a second,
// and 500 heads with 8 MB of packets are kept at any rate.
func PeekLimits() Limits {
	return Limits{Heads: 500, Packets: 100, Bytes: 8 << 20, PerSecond: 40, Begin: 40, Every: 250 * time.Millisecond}
}

// PeekOptions are what a peek needs of its client, which serves it alone: answers of
// brokers are small, so that six of them do not hold a hundred megabytes.
func PeekOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.FetchMaxBytes(2 << 20),
		kgo.FetchMaxPartitionBytes(1 << 20),
		kgo.FetchMaxWait(fetchWait),
	}
}

// View is what a peek has seen up to a moment.
type View = record.View

// Peek follows a topic and keeps what a reader may look at, within its limits,
// however much comes. It joins no group.
type Peek struct {
	topic   string
	client  *kgo.Client
	schemas *Schemas
	limits  Limits
	now     func() time.Time
	stop    context.CancelFunc
	done    chan struct{}

	// Of the goroutine that takes records.
	tokens float64   // heads that may be read now
	filled time.Time // when tokens were counted last

	mu      sync.Mutex
	changed chan struct{} // closed and made anew with every change
	view    View          // without heads
	heads   []record.Head // a ring; next is where the next one goes
	next    int
	shown   time.Time // of the last view
	meter   meter
	kept    map[place][]byte
	order   []place // of kept, the oldest first
	bytes   int64   // of kept
}

type place struct {
	partition int32
	offset    int64
}

// Peek begins to follow a topic. The cluster's client must have PeekOptions, and is
// the peek's until it is closed; it stays the caller's to close. ctx bounds the whole
// peek. Errors are those of Messages.
func (c *Cluster) Peek(ctx context.Context, topic string, schemas *Schemas, limits Limits) (*Peek, error) {
	q := Query{Topic: topic, Partition: -1, Idle: 20 * time.Second}
	q.From = From{kind: 'l'}
	ends, err := c.spans(ctx, q)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]kgo.Offset{}
	for p, s := range ends {
		offsets[p] = kgo.NewOffset().At(s.to)
	}
	if limits.Begin > 0 && len(ends) > 0 {
		q.From = From{kind: 'b', n: int64(max(1, limits.Begin/len(ends)))}
		begins, err := c.spans(ctx, q)
		if err != nil {
			return nil, err
		}
		for p, s := range begins {
			offsets[p] = kgo.NewOffset().At(s.from)
		}
	}
	p := newPeek(topic, c.client, schemas, limits, time.Now)
	ctx, p.stop = context.WithCancel(ctx)
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})
	go p.run(ctx)
	return p, nil
}

func newPeek(topic string, client *kgo.Client, schemas *Schemas, limits Limits, now func() time.Time) *Peek {
	return &Peek{
		topic: topic, client: client, schemas: schemas, limits: limits, now: now, stop: func() {},
		done: make(chan struct{}), changed: make(chan struct{}), tokens: float64(max(limits.PerSecond, limits.Begin)), filled: now(), kept: map[place][]byte{},
	}
}

// Close ends the peek and waits for it. What it has kept stays to be read.
func (p *Peek) Close() {
	p.stop()
	<-p.done
}

// atOnce is how many records are taken from the client at a time.
const atOnce = 256

func (p *Peek) run(ctx context.Context) {
	defer close(p.done)
	err := p.follow(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view.Ended, p.view.Err = true, err
	p.touch()
}

func (p *Peek) follow(ctx context.Context) error {
	for {
		fetches := p.client.PollRecords(ctx, atOnce)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil
		}
		problem := ""
		for _, e := range fetches.Errors() {
			if refused(e.Err) != nil || !kerr.IsRetriable(e.Err) && !errors.Is(e.Err, kerr.OffsetOutOfRange) {
				return doing("reading topic "+p.topic, e.Err)
			}
			problem = e.Err.Error()
		}
		for it := fetches.RecordIter(); !it.Done(); {
			p.take(ctx, it.Next())
		}
		p.mu.Lock()
		if p.view.Problem != problem {
			p.view.Problem = problem
			p.touch()
		}
		p.mu.Unlock()
	}
}

// take counts a record and, as far as the rate allows, reads and keeps it. A view has
// either all of that or nothing.
func (p *Peek) take(ctx context.Context, r *kgo.Record) {
	now := p.now()
	if !p.allowed(now) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.view.Passed++
		p.count(now, r)
		return
	}
	head := HeadOf(ctx, p.schemas, r)
	// The record shares its memory with all that came in one answer.
	whole := slices.Clone(r.Value)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.heads) < p.limits.Heads {
		p.heads = append(p.heads, head)
	} else if len(p.heads) > 0 {
		p.heads[p.next] = head
		p.next = (p.next + 1) % len(p.heads)
	}
	p.keep(place{r.Partition, r.Offset}, whole)
	p.count(now, r)
}

// allowed says whether another head may be read now.
func (p *Peek) allowed(now time.Time) bool {
	p.tokens = min(p.tokens+now.Sub(p.filled).Seconds()*float64(p.limits.PerSecond), float64(max(p.limits.PerSecond, p.limits.Begin)))
	p.filled = now
	if p.tokens < 1 {
		return false
	}
	p.tokens--
	return true
}

// count counts a record. The lock must be held.
func (p *Peek) count(now time.Time, r *kgo.Record) {
	p.view.Seen++
	p.view.Bytes += int64(len(r.Value))
	p.meter.add(now, len(r.Value))
	p.touch()
}

func (p *Peek) keep(at place, value []byte) {
	if int64(len(value)) > p.limits.Bytes || p.limits.Packets < 1 {
		return
	}
	p.kept[at] = value
	p.order = append(p.order, at)
	p.bytes += int64(len(value))
	for len(p.order) > p.limits.Packets || p.bytes > p.limits.Bytes {
		p.bytes -= int64(len(p.kept[p.order[0]]))
		delete(p.kept, p.order[0])
		p.order = p.order[1:]
	}
}

// touch tells who waits for a view. The lock must be held.
func (p *Peek) touch() {
	p.view.Number++
	close(p.changed)
	p.changed = make(chan struct{})
}

// Packet gives a message that is kept whole, false when it is not.
func (p *Peek) Packet(partition int32, offset int64) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.kept[place{partition, offset}]
	return b, ok
}

// calm is after how long a view is given although nothing came, while the rate is
// not 0 yet.
const calm = time.Second

// Next waits for what is newer than the view of a number, and at least until Every
// after the last view. It fails only with the context's cause.
func (p *Peek) Next(ctx context.Context, after uint64) (View, error) {
	for {
		p.mu.Lock()
		now := p.now()
		wait := p.limits.Every - now.Sub(p.shown)
		changed := p.changed
		news := p.view.Number > after || p.view.Ended
		moving := p.meter.moving(now)
		if news && wait <= 0 || p.view.Ended {
			defer p.mu.Unlock()
			return p.look(now), nil
		}
		p.mu.Unlock()
		if !news {
			wait = 0
			if moving {
				wait = calm
			}
		} else {
			changed = nil
		}
		if err := sleepUntil(ctx, changed, wait); err != nil {
			return View{}, err
		}
		if !news && moving {
			// Nothing came for a while, or something did: either is a view.
			after = 0
		}
	}
}

// sleepUntil waits for a change or for a time, whichever is first and given.
func sleepUntil(ctx context.Context, changed <-chan struct{}, wait time.Duration) error {
	var elapsed <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-changed:
	case <-elapsed:
	}
	return nil
}

// look makes a view. The lock must be held.
func (p *Peek) look(now time.Time) View {
	p.shown = now
	v := p.view
	v.Rate, v.ByteRate = p.meter.rates(now)
	v.Heads = make([]record.Head, 0, len(p.heads))
	for i := range p.heads {
		v.Heads = append(v.Heads, p.heads[(p.next+len(p.heads)-1-i)%len(p.heads)])
	}
	return v
}

// HeadOf reads what a list shows of a record. Whatever is wrong stands in it.
func HeadOf(ctx context.Context, schemas *Schemas, r *kgo.Record) record.Head {
	h := record.Head{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Published: r.Timestamp.UTC(), Bytes: len(r.Value), SchemaID: -1}
	id, body, err := packet.Unframe(r.Value)
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	h.SchemaID = int(id)
	schema, _, err := schemas.Get(ctx, int(id))
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	if v := schema.Version(); v != (packet.Version{}) {
		h.Version = v.String()
	}
	g, err := schema.Glance(body)
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	h.ID, h.Visit, h.MJD, h.Band = g.ID, g.Visit, g.MidpointMjdTai, g.Band
	h.Flux, h.FluxErr, h.SNR, h.RA, h.Dec = g.Flux, g.FluxErr, g.SNR, g.RA, g.Dec
	return h
}

// OpenPacket decodes a message of the Confluent wire format as a person looks at it.
// Errors are *packet.WireError, those of Schemas.Get, or *packet.DatumError.
func OpenPacket(ctx context.Context, schemas *Schemas, wire []byte) (*record.Record, error) {
	id, body, err := packet.Unframe(wire)
	if err != nil {
		return nil, err
	}
	schema, text, err := schemas.Get(ctx, int(id))
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	alert, err := schema.Decode(body)
	if err != nil {
		return nil, err
	}
	return record.Read(text, alert)
}

// meterSpan is over how many seconds a rate is taken.
const meterSpan = 5

// meter counts by seconds.
type meter struct {
	began  int64 // the first second, 0 before anything came
	slots  [meterSpan + 1]slot
	latest int64
}

type slot struct{ second, count, bytes int64 }

func (m *meter) add(now time.Time, bytes int) {
	s := now.Unix()
	if m.began == 0 {
		m.began = s
	}
	m.latest = s
	at := &m.slots[s%int64(len(m.slots))]
	if at.second != s {
		*at = slot{second: s}
	}
	at.count++
	at.bytes += int64(bytes)
}

// moving says whether a rate is not 0, or will change when nothing comes.
func (m *meter) moving(now time.Time) bool {
	return m.began != 0 && now.Unix()-m.latest <= meterSpan
}

// rates are those of the whole seconds before this one.
func (m *meter) rates(now time.Time) (count, bytes float64) {
	second := now.Unix()
	span := min(second-m.began, meterSpan)
	if m.began == 0 || span < 1 {
		return 0, 0
	}
	for _, s := range m.slots {
		if s.second < second && s.second >= second-span {
			count += float64(s.count)
			bytes += float64(s.bytes)
		}
	}
	return count / float64(span), bytes / float64(span)
}
