package archive

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partition is one partition that this ingester owns: the records it has read
// and not yet stored, and how far everything is stored without a gap.
type partition struct {
	topicPartition
	// soft ends when nothing new may be begun, hard when requests in progress
	// must break off.
	soft, hard  context.Context
	stop, abort context.CancelFunc
	// tasks counts the sequencing goroutine and the jobs that it handed out.
	tasks sync.WaitGroup

	mu sync.Mutex
	// records holds all that is not behind the mark, in offset order; those
	// before next are sequenced.
	records []*entry
	next    int
	size    int64
	waiting bool
	// wake is signalled when records were added.
	wake chan struct{}
	// mark is the offset after the last record that is done, and before which
	// all are; the group's position after a restart.
	mark, committed kgo.EpochOffset
}

// entry is one record on its way.
type entry struct {
	record *kgo.Record
	size   int64
	done   bool
}

// recordOverhead is what a record holds in memory beyond its value: without it
// a flood of empty messages would count as nothing.
const recordOverhead = 256

func newPartition(tp topicPartition) *partition {
	p := &partition{topicPartition: tp, wake: make(chan struct{}, 1)}
	p.hard, p.abort = context.WithCancel(context.Background())
	p.soft, p.stop = context.WithCancel(p.hard)
	none := kgo.EpochOffset{Epoch: -1, Offset: -1}
	p.mark, p.committed = none, none
	return p
}

// push adds records in offset order and returns their size in bytes.
func (p *partition) push(records []*kgo.Record) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var size int64
	for _, r := range records {
		e := &entry{record: r, size: int64(len(r.Key)+len(r.Value)) + recordOverhead}
		p.records = append(p.records, e)
		size += e.size
	}
	p.size += size
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return size
}

// take returns the next record to sequence, or nil once the partition stops.
func (p *partition) take() *entry {
	for {
		p.mu.Lock()
		if p.soft.Err() != nil {
			p.mu.Unlock()
			return nil
		}
		if p.next < len(p.records) {
			e := p.records[p.next]
			p.next++
			p.mu.Unlock()
			return e
		}
		p.mu.Unlock()
		select {
		case <-p.soft.Done():
		case <-p.wake:
		}
	}
}

// finish notes that a record is stored, moves the mark over all that are, and
// returns the bytes that became free.
func (p *partition) finish(e *entry) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.done = true
	p.mark = p.advance()
	p.size -= e.size
	return e.size
}

func (p *partition) advance() kgo.EpochOffset {
	mark, n := p.mark, 0
	// Offsets themselves may have gaps (compaction, transaction markers), so
	// the order of arrival counts.
	for n < p.next && p.records[n].done {
		r := p.records[n].record
		mark = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
		p.records[n] = nil
		n++
	}
	p.records = p.records[n:]
	p.next -= n
	return mark
}

// load is what the partition holds in bytes, and whether it waits for
// something that only it needs.
func (p *partition) load() (size int64, waiting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, p.waiting
}

func (p *partition) setWaiting(waiting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = waiting
}

// uncommitted returns the mark if it has moved since the last commit.
func (p *partition) uncommitted() (kgo.EpochOffset, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mark, p.mark.Offset >= 0 && p.mark.Offset != p.committed.Offset
}

func (p *partition) setCommitted(o kgo.EpochOffset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = o
}
