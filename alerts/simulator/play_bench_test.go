package simulator

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/packet"
)

// BenchmarkPlayVisit plays visits of 10,000 alerts of 80 kB, the size that the
// real survey expects, through six brokers over TCP.
func BenchmarkPlayVisit(b *testing.B) { benchmarkPlay(b, 10_000, 80_000) }

// BenchmarkPlaySmallVisit is the visit of a lab that has just started.
func BenchmarkPlaySmallVisit(b *testing.B) { benchmarkPlay(b, 300, 80_000) }

func benchmarkPlay(b *testing.B, alerts, size int) {
	c := startCluster(b, 6, 45, kfakeDisk(b))
	// All alerts are due at once, so that what is measured is not the clock.
	schema := published(b, "7.4")
	source := Visit(newVisit(b, schema, alerts, size, 1), 0)
	client := c.client(b, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(500))
	for range alerts {
		body, err := source.Next(testContext(b))
		if err != nil {
			b.Fatal(err)
		}
		client.Produce(testContext(b), &kgo.Record{
			Topic: reservoir, Value: packet.Frame(uint32(schema.ID()), body),
			Headers: []kgo.RecordHeader{{Key: OffsetHeader, Value: []byte("0.0")}},
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := client.Flush(testContext(b)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(alerts) * int64(size))
	for b.Loop() {
		b.StopTimer()
		c.trim(b, simulated)
		b.StartTimer()
		p := c.play(b, -1)
		got := p.cycle(b)
		if _, err := p.end(); err != nil || got.Alerts != int64(alerts) {
			b.Fatalf("%d alerts, %v", got.Alerts, err)
		}
	}
}

// BenchmarkCreate loads the two sizes of reservoir.
func BenchmarkCreate(b *testing.B)      { benchmarkCreate(b, 10_000, 80_000) }
func BenchmarkCreateSmall(b *testing.B) { benchmarkCreate(b, 300, 80_000) }

func benchmarkCreate(b *testing.B, alerts, size int) {
	c := startCluster(b, 6, 1, kfakeDisk(b))
	schema := published(b, "7.4")
	b.SetBytes(int64(alerts) * int64(size))
	for b.Loop() {
		v := newVisit(b, schema, alerts, size, 1)
		m, err := Create(testContext(b), CreateConfig{
			Login: c.login, Topic: reservoir, Source: Visit(v, 0), Schema: schema, Replace: true,
		})
		if err != nil || m.Alerts != int64(alerts) {
			b.Fatalf("%d alerts, %v", m.Alerts, err)
		}
	}
}
