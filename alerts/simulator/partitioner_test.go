package simulator

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordsFillPartitionsInTurn(t *testing.T) {
	t.Parallel()
	p := inTurn{chunk: 100}.ForTopic("t")
	r := &kgo.Record{Value: make([]byte, 60)}
	for i, want := range []int{0, 0, 1, 1, 2, 2, 0, 0, 1} {
		if got := p.Partition(r, 3); got != want {
			t.Fatalf("record %d goes to partition %d, want %d", i, got, want)
		}
	}
	// Two brokers are gone: the turn goes on among what is left.
	for range 3 {
		if got := p.Partition(r, 1); got != 0 {
			t.Fatalf("the only partition is 0, got %d", got)
		}
	}
	if p.RequiresConsistency(r) {
		t.Error("records must be free to avoid a partition without a leader")
	}
}
