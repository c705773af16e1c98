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

// pass reads the alerts of one visit once, in the background and ahead of its
// reader by a bounded number of bytes.
type pass struct {
	records chan *kgo.Record
	ready   chan struct{} // closed when the first record, the end or an error is there
	budget  *room
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error // set before records is closed
}

// startPass begins to read. read hands over records in the reservoir's form, one
// after another, and returns nil at their end; ahead is the number of bytes that
// may be read before anyone has asked for them.
func startPass(ctx context.Context, ahead int64, read func(ctx context.Context, hand func(*kgo.Record) error) error) *pass {
	ctx, cancel := context.WithCancel(ctx)
	p := &pass{
		// Bytes are what is bounded; this bounds the count for tiny records.
		records: make(chan *kgo.Record, 4096),
		ready:   make(chan struct{}),
		budget:  newRoom(ahead),
		cancel:  cancel,
		ended:   make(chan struct{}),
	}
	go func() {
		p.err = read(ctx, func(r *kgo.Record) error { return p.hand(ctx, r) })
		close(p.records)
		close(p.ended)
		p.markReady() // last, so that whoever waited for it sees a failure
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

func (p *pass) hand(ctx context.Context, r *kgo.Record) error {
	if err := p.budget.enter(ctx, len(r.Value)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case p.records <- r:
		p.markReady()
		return nil
	}
}

// topicReader reads the given content of a topic. Each reading has a client of its
// own: nothing of an earlier visit (buffered fetches, a topic that was created
// again) can reach the next one, and the connections are made before they are
// needed.
type topicReader struct {
	topic   string
	content content
	options []kgo.Opt // how to reach the cluster, and how to log
}

func (t topicReader) read(ctx context.Context, hand func(*kgo.Record) error) error {
	left := t.content.ends()
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(t.options[:len(t.options):len(t.options)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: t.content.starts()}),
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
		if err := t.check(fetches); err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			// An error here is trouble with the brokers, which the client is
			// already retrying.
			now, err := observe(ctx, admin, t.topic)
			if errors.Is(err, kerr.UnknownTopicOrPartition) || err == nil && !t.holds(now, left) {
				return &ReservoirChangedError{t.topic, err}
			}
			continue
		}
		if err := strike(fetches, left, hand); err != nil {
			return err
		}
	}
	return nil
}

// check finds the errors that will not go away. All others, an unreachable
// broker among them, the client retries by itself.
func (t topicReader) check(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var refusal *kerr.Error
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(e.Err, kerr.OffsetOutOfRange), errors.As(e.Err, &loss):
			return &ReservoirChangedError{t.topic, e.Err}
		case errors.As(e.Err, &refusal) && !kerr.IsRetriable(refusal):
			return &TopicError{t.topic, e.Err}
		}
	}
	return nil
}

// strike passes records on and strikes off the partitions that are complete.
func strike(fetches kgo.Fetches, left map[int32]int64, hand func(*kgo.Record) error) error {
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
		if err := hand(r); err != nil {
			return err
		}
	}
	return nil
}

// holds tells whether the topic still is the one that is being read and ends
// where it did or later. Its start may move: what was read before stays read.
func (t topicReader) holds(now content, left map[int32]int64) bool {
	if now.topicID != t.content.topicID {
		return false
	}
	for _, b := range now.bounds {
		if end, wanted := left[b.partition]; wanted && (b.end < end || b.start >= end) {
			return false
		}
	}
	return true
}
