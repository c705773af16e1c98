package archive_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/archive"
)

// TestLook: alerts of both layouts count, and what else is in the bucket does not; of
// dead letters the newest are read.
func TestLook(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for key, size := range map[string]int{
		"v2/alerts/123132/1231321321.avro.gz": 10,
		"v1/alerts/42.avro.gz":                5,
		"v2/schemas/704.json":                 100,
		"v2/deadletters/alerts/0/7.bin":       1000,
		"else":                                10000,
	} {
		must(t, r.objects.Put(timeout(t), buckets.Alerts, key, make([]byte, size)))
	}
	now := time.Now().Truncate(time.Second)
	for offset, age := range map[int64]time.Duration{7: time.Hour, 8: time.Minute, 9: 2 * time.Hour} {
		text, err := json.Marshal(archive.DeadLetter{Topic: "alerts", Offset: offset, Reason: "no alert"})
		must(t, err)
		key := archive.DeadLetterKey("alerts", 0, offset) + ".json"
		must(t, r.objects.Put(timeout(t), buckets.Alerts, key, text))
		r.age(buckets.Alerts, key, now.Add(-age))
	}
	got, err := archive.Look(timeout(t), r.objects, buckets.Alerts, 2)
	must(t, err)
	if got.Alerts != 2 || got.Bytes != 15 || got.DeadLetters != 3 {
		t.Errorf("got %+v", got)
	}
	if len(got.Newest) != 2 || got.Newest[0].ID+got.Newest[1].ID != 42+1231321321 || got.Newest[0].At.Before(got.Newest[1].At) {
		t.Errorf("the newest alerts are %+v", got.Newest)
	}
	if len(got.Latest) != 2 || got.Latest[0].Offset != 8 || got.Latest[1].Offset != 7 || got.Latest[0].Reason != "no alert" {
		t.Errorf("the newest dead letters are %+v", got.Latest)
	}
	if _, err := archive.Look(timeout(t), r.objects, "nowhere", 2); err == nil {
		t.Error("a bucket that is not there is listed")
	}
}
