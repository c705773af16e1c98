package archive

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMarkMovesOnlyOverWhatIsStored(t *testing.T) {
	t.Parallel()
	p := newPartition(topicPartition{"t", 0})
	defer p.abort()
	// Offsets with gaps, as compaction leaves them.
	var entries []*entry
	for _, o := range []int64{5, 6, 9, 12} {
		p.push([]*kgo.Record{{Offset: o, LeaderEpoch: 3, Value: make([]byte, 100)}})
	}
	for range 4 {
		entries = append(entries, p.take())
	}
	if _, moved := p.uncommitted(); moved {
		t.Error("there is something to commit before anything is stored")
	}
	for _, step := range []struct {
		finish int
		mark   int64 // -1: nothing to commit
	}{
		{1, -1}, {3, -1}, {0, 7}, {2, 13},
	} {
		p.finish(entries[step.finish])
		mark, moved := p.uncommitted()
		if want := step.mark; moved != (want >= 0) || moved && (mark.Offset != want || mark.Epoch != 3) {
			t.Errorf("after entry %d: mark %+v (moved %v), want %d", step.finish, mark, moved, want)
		}
		if moved {
			p.setCommitted(mark)
		}
	}
	if size, _ := p.load(); size != 0 {
		t.Errorf("%d bytes held by nothing", size)
	}
	p.stop()
	if p.take() != nil {
		t.Error("a stopped partition hands out records")
	}
}
