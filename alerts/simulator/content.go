package simulator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// content is what a topic held at one moment. Two equal ones are the same
// records: a topic's records are never rewritten, only added and deleted.
type content struct {
	topicID kadm.TopicID
	bounds  []bound // by partition
}

// bound is the run of offsets of a partition, end exclusive.
type bound struct {
	partition  int32
	start, end int64
}

// observe asks the brokers what the topic holds now.
func observe(ctx context.Context, admin *kadm.Client, topic string) (content, error) {
	detail, err := lookUp(ctx, admin, topic)
	if err != nil {
		return content{}, err
	}
	// Ends before starts: if all records are replaced between the two
	// answers, the run comes out empty instead of spanning both.
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return content{}, &TopicError{topic, err}
	}
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return content{}, &TopicError{topic, err}
	}
	c := content{topicID: detail.ID}
	for _, p := range detail.Partitions.Numbers() {
		end, found := ends.Lookup(topic, p)
		start, also := starts.Lookup(topic, p)
		if !found || !also {
			return content{}, &TopicError{topic, fmt.Errorf("no offsets of partition %d", p)}
		}
		c.bounds = append(c.bounds, bound{p, start.Offset, max(start.Offset, end.Offset)})
	}
	return c, nil
}

func (c content) equal(o content) bool {
	return c.topicID == o.topicID && slices.Equal(c.bounds, o.bounds)
}

func (c content) empty() bool { return len(c.starts()) == 0 }

// starts gives the partitions that hold records and where they begin.
func (c content) starts() map[int32]kgo.Offset {
	at := make(map[int32]kgo.Offset)
	for _, b := range c.bounds {
		if b.start < b.end {
			at[b.partition] = kgo.NewOffset().At(b.start)
		}
	}
	return at
}

// ends gives the same partitions and where they end, exclusive.
func (c content) ends() map[int32]int64 {
	at := make(map[int32]int64)
	for _, b := range c.bounds {
		if b.start < b.end {
			at[b.partition] = b.end
		}
	}
	return at
}

func (c content) String() string {
	parts := make([]string, 0, len(c.bounds))
	for _, b := range c.bounds {
		parts = append(parts, fmt.Sprintf("[%d, %d)", b.start, b.end))
	}
	return strings.Join(parts, " ")
}
