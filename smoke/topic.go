package smoke

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchBytes asks for one batch: a broker always sends the first one whole,
// however long it is.
const fetchBytes = 1

// topicLog reads single records and times of one topic, at random. Nothing is
// kept but where the leaders are; a consumer would read ahead instead, whole
// visits of it.
type topicLog struct {
	cl    *kgo.Client
	adm   *kadm.Client
	topic string

	mu      sync.Mutex
	leaders map[int32]int32
}

func newTopicLog(cl *kgo.Client, topic string) *topicLog {
	return &topicLog{cl: cl, adm: kadm.NewClient(cl), topic: topic}
}

// span is a range of offsets of one partition, from inclusive, to exclusive.
type span struct {
	partition int32
	from, to  int64
}

// spans lists the partitions with what they hold.
func (l *topicLog) spans(ctx context.Context) ([]span, error) {
	ends, err := l.adm.ListEndOffsets(ctx, l.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("end offsets of %s: %w", l.topic, err)
	}
	starts, err := l.adm.ListStartOffsets(ctx, l.topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("start offsets of %s: %w", l.topic, err)
	}
	var out []span
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
			out = append(out, span{end.Partition, start.Offset, end.Offset})
		}
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %w", l.topic, kerr.UnknownTopicOrPartition)
	}
	slices.SortFunc(out, func(a, b span) int { return int(a.partition - b.partition) })
	return out, nil
}

// after gives for each partition the offset of the first record at or after t,
// or its end when there is none, and the earliest time of these records.
func (l *topicLog) after(ctx context.Context, t time.Time) (offsets map[int32]int64, first time.Time, err error) {
	listed, err := l.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), l.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("offsets of %s after %s: %w", l.topic, clock(t), err)
	}
	offsets = make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) {
		offsets[o.Partition] = o.Offset
		if o.Timestamp < 0 {
			return
		}
		if at := time.UnixMilli(o.Timestamp); first.IsZero() || at.Before(first) {
			first = at
		}
	})
	return offsets, first, nil
}

// newestTime is the time of the newest record, zero when there is none.
func (l *topicLog) newestTime(ctx context.Context) (time.Time, error) {
	listed, err := l.adm.ListMaxTimestampOffsets(ctx, l.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("newest record of %s: %w", l.topic, err)
	}
	var newest time.Time
	listed.Each(func(o kadm.ListedOffset) {
		if o.Timestamp >= 0 && time.UnixMilli(o.Timestamp).After(newest) {
			newest = time.UnixMilli(o.Timestamp)
		}
	})
	return newest, nil
}

// last gives the last record of a partition chosen by rng, nil when the topic
// holds none.
func (l *topicLog) last(ctx context.Context, rng *rand.Rand) (*kgo.Record, error) {
	all, err := l.spans(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s span) bool { return s.to <= s.from })
	if len(all) == 0 {
		return nil, nil
	}
	s := all[rng.IntN(len(all))]
	return l.at(ctx, s.partition, s.to-1)
}

// waitLast is last, waiting for the first record of the topic.
func (l *topicLog) waitLast(ctx context.Context, env *Env, rng *rand.Rand) (*kgo.Record, error) {
	for {
		rec, err := l.last(ctx, rng)
		if err != nil || rec != nil {
			return rec, err
		}
		env.Waiting("the first record of %s, which is empty", l.topic)
		if err := pause(ctx, min(max(env.interval()/8, 50*time.Millisecond), time.Second)); err != nil {
			return nil, err
		}
	}
}

// at reads the record at an offset. It follows a leader that moves.
func (l *topicLog) at(ctx context.Context, partition int32, offset int64) (*kgo.Record, error) {
	const tries = 6
	var err error
	for i := range tries {
		if i > 0 {
			if perr := pause(ctx, 50*time.Millisecond<<i); perr != nil {
				return nil, errors.Join(err, perr)
			}
			l.forgetLeaders()
		}
		var leader int32
		if leader, err = l.leader(ctx, partition); err == nil {
			var rec *kgo.Record
			if rec, err = l.fetch(ctx, l.cl.Broker(int(leader)), partition, offset); err == nil {
				return rec, nil
			}
		}
		if ke := (*kerr.Error)(nil); errors.As(err, &ke) && !ke.Retriable {
			break
		}
	}
	return nil, fmt.Errorf("reading %s partition %d offset %d: %w", l.topic, partition, offset, err)
}

func (l *topicLog) fetch(ctx context.Context, b *kgo.Broker, partition int32, offset int64) (*kgo.Record, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = 500
	req.MinBytes = 1
	req.MaxBytes = fetchBytes
	req.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = l.topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, fetchBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)

	resp, err := req.RequestWith(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			got := &resp.Topics[i].Partitions[j]
			if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
				return nil, err
			}
			parsed, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
				Offset: offset, Topic: l.topic, Partition: partition,
			}, got, kgo.DefaultDecompressor(), nil)
			if parsed.Err != nil {
				return nil, parsed.Err
			}
			for _, rec := range parsed.Records {
				if rec.Offset == offset {
					return rec, nil
				}
			}
		}
	}
	return nil, errNoRecord
}

var errNoRecord = errors.New("the broker sent no record for this offset")

func (l *topicLog) forgetLeaders() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaders = nil
}

func (l *topicLog) leader(ctx context.Context, partition int32) (int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaders == nil {
		topic, err := describeTopic(ctx, l.cl, l.topic, false)
		if err != nil {
			return 0, err
		}
		l.leaders = make(map[int32]int32, len(topic.Partitions))
		for _, p := range topic.Partitions {
			l.leaders[p.Partition] = p.Leader
		}
	}
	leader, ok := l.leaders[partition]
	if !ok {
		return 0, kerr.UnknownTopicOrPartition
	}
	if leader < 0 {
		return 0, kerr.LeaderNotAvailable
	}
	return leader, nil
}

// describeTopic asks for the metadata of one topic. The error is Kafka's own
// when the topic is not there or not shown to this user.
func describeTopic(ctx context.Context, r kmsg.Requestor, topic string, create bool) (kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = create
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, r)
	if err != nil {
		return kmsg.MetadataResponseTopic{}, err
	}
	for _, t := range resp.Topics {
		if t.Topic != nil && *t.Topic == topic {
			return t, kerr.ErrorForCode(t.ErrorCode)
		}
	}
	return kmsg.MetadataResponseTopic{}, fmt.Errorf("metadata say nothing of topic %s", topic)
}

// pause waits for d or for ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// clock writes a moment as logs of brokers and services do, in UTC.
func clock(t time.Time) string { return t.UTC().Format("15:04:05.000Z") }
