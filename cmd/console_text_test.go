package cmd

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/console"
)

var update = flag.Bool("update", false, "rewrite golden files")

func pointer[T any](v T) *T { return &v }

// golden compares text with a file of testdata/console.
func golden(t *testing.T, name string, print func(*bytes.Buffer) error) {
	t.Helper()
	var b bytes.Buffer
	if err := print(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "console", name+".txt")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("%s: got\n%swant\n%s", name, got, want)
	}
}

func TestConsoleText(t *testing.T) {
	t.Parallel()
	// A topic with everything that can be wrong with one, and one that shows little.
	topics := []console.Topic{
		{Name: "alerts-simulated", Replicas: 3, Records: pointer[int64](30_012), Bytes: pointer[int64](2_412_345_678),
			Settings: []console.Setting{
				{Name: "log.retention.ms", Value: "1", Source: "broker file"},
				{Name: "retention.bytes", Value: "250000000000", Source: "topic"},
				{Name: "token", Source: "topic", Sensitive: true},
			},
			Partitions: []console.Partition{
				{ID: 0, Leader: 6, Replicas: []int32{6, 7, 8}, InSync: []int32{6, 8}, Earliest: pointer[int64](12), Latest: pointer[int64](30_024), Records: pointer[int64](30_012), Bytes: pointer[int64](804_115_226)},
				{ID: 1, Leader: -1, Replicas: []int32{9, 11}, Offline: []int32{9, 11}, Problem: "LEADER_NOT_AVAILABLE"},
			}},
		{Name: "__consumer_offsets", Internal: true, Replicas: 1, Partitions: []console.Partition{{ID: 0, Leader: 1, Replicas: []int32{1}, InSync: []int32{1}}}},
	}
	golden(t, "topics", func(b *bytes.Buffer) error { return printTopics(b, topics) })
	golden(t, "topic", func(b *bytes.Buffer) error { return printTopic(b, topics[0]) })
	golden(t, "topic-unseen", func(b *bytes.Buffer) error { return printTopic(b, topics[1]) })

	groups := []console.Group{
		{Name: "alertdb-ingester", State: "Stable", Type: "classic", Assignor: "range", Coordinator: console.Coordinator{ID: 8, Address: "broker-8:9094"}, Lag: pointer[int64](17),
			Members: []console.Member{
				{ID: "a-1", Client: "aiokafka-0.12.0", Host: "/10.0.0.1", Partitions: map[string][]int32{"lsst-alerts-v7.4": {0, 1, 2, 3, 5}, "alerts": {4}}},
				{ID: "a-2", Instance: "second", Client: "evil\x1b[2J", Host: "/10.0.0.2"},
			},
			Partitions: []console.GroupOffsets{
				{Topic: "alerts", Partition: 4, Committed: pointer[int64](3), Latest: pointer[int64](20), Lag: pointer[int64](17), Member: "a-1"},
				{Topic: "lsst-alerts-v7.4", Partition: 0, Problem: "UNKNOWN_TOPIC_OR_PARTITION", Member: "a-1"},
			}},
		{Name: "lost", Type: "classic", Problem: "COORDINATOR_NOT_AVAILABLE"},
	}
	golden(t, "groups", func(b *bytes.Buffer) error { return printGroups(b, groups) })
	golden(t, "group", func(b *bytes.Buffer) error { return printGroup(b, groups[0]) })
	golden(t, "group-lost", func(b *bytes.Buffer) error { return printGroup(b, groups[1]) })

	brokers := []console.Broker{
		{ID: 6, Address: "broker-6:9094", Rack: "r1", Controller: true, Leads: 12, Holds: 36,
			Settings: []console.Setting{{Name: "message.max.bytes", Value: "4194304", Source: "all brokers"}},
			Disks: []console.Disk{
				{Dir: "/kafka/0", Bytes: 999_499, Total: pointer[int64](35_000_000_000_000), Free: pointer[int64](34_999_000_000_000)},
				{Dir: "/kafka/1", Bytes: 999_500, Problem: "KAFKA_STORAGE_ERROR"},
			}},
		{ID: 7, Address: "broker-7:9094", Problem: "dial tcp: connection refused"},
	}
	golden(t, "brokers", func(b *bytes.Buffer) error { return printBrokers(b, brokers) })
	golden(t, "broker", func(b *bytes.Buffer) error { return printBroker(b, brokers[0]) })
	golden(t, "broker-lost", func(b *bytes.Buffer) error { return printBroker(b, brokers[1]) })

	at := time.Date(2026, 6, 1, 4, 5, 6, 7_000_000, time.UTC)
	message := func(m console.Message) console.Message {
		m.Topic, m.Time = "lsst-alerts-v11.0", at
		return m
	}
	schema := &console.Schema{ID: 1100, Version: "11.0", Subjects: []console.SubjectVersion{{Subject: "alert-packet", Version: 1100}, {Subject: "lsst-alerts-v11.0-value", Version: 1}}}
	messages := []console.Message{
		message(console.Message{Partition: 44, Offset: 123_456_789, Bytes: 80_123, Schema: schema, ID: pointer[int64](281323062375219200),
			Summary: &console.Summary{Band: "r", RA: pointer(53.123456), Dec: pointer(-28.5), SNR: pointer(12.34), Flux: pointer(-512.6), FluxErr: pointer(41.5), Sources: 12, Forced: 3}}),
		message(console.Message{Schema: &console.Schema{ID: 300, Subjects: schema.Subjects[:1]}, ID: pointer[int64](1), Summary: &console.Summary{SolarSystem: true}}),
		message(console.Message{Bytes: 4, Malformed: "confluent wire format: 4 bytes, the header takes 5"}),
		message(console.Message{Bytes: 17, Key: `{"keytype":"NOOP"}`, Text: "{\n\t\"a\x1b[31m\": 1}", Malformed: "confluent wire format: first byte is 0x7b, not 0x00"}),
		message(console.Message{Bytes: 9, Schema: &console.Schema{ID: 9}, Malformed: "the registry has no schema with id 9"}),
		message(console.Message{Bytes: 9, Schema: &console.Schema{ID: 1100}, Unread: "the registry does not answer"}),
		message(console.Message{Bytes: 9, Schema: &console.Schema{ID: 7, Subjects: []console.SubjectVersion{{Subject: "a-subject-with-a-name-that-is-long-value", Version: 3}}}}),
	}
	golden(t, "messages", func(b *bytes.Buffer) error {
		lines := &messageLines{w: b}
		for _, m := range messages {
			if err := lines.print(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestScanLine shows progress at most twice a second, and takes the line away
// before anything else is written.
func TestScanLine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &scanLine{w: &b}
	s.clear()
	s.at(10, 1000)
	s.at(20, 1000)
	if got := b.String(); got != "10 of 1000 messages read" {
		t.Errorf("%q", got)
	}
	b.Reset()
	s.last = s.last.Add(-time.Second)
	s.meter.Observe(time.Now().Add(-10*time.Second), 0)
	s.at(500, 1000)
	if got := b.String(); got != "\r\x1b[K500 of 1000 messages read, 50/s, 10s left" {
		t.Errorf("%q", got)
	}
	b.Reset()
	s.clear()
	s.clear()
	if got := b.String(); got != "\r\x1b[K" {
		t.Errorf("%q", got)
	}
	(&scanLine{}).at(1, 1)
}

func TestMeasures(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB", 4e18: "4000 PB"} {
		if got := bytesText(&n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if bytesText(nil) != "" || count(nil) != "" {
		t.Error("what is not known has a value")
	}
	for want, numbers := range map[string][]int32{"": nil, "3": {3}, "3,4": {3, 4}, "0-2": {0, 1, 2}, "0-2,4,6,7": {0, 1, 2, 4, 6, 7}, "5,4": {5, 4}} {
		if got := ids(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}
