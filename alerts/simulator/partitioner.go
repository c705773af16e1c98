package simulator

import "github.com/twmb/franz-go/pkg/kgo"

// chunkBytes is how much goes to one partition before the next one's turn. It
// is small enough that the smallest visit of a lab (300 alerts of 80 kB over
// ten partitions) reaches every broker, and large enough that batches are more
// than single alerts.
const chunkBytes = 512 << 10

// inTurn fills partitions one after another. kgo's own choices are random per
// batch, which leaves a small visit lying on few brokers. It is used by one
// client, which calls it under its own lock.
type inTurn struct{ chunk int }

func (p inTurn) ForTopic(string) kgo.TopicPartitioner { return &turn{chunk: p.chunk} }

type turn struct {
	chunk  int
	at     int
	filled int
}

// RequiresConsistency is false: while a broker is down its share goes to the
// partitions that have a leader.
func (*turn) RequiresConsistency(*kgo.Record) bool { return false }

func (t *turn) Partition(r *kgo.Record, n int) int {
	if t.filled >= t.chunk {
		t.at, t.filled = t.at+1, 0
	}
	t.at %= n
	t.filled += len(r.Value)
	return t.at
}
