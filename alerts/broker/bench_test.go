package broker

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A visit of 10,000 alerts of 80 kB, the planning number of the alert stream
// (DMTN-102), produced through SASL to six brokers with acks from all.
func BenchmarkProduceVisit(b *testing.B) { benchmarkProduceVisit(b, false) }

// The same, acknowledged when it is on disk: what sync costs depends on the disk.
func BenchmarkProduceVisitSync(b *testing.B) { benchmarkProduceVisit(b, true) }

func benchmarkProduceVisit(b *testing.B, sync bool) {
	const alerts, size = 10_000, 80_000
	cfg := testConfig(b)
	cfg.Sync = sync
	cfg.Nodes = brokers(0, 6)
	cfg.Settings["log.retention.bytes"] = "50000000"
	cfg.Settings["log.segment.bytes"] = "16000000"
	c := startTest(b, cfg)
	cl := client(b, c, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(1_000_000))
	makeTopic(b, cl, "alerts", 6, nil)
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	b.SetBytes(alerts * size)
	for b.Loop() {
		for range alerts {
			cl.Produce(b.Context(), &kgo.Record{Topic: "alerts", Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := cl.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := c.ApplyRetention(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkAcknowledge is what one record of 80 kB takes to be acknowledged, one
// after the other, as a producer waits that sends no second before the first is safe.
func BenchmarkAcknowledge(b *testing.B) { benchmarkAcknowledge(b, false) }

// BenchmarkAcknowledgeSync is the same with every record on disk before.
func BenchmarkAcknowledgeSync(b *testing.B) { benchmarkAcknowledge(b, true) }

func benchmarkAcknowledge(b *testing.B, sync bool) {
	cfg := testConfig(b)
	cfg.Sync = sync
	cfg.Settings["log.retention.bytes"] = "50000000"
	c := startTest(b, cfg)
	cl := client(b, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
	makeTopic(b, cl, "alerts", 6, nil)
	record := make([]byte, 80_000)
	for i := range record {
		record[i] = byte(rand.Uint32())
	}
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		if err := cl.ProduceSync(b.Context(), &kgo.Record{Topic: "alerts", Value: record}).FirstErr(); err != nil {
			b.Fatal(err)
		}
	}
}
