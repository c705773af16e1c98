package archive

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// Stats is the progress of an ingester since it was made.
type Stats struct {
	// Ready is true while the ingester is a member of its group and waits for
	// nothing but new alerts and the usual time of storing them.
	Ready bool
	// Waiting is how many operations are between two attempts right now.
	Waiting int
	// Stored and DeadLetters count messages; a message that is stored again
	// after a rebalance counts again.
	Stored, DeadLetters int64
	// WireBytes counts Kafka values, ObjectBytes what was put for them.
	WireBytes, ObjectBytes int64
	// InFlightBytes is what is read and not yet stored.
	InFlightBytes int64
	// Retries counts failed attempts by what was tried: "read schema", "store
	// schema", "store alert" or "store dead letter".
	Retries map[string]int64
	// Commits counts the commits that the group took.
	Commits int64
	// LastStoredID is the id of the alert stored last, at LastStored.
	LastStoredID int64
	LastStored   time.Time
	// Latest are the alerts that were stored last, the newest first, at most
	// latestKept.
	Latest []StoredAlert
	// LastError is the last trouble with brokers, store or registry, at
	// LastErrorTime; it stays after recovery.
	LastError     error
	LastErrorTime time.Time
	// Committed holds the group's offset by topic and partition: everything
	// before it is stored.
	Committed map[string]map[int32]int64
}

// latestKept is how many of the alerts that were stored last are remembered.
const latestKept = 20

// StoredAlert is an alert that was stored.
type StoredAlert struct {
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	Bytes int       `json:"bytes"` // of the object
}

func (s *Stats) setCommitted(tp topicPartition, offset int64) {
	if s.Committed[tp.topic] == nil {
		s.Committed[tp.topic] = map[int32]int64{}
	}
	s.Committed[tp.topic][tp.partition] = offset
}

// recorder collects Stats.
type recorder struct {
	mu        sync.Mutex
	now       Stats
	latest    [latestKept]StoredAlert // a ring: number Stored-1 is the newest
	member    bool
	retries   map[string]int64
	committed map[topicPartition]int64
}

func (r *recorder) setMember(member bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.member = member
}

func (r *recorder) wait(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Waiting += n
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.LastError, r.now.LastErrorTime = err, time.Now()
}

func (r *recorder) alert(id int64, wire, object int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Stored++
	r.now.WireBytes += int64(wire)
	r.now.ObjectBytes += int64(object)
	r.now.LastStoredID, r.now.LastStored = id, time.Now()
	r.latest[(r.now.Stored-1)%latestKept] = StoredAlert{id, r.now.LastStored, object}
}

func (r *recorder) deadLetter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.DeadLetters++
}

func (r *recorder) retry(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retries[what]++
	r.now.LastError, r.now.LastErrorTime = fmt.Errorf("%s: %w", what, err), time.Now()
}

// commits counts an answered commit.
func (r *recorder) commits() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Commits++
}

func (r *recorder) commit(tp topicPartition, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committed[tp] = offset
}

// forget leaves it to the group to say where a partition begins that is ours now:
// another member may have gone on with it.
func (r *recorder) forget(tp topicPartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.committed, tp)
}

func (r *recorder) snapshot() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.now
	s.Ready = r.member && s.Waiting == 0
	s.Retries = maps.Clone(r.retries)
	for i := range min(r.now.Stored, latestKept) {
		s.Latest = append(s.Latest, r.latest[(r.now.Stored-1-i)%latestKept])
	}
	s.Committed = map[string]map[int32]int64{}
	for tp, offset := range r.committed {
		s.setCommitted(tp, offset)
	}
	return s
}
