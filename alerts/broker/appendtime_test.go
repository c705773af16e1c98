package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAppendTime(t *testing.T) {
	t.Parallel()
	old := time.UnixMilli(1_000_000_000_000) // 2001
	for name, test := range map[string]struct {
		broker string
		topic  map[string]string
		want   int8 // 0 create time, 1 append time
	}{
		"topic":               {"", map[string]string{"message.timestamp.type": "LogAppendTime"}, 1},
		"broker":              {"LogAppendTime", nil, 1},
		"topic before broker": {"LogAppendTime", map[string]string{"message.timestamp.type": "CreateTime"}, 0},
		"neither":             {"", nil, 0},
	} {
		for codec, compression := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "zstd": kgo.ZstdCompression()} {
			t.Run(name+"/"+codec, func(t *testing.T) {
				t.Parallel()
				cfg := testConfig(t)
				if test.broker != "" {
					cfg.Settings["log.message.timestamp.type"] = test.broker
				}
				c := startTest(t, cfg)
				cl := client(t, c, kgo.ProducerBatchCompression(compression))
				makeTopic(t, cl, "alerts", 1, test.topic)
				before := time.Now().Truncate(time.Millisecond)
				var produced []*kgo.Record
				for i := range 50 {
					produced = append(produced, &kgo.Record{
						Topic: "alerts", Value: fmt.Append(nil, "alert ", i), Timestamp: old.Add(time.Duration(i) * time.Hour),
					})
				}
				if err := cl.ProduceSync(deadline(t), produced...).FirstErr(); err != nil {
					t.Fatal(err)
				}
				after := time.Now()
				check := func(when string) {
					t.Helper()
					for i, r := range consume(t, c, "alerts", 50) { // kgo checks each batch's CRC
						if string(r.Value) != fmt.Sprint("alert ", i) {
							t.Fatalf("%s: record %d is %q", when, i, r.Value)
						}
						if r.Attrs.TimestampType() != test.want {
							t.Fatalf("%s: timestamp type %d", when, r.Attrs.TimestampType())
						}
						if test.want == 1 && (r.Timestamp.Before(before) || r.Timestamp.After(after)) {
							t.Fatalf("%s: append time %v is not between %v and %v", when, r.Timestamp, before, after)
						}
						if want := old.Add(time.Duration(i) * time.Hour); test.want == 0 && !r.Timestamp.Equal(want) {
							t.Fatalf("%s: create time %v, want %v", when, r.Timestamp, want)
						}
					}
				}
				check("live")
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				c = startTest(t, cfg)
				check("after a restart")
				found, err := kadm.NewClient(client(t, c)).ListOffsetsAfterMilli(deadline(t), before.UnixMilli(), "alerts")
				if err != nil {
					t.Fatal(err)
				}
				o, _ := found.Lookup("alerts", 0)
				if want := map[int8]int64{0: 50, 1: 0}[test.want]; o.Offset != want {
					t.Errorf("first offset since production is %d, want %d", o.Offset, want)
				}
			})
		}
	}
}

func TestAppendTimeFollowsTheTopic(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 1, nil)
	old := time.UnixMilli(1_000_000_000_000)
	set := func(value string) {
		t.Helper()
		_, err := kadm.NewClient(cl).AlterTopicConfigs(deadline(t),
			[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.timestamp.type", Value: &value}}, "alerts")
		if err != nil {
			t.Fatal(err)
		}
	}
	// The answer is read as it is: kgo does not tell the append time.
	produce := func() int64 {
		t.Helper()
		b := make([]byte, batchHeader, 128)
		b[batchMagic] = 2
		binary.BigEndian.PutUint64(b[batchFirstTime:], uint64(old.UnixMilli()))
		binary.BigEndian.PutUint64(b[batchMaxTime:], uint64(old.UnixMilli()))
		for i := batchProducer; i < batchSequence+4; i++ {
			b[i] = 0xff
		}
		binary.BigEndian.PutUint32(b[batchHeader-4:], 1)
		b = append(b, 14, 0, 0, 0, 1, 2, 'x', 0) // a record: length 7, no key, value x
		binary.BigEndian.PutUint32(b[batchLength:], uint32(len(b)-batchLength-4))
		seal(b)
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 1000
		topic, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		topic.TopicID, p.Records = c.fake.TopicInfo("alerts").TopicID, b // kgo asks with version 13
		topic.Partitions = append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)
		a, err := cl.Broker(int(c.fake.LeaderFor("alerts", 0))).Request(deadline(t), req)
		if err != nil {
			t.Fatal(err)
		}
		answer := a.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
			t.Fatal(err)
		}
		return answer.LogAppendTime
	}
	if ms := produce(); ms != -1 {
		t.Errorf("append time %d of a topic with create time", ms)
	}
	before := time.Now().UnixMilli()
	set("LogAppendTime")
	if ms := produce(); ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("append time %d", ms)
	}
	set("CreateTime")
	if ms := produce(); ms != -1 {
		t.Errorf("append time %d of a topic with create time", ms)
	}
}

// kfake would store such a batch with a wrong CRC, and cut the log there when
// it loads it.
func TestClientsCannotClaimAppendTime(t *testing.T) {
	t.Parallel()
	s := &stamps{}
	b := make([]byte, batchHeader)
	b[batchMagic], b[batchAttributes+1] = 2, attributeAppendTime
	seal(b)
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	topic, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic, p.Records = "alerts", b
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
	if _, _, err := s.request(frame[headSize:], req.Version, 1); err != nil {
		t.Fatal(err)
	}
	got, err := decodeRequest(frame[headSize:], int16(kmsg.Produce), req.Version)
	if err != nil {
		t.Fatal(err)
	}
	records := got.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records
	want := bytes.Clone(records)
	want[batchAttributes+1] = 0
	seal(want)
	if !bytes.Equal(records, want) {
		t.Errorf("got %x, want %x", records, want)
	}
}
