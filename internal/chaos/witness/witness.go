// Package witness publishes alerts as somebody outside a lab would, remembers each one
// that was acknowledged, and says afterwards whether it is in the topic at its offset
// and in the alert database, byte for byte. It lives on while the lab dies and comes
// back.
//
// It sees addresses and clients only, so that it serves labs of every provider. Only
// tests and programs that break labs import it.
package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/packet"
)

// Published is an alert that the brokers acknowledged.
type Published struct {
	ID        int64
	Wire      []byte // as it was published
	Partition int32
	Offset    int64
}

// Options are those of a client to produce with: batches of few records make many
// acknowledgements, each a promise, and what is refused is tried again soon.
func Options() []kgo.Opt {
	return []kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond })}
}

// Producer publishes alerts with ids of their own.
type Producer struct {
	client *kgo.Client
	cancel context.CancelFunc
	over   chan error

	gate sync.Mutex // held while nothing is to be published

	mu    sync.Mutex
	acked []Published
	lost  map[string]int // errors of records that were given up, by text
}

// Load is what a producer publishes.
type Load struct {
	Topic      string
	Partitions int32
	Every      time.Duration // an alert
	Bytes      int           // of an alert, about
	Seed       uint64
}

// Produce begins to publish with a client of Options, until Stop. The client stays the
// caller's.
func Produce(ctx context.Context, client *kgo.Client, load Load) *Producer {
	ctx, cancel := context.WithCancel(ctx)
	p := &Producer{client: client, cancel: cancel, over: make(chan error, 1), lost: map[string]int{}}
	go func() { p.over <- p.run(ctx, load) }()
	return p
}

// firstVisit is no night of the simulator's.
const firstVisit = 3000000000001

func (p *Producer) run(ctx context.Context, load Load) error {
	version, err := packet.ParseVersion("11.0")
	if err != nil {
		return err
	}
	schema, err := packet.Published(version)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(load.Seed, 1))
	tick := time.NewTicker(load.Every)
	defer tick.Stop()
	const perVisit = 1000
	for visit := int64(firstVisit); ; visit++ {
		v, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: perVisit, PacketBytes: load.Bytes, Seed: load.Seed, Visit: visit, MidpointMjdTai: 61365.5})
		if err != nil {
			return err
		}
		for i := range perVisit {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			body, err := v.Body(i)
			if err != nil {
				return err
			}
			head, err := schema.Head(body)
			if err != nil {
				return err
			}
			wire := packet.Frame(uint32(schema.ID()), body)
			// Not bound to ctx: what is buffered at the end is flushed.
			p.gate.Lock()
			p.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Topic: load.Topic, Partition: random.Int32N(load.Partitions), Value: wire}, func(r *kgo.Record, err error) {
				p.mu.Lock()
				defer p.mu.Unlock()
				if err != nil { // never acknowledged, so nothing is promised
					p.lost[err.Error()]++
					return
				}
				p.acked = append(p.acked, Published{head.ID, wire, r.Partition, r.Offset})
			})
			p.gate.Unlock()
		}
	}
}

// Hold publishes nothing more until release is called.
func (p *Producer) Hold() (release func()) {
	p.gate.Lock()
	return p.gate.Unlock
}

// Acknowledged gives what was acknowledged so far, in the order of the
// acknowledgements.
func (p *Producer) Acknowledged() []Published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked[:len(p.acked):len(p.acked)]
}

// Stop ends the producer and gives everything that was acknowledged. ctx bounds the
// wait for what was sent and is not acknowledged yet.
func (p *Producer) Stop(ctx context.Context) ([]Published, error) {
	p.cancel()
	if err := <-p.over; err != nil {
		return nil, err
	}
	err := p.client.Flush(ctx)
	if err != nil {
		err = fmt.Errorf("the producer did not come to an end: %w", err)
	}
	return p.Acknowledged(), err
}

// GivenUp counts the records that were never acknowledged, by the error.
func (p *Producer) GivenUp() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.lost)
}

// InTopic looks whether every acknowledged alert is in the topic at its offset, byte
// for byte, and whether acknowledgements of a partition came in its order. reader
// consumes the topic from its start. lost are those that are not, a sentence each; of
// those that are, again counts the copies beyond the first: a record whose
// acknowledgement was lost with the brokers' memory is sent again.
func InTopic(ctx context.Context, admin *kadm.Client, reader *kgo.Client, topic string, acked []Published) (lost []string, again int, err error) {
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, 0, err
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, 0, err
	}
	waiting := map[int32]bool{}
	ends.Each(func(o kadm.ListedOffset) {
		start, _ := starts.Lookup(topic, o.Partition)
		waiting[o.Partition] = o.Offset > start.Offset
	})
	wanted := map[string]bool{}
	for _, r := range acked {
		wanted[string(r.Wire)] = true
	}
	// Records of others are counted by their place only.
	type place struct {
		partition int32
		offset    int64
	}
	seen, values, found := map[place]bool{}, map[place][]byte{}, 0
	for some := anyOf(waiting); some; some = anyOf(waiting) {
		fetches := reader.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return nil, 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at := place{r.Partition, r.Offset}
			if seen[at] {
				lost = append(lost, fmt.Sprintf("partition %d has offset %d twice", r.Partition, r.Offset))
			}
			seen[at] = true
			if wanted[string(r.Value)] {
				values[at] = r.Value
				found++
			}
			end, _ := ends.Lookup(topic, r.Partition)
			waiting[r.Partition] = waiting[r.Partition] && r.Offset < end.Offset-1
		})
	}
	last := map[int32]int64{}
	for _, r := range acked {
		if before, ok := last[r.Partition]; ok && r.Offset <= before {
			lost = append(lost, fmt.Sprintf("partition %d: offset %d was acknowledged after %d", r.Partition, r.Offset, before))
		}
		last[r.Partition] = r.Offset
		at := place{r.Partition, r.Offset}
		switch got, ok := values[at]; {
		case ok && bytes.Equal(got, r.Wire):
		case seen[at]:
			lost = append(lost, fmt.Sprintf("alert %d was acknowledged at partition %d offset %d, where something else is", r.ID, r.Partition, r.Offset))
		default:
			if start, ok := starts.Lookup(topic, r.Partition); ok && r.Offset < start.Offset {
				lost = append(lost, fmt.Sprintf("alert %d was acknowledged at partition %d offset %d, which retention has deleted: it cannot be looked for any more", r.ID, r.Partition, r.Offset))
				continue
			}
			lost = append(lost, fmt.Sprintf("alert %d was acknowledged at partition %d offset %d, and is lost", r.ID, r.Partition, r.Offset))
		}
	}
	return lost, found - len(wanted), nil
}

func anyOf(waiting map[int32]bool) bool {
	for _, w := range waiting {
		if w {
			return true
		}
	}
	return false
}

// Committed gives a group's offsets by partition, of all topics that it reads.
func Committed(ctx context.Context, admin *kadm.Client, group string) (map[int32]int64, error) {
	offsets, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { out[o.Partition] = o.At })
	return out, nil
}

// Behind says what of a topic a group has not committed yet, of what was in it when the
// ends were listed; "" when it has all.
func Behind(ctx context.Context, admin *kadm.Client, group string, ends kadm.ListedOffsets) (string, error) {
	committed, err := Committed(ctx, admin, group)
	if err != nil {
		return "", err
	}
	behind := ""
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > committed[o.Partition] {
			behind += fmt.Sprintf(" partition %d: %d of %d;", o.Partition, committed[o.Partition], o.Offset)
		}
	})
	return behind, nil
}

// Archived asks the alert database at a URL for alerts, and gives a sentence for each
// that does not come back as it was published.
func Archived(ctx context.Context, url string, records []Published) []string {
	client := archive.Client{URL: url}
	var mu sync.Mutex
	var lost []string
	var group errgroup.Group
	group.SetLimit(8)
	for _, r := range records {
		group.Go(func() error {
			got, err := client.Alert(ctx, r.ID)
			what := ""
			switch {
			case err != nil:
				what = err.Error()
			case !bytes.Equal(got, r.Wire):
				what = fmt.Sprintf("%d bytes came back that are not the %d published", len(got), len(r.Wire))
			default:
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			lost = append(lost, fmt.Sprintf("alert %d (partition %d, offset %d): %s", r.ID, r.Partition, r.Offset, what))
			return nil
		})
	}
	_ = group.Wait() // it only bounds; what was found wrong is in lost
	return lost
}
