package broker

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestDisks sums what the brokers tell of their disks: every partition once, by
// the broker that leads it, and the size of the volume that there is.
func TestDisks(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	cl := client(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	makeTopic(t, cl, "alerts", 6, nil)
	const records, size = 60, 10_000
	for i := range records {
		r := &kgo.Record{Topic: "alerts", Partition: int32(i % 6), Value: []byte(strings.Repeat("x", size))}
		if err := cl.ProduceSync(deadline(t), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(deadline(t), "alerts")
	if err != nil {
		t.Fatal(err)
	}
	disks, err := adm.DescribeAllLogDirs(deadline(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(disks) != 3 {
		t.Fatalf("%d brokers told of their disks", len(disks))
	}
	var total int64
	told := map[int32]int32{}
	for broker, dirs := range disks {
		for _, d := range dirs {
			if d.Dir != c.cfg.DataDir || d.TotalBytes <= 0 || d.UsableBytes <= 0 || d.UsableBytes > d.TotalBytes {
				t.Errorf("broker %d: %s, %d of %d bytes are free", broker, d.Dir, d.UsableBytes, d.TotalBytes)
			}
		}
		dirs.EachPartition(func(p kadm.DescribedLogDirPartition) {
			if p.Topic != "alerts" {
				return
			}
			if other, twice := told[p.Partition]; twice {
				t.Errorf("partition %d is told by brokers %d and %d", p.Partition, other, broker)
			}
			told[p.Partition] = broker
			total += p.Size
		})
	}
	for _, p := range topics["alerts"].Partitions.Sorted() {
		if told[p.Partition] != p.Leader {
			t.Errorf("partition %d is told by broker %d, its leader is %d", p.Partition, told[p.Partition], p.Leader)
		}
	}
	if len(told) != 6 || total < records*size || total > 2*records*size {
		t.Errorf("%d partitions with %d bytes", len(told), total)
	}
}
