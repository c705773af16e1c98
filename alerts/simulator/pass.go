package simulator

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// quietTime is how long a pass waits for records before it asks whether the
// topic is still the same one. It bounds only how late a deleted topic shows.
const quietTime = 2 * time.Second

// passConfig says what a pass reads.
type passConfig struct {
	topic   string
	content content
	options []kgo.Opt // how to reach the cluster, and how to log
	ahead   int64     // bytes to read before anyone has asked for them
}

// pass reads the given content of a topic once, in the background and ahead
// of its reader by a bounded number of bytes. Each has a client of its own:
// nothing of an earlier visit (buffered fetches, a topic that was created
// again) can reach the next one, and the connections are made before they are
// needed.
type pass struct {
	cfg     passConfig
	records chan *kgo.Record
	ready   chan struct{} // closed when the first record, the end or an error is there
	budget  *room
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error // set before records is closed
}

func startPass(ctx context.Context, cfg passConfig) *pass {
	ctx, cancel := context.WithCancel(ctx)
	p := &pass{
		cfg: cfg,
		// Bytes are what is bounded; this bounds the count for tiny records.
		records: make(chan *kgo.Record, 4096),
		ready:   make(chan struct{}),
		budget:  newRoom(cfg.ahead),
		cancel:  cancel,
		ended:   make(chan struct{}),
	}
	go func() {
		defer close(p.ended)
		defer close(p.records)
		p.err = p.read(ctx)
		p.markReady()
	}()
	return p
}

// next returns the next record, or nil at the end of the content. The caller
// gives the record's bytes back with release.
func (p *pass) next(ctx context.Context) (*kgo.Record, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r, more := <-p.records:
		if !more {
			return nil, p.err
		}
		return r, nil
	}
}

func (p *pass) release(r *kgo.Record) { p.budget.leave(len(r.Value)) }

// discard ends the reading and waits until its connections are closed.
func (p *pass) discard() {
	p.cancel()
	<-p.ended
}

// failed tells whether the reading has ended with an error.
func (p *pass) failed() bool {
	select {
	case <-p.ended:
		return p.err != nil
	default:
		return false
	}
}

func (p *pass) markReady() {
	select {
	case <-p.ready:
	default:
		close(p.ready)
	}
}

func (p *pass) read(ctx context.Context) error {
	left := p.cfg.content.ends()
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(p.cfg.options[:len(p.cfg.options):len(p.cfg.options)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.cfg.topic: p.cfg.content.starts()}),
		// Records that are gone are an event to report, not one to skip.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// A marker of a transaction takes up an offset; without it the end
		// of the content might never be reached.
		kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchBytes),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)

	for len(left) > 0 {
		polling, stop := context.WithTimeout(ctx, quietTime)
		fetches := client.PollFetches(polling)
		stop()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.check(fetches); err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			// An error here is trouble with the brokers, which the client is
			// already retrying.
			now, err := observe(ctx, admin, p.cfg.topic)
			if errors.Is(err, kerr.UnknownTopicOrPartition) || err == nil && !p.holds(now, left) {
				return &ReservoirChangedError{p.cfg.topic, err}
			}
			continue
		}
		if err := p.hand(ctx, fetches, left); err != nil {
			return err
		}
	}
	return nil
}

// check finds the errors that will not go away. All others, an unreachable
// broker among them, the client retries by itself.
func (p *pass) check(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var refusal *kerr.Error
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(e.Err, kerr.OffsetOutOfRange), errors.As(e.Err, &loss):
			return &ReservoirChangedError{p.cfg.topic, e.Err}
		case errors.As(e.Err, &refusal) && !kerr.IsRetriable(refusal):
			return &TopicError{p.cfg.topic, e.Err}
		}
	}
	return nil
}

// hand passes records on and strikes off the partitions that are complete.
func (p *pass) hand(ctx context.Context, fetches kgo.Fetches, left map[int32]int64) error {
	for it := fetches.RecordIter(); !it.Done(); {
		r := it.Next()
		end, wanted := left[r.Partition]
		if !wanted || r.Offset >= end {
			continue
		}
		if r.Offset == end-1 {
			delete(left, r.Partition)
		}
		if r.Attrs.IsControl() {
			continue
		}
		if err := p.budget.enter(ctx, len(r.Value)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p.records <- r:
			p.markReady()
		}
	}
	return nil
}

// holds tells whether the topic still is the one that is being read and ends
// where it did or later. Its start may move: what was read before stays read.
func (p *pass) holds(now content, left map[int32]int64) bool {
	if now.topicID != p.cfg.content.topicID {
		return false
	}
	for _, b := range now.bounds {
		if end, wanted := left[b.partition]; wanted && (b.end < end || b.start >= end) {
			return false
		}
	}
	return true
}
