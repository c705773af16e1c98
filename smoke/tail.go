package smoke

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// tail reads everything of a topic from some offsets on, in no group. It is for
// the rare look at all records: topicLog answers what single ones can tell.
type tail struct {
	log    *topicLog
	client *kgo.Client
	next   map[int32]int64 // by partition, the first offset that was not read
}

// newTail reads as a user, from the given offsets.
func (e *Env) newTail(log *topicLog, user string, from map[int32]int64) (*tail, error) {
	at, next := map[int32]kgo.Offset{}, map[int32]int64{}
	for p, offset := range from {
		at[p], next[p] = kgo.NewOffset().At(offset), offset
	}
	cl, err := newClient(e.login(user), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{log.topic: at}))
	if err != nil {
		return nil, err
	}
	return &tail{log: log, client: cl, next: next}, nil
}

// behind says how many records there are to read, as offsets tell.
func (t *tail) behind(ctx context.Context) (records int64, ends map[int32]int64, err error) {
	spans, err := t.log.spans(ctx)
	if err != nil {
		return 0, nil, err
	}
	ends = map[int32]int64{}
	for _, s := range spans {
		if n := s.to - max(s.from, t.next[s.partition]); n > 0 {
			records += n
			ends[s.partition] = s.to
		}
	}
	return records, ends, nil
}

// read hands on every record up to the ends that the topic has now.
func (t *tail) read(ctx context.Context, each func(*kgo.Record)) error {
	_, ends, err := t.behind(ctx)
	if err != nil {
		return err
	}
	for len(ends) > 0 {
		fetches := t.client.PollFetches(ctx)
		if err := errors.Join(fetches.Err0(), ctx.Err()); err != nil {
			return fmt.Errorf("reading %s on: %w", t.log.topic, err)
		}
		for _, fe := range fetches.Errors() {
			return fmt.Errorf("reading %s partition %d on: %w", t.log.topic, fe.Partition, fe.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			each(r)
			t.next[r.Partition] = r.Offset + 1
			if end, ok := ends[r.Partition]; ok && r.Offset+1 >= end {
				delete(ends, r.Partition)
			}
		})
	}
	return nil
}

func (t *tail) close() { t.client.Close() }

// maxTangled is how many records are read to tell publishers apart; of more it would
// take longer than a check may.
const maxTangled = 50_000

// byProducer finds the starts of visits for each publisher on its own. Brokers give
// every idempotent producer an id, and keep it with its records; -1 stands for all
// others. It is nil when there are too many records to look at. What began within a
// gap of from may be the rest of an earlier visit, and is left out.
func (v visits) byProducer(ctx context.Context, e *Env, from time.Time) (map[int64][]time.Time, error) {
	log, isLog := v.log.(*topicLog)
	if !isLog {
		return nil, nil
	}
	offsets, _, err := log.after(ctx, from)
	if err != nil {
		return nil, err
	}
	t, err := e.newTail(log, e.streamReader(), offsets)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if n, _, err := t.behind(ctx); err != nil || n > maxTangled {
		return nil, err
	}
	times := map[int64]map[int64]bool{} // by producer: milliseconds with a record
	err = t.read(ctx, func(r *kgo.Record) {
		if times[r.ProducerID] == nil {
			times[r.ProducerID] = map[int64]bool{}
		}
		times[r.ProducerID][r.Timestamp.UnixMilli()] = true
	})
	if err != nil {
		return nil, err
	}
	return startsOf(times, from, v.gap()), nil
}
