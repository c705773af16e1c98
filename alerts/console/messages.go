package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// fetchWait is how long a broker holds a request for records back when it
	// has none.
	fetchWait = 500 * time.Millisecond
	// mergeLimit is the number of messages up to which those of several
	// partitions are put in the order of time, which means to hold them: at the
	// observatory's 80 kB, 160 MB.
	mergeLimit = 1000
)

// ErrStalled says that the brokers stopped sending before the end that they had
// told was reached.
var ErrStalled = errors.New("the brokers send no more records")

// Options are what Messages needs of the client that was given to New.
func Options() []kgo.Opt {
	return []kgo.Opt{
		// Markers of transactions count on the way to a partition's end.
		kgo.KeepControlRecords(),
		kgo.FetchMaxWait(fetchWait),
		// What is looked at again and again is at most a second old.
		kgo.MetadataMinAge(time.Second),
	}
}

// From says where reading begins. The zero From is the first record.
type From struct {
	kind byte // 'e' or 0: earliest, 'l': latest, 'a': at n, 'b': n before the end
	n    int64
}

// ParseFrom reads earliest, latest, an offset N, or -N: the last N messages.
func ParseFrom(text string) (From, error) {
	switch text {
	case "earliest":
		return From{kind: 'e'}, nil
	case "latest":
		return From{kind: 'l'}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return From{}, fmt.Errorf("%q is no offset: it is earliest, latest, a number, or -N for the last N", text)
	case n < 0 && n != -n: // the smallest int64 is its own negative
		return From{kind: 'b', n: -n}, nil
	case n < 0:
		return From{}, fmt.Errorf("%q is no offset: the number is too large", text)
	}
	return From{kind: 'a', n: n}, nil
}

// Query says which messages are wanted.
type Query struct {
	Topic string
	// Partition is one of the topic's; negative for all.
	Partition int32
	From      From
	// Limit is the largest number of messages; 0 for all there are.
	Limit int
	// Match drops records before they are counted; nil takes all.
	Match func(context.Context, *kgo.Record) bool
	// Idle is how long to wait for the next record while the end that the
	// brokers told is not reached, and for the brokers' answer before that; 0 for
	// 30 s. From latest waits for records for as long as it takes.
	Idle time.Duration
	// Scanned is told the number of records that were read, and how many there
	// are to read as far as offsets tell, now and then; it may be nil.
	Scanned func(read, total int64)
}

// Messages reads records and hands them to take, until the ends that the
// partitions had at the beginning. From latest it begins at these ends instead and
// goes on until the limit is reached or ctx ends.
//
// Several partitions' records come in the order of time when they can be held (a
// limit of 1 to 1000, and no Match), those of one partition always in the order of
// their offsets. With -N that is the last N of all. A client serves one reading: it
// may go on with the topic where the last one was cut short. Errors are
// *UnknownError, *RefusedError, ErrStalled, take's, or the client's.
func (c *Cluster) Messages(ctx context.Context, q Query, take func(*kgo.Record) error) error {
	if q.Idle == 0 {
		q.Idle = 30 * time.Second
	}
	spans, err := c.spans(ctx, q)
	if err != nil {
		return err
	}
	r := &reading{Query: q, spans: spans, take: take}
	r.merge = len(spans) > 1 && q.Limit > 0 && q.Limit <= mergeLimit && q.Match == nil && q.From.kind != 'l'
	for _, s := range spans {
		r.total += s.to - s.from
	}
	if r.total == 0 && q.From.kind != 'l' {
		return nil
	}
	offsets := map[int32]kgo.Offset{}
	for p, s := range spans {
		offsets[p] = kgo.NewOffset().At(s.from)
	}
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{q.Topic: offsets})
	if err := r.run(ctx, c.client); err != nil {
		return err
	}
	return r.flush()
}

// span is the part of a partition that is to be read.
type span struct{ from, to int64 }

// spans finds out what is to be read of each partition; those with nothing are
// left out, but for From latest.
func (c *Cluster) spans(ctx context.Context, q Query) (map[int32]span, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Idle)
	defer cancel()
	meta, err := c.admin.ListTopicsWithInternal(ctx, q.Topic)
	if err != nil {
		return nil, doing("describing topic "+q.Topic, err)
	}
	switch err := meta[q.Topic].Err; {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException), err == nil && !meta.Has(q.Topic):
		known, _ := c.TopicNames(ctx)
		return nil, &UnknownError{Kind: "topic", Name: q.Topic, Known: known}
	case err != nil:
		return nil, doing("describing topic "+q.Topic, err)
	}
	if _, ok := meta[q.Topic].Partitions[q.Partition]; q.Partition >= 0 && !ok {
		var known []string
		for _, p := range meta[q.Topic].Partitions.Sorted() {
			known = append(known, strconv.Itoa(int(p.Partition)))
		}
		return nil, &UnknownError{Kind: "partition", Name: strconv.Itoa(int(q.Partition)), Known: known}
	}
	starts, err := c.admin.ListStartOffsets(ctx, q.Topic)
	if err != nil {
		return nil, doing("reading topic "+q.Topic, err)
	}
	ends, err := c.admin.ListEndOffsets(ctx, q.Topic)
	if err != nil {
		return nil, doing("reading topic "+q.Topic, err)
	}
	out := map[int32]span{}
	for p := range meta[q.Topic].Partitions {
		if q.Partition >= 0 && p != q.Partition {
			continue
		}
		start, _ := starts.Lookup(q.Topic, p)
		end, _ := ends.Lookup(q.Topic, p)
		if err := errors.Join(start.Err, end.Err); err != nil {
			return nil, doing(fmt.Sprintf("reading partition %d of topic %s", p, q.Topic), err)
		}
		s := span{start.Offset, end.Offset}
		switch q.From.kind {
		case 'l':
			s.from = s.to
		case 'a':
			s.from = max(q.From.n, s.from)
		case 'b':
			s.from = max(s.to-q.From.n, s.from)
		}
		if s.from < s.to || q.From.kind == 'l' {
			out[p] = s
		}
	}
	return out, nil
}

// reading is one run of Messages.
type reading struct {
	Query
	spans map[int32]span
	take  func(*kgo.Record) error
	merge bool
	total int64 // records in spans

	read  int64
	taken int
	each  map[int32]int // taken, by partition
	held  []*kgo.Record
}

func (r *reading) run(ctx context.Context, client *kgo.Client) error {
	r.each = map[int32]int{}
	left := maps.Clone(r.spans)
	for len(left) > 0 && !r.full() {
		poll, cancel := ctx, context.CancelFunc(func() {})
		if r.From.kind != 'l' {
			poll, cancel = context.WithTimeoutCause(ctx, r.Idle, ErrStalled)
		}
		fetches := client.PollFetches(poll)
		stalled := poll.Err() != nil
		cancel()
		if err := ended(ctx); err != nil {
			return err
		}
		if stalled && fetches.NumRecords() == 0 {
			return fmt.Errorf("%w: %d of %d came within %v of each other", ErrStalled, r.read, r.total, r.Idle)
		}
		for _, e := range fetches.Errors() {
			// Others than these the client tries again by itself.
			if refused(e.Err) != nil || !kerr.IsRetriable(e.Err) {
				return doing("reading topic "+r.Topic, e.Err)
			}
		}
		var done []int32
		for it := fetches.RecordIter(); !it.Done() && !r.full(); {
			record := it.Next()
			s, wanted := left[record.Partition]
			if !wanted {
				continue
			}
			r.read++
			// What came after the look at the ends is not asked for.
			if r.From.kind == 'l' || record.Offset < s.to {
				if err := r.see(ctx, record); err != nil {
					return err
				}
			}
			if r.From.kind != 'l' && (record.Offset >= s.to-1 || r.enough(record.Partition)) {
				delete(left, record.Partition)
				done = append(done, record.Partition)
			}
		}
		if len(done) > 0 {
			client.PauseFetchPartitions(map[string][]int32{r.Topic: done})
		}
		if r.Scanned != nil {
			r.Scanned(r.read, r.total)
		}
	}
	return nil
}

func (r *reading) see(ctx context.Context, record *kgo.Record) error {
	if record.Attrs.IsControl() || r.Match != nil && !r.Match(ctx, record) {
		return nil
	}
	r.each[record.Partition]++
	if r.merge {
		r.held = append(r.held, record)
		if len(r.held) >= 2*r.Limit {
			r.cut()
		}
		return nil
	}
	r.taken++
	return r.take(record)
}

// full says that no record is wanted any more.
func (r *reading) full() bool { return !r.merge && r.Limit > 0 && r.taken >= r.Limit }

// enough says that a partition cannot add to what is held: its records come in
// the order of time, nearly always, so that its first ones are the ones to hold.
func (r *reading) enough(partition int32) bool {
	return r.merge && r.From.kind != 'b' && r.each[partition] >= r.Limit
}

// cut puts what is held into the order of time and drops what is above the limit.
func (r *reading) cut() {
	slices.SortFunc(r.held, func(a, b *kgo.Record) int {
		switch {
		case a.Partition == b.Partition:
			return int(a.Offset - b.Offset)
		case a.Timestamp.Equal(b.Timestamp):
			return int(a.Partition - b.Partition)
		}
		return a.Timestamp.Compare(b.Timestamp)
	})
	if drop := len(r.held) - r.Limit; drop > 0 {
		if r.From.kind == 'b' {
			r.held = slices.Delete(r.held, 0, drop)
		} else {
			r.held = slices.Delete(r.held, r.Limit, len(r.held))
		}
	}
}

// flush hands over what was held.
func (r *reading) flush() error {
	if !r.merge {
		return nil
	}
	r.cut()
	for _, record := range r.held {
		if err := r.take(record); err != nil {
			return err
		}
	}
	return nil
}
