package simulator

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/packet"
)

const (
	reservoir = "alerts-static"
	simulated = "alerts-simulated"
	midpoint  = 61000.125
	small     = 8_000 // bytes of an alert where its size does not matter
)

// cluster is a Kafka broker's protocol over TCP, with the two topics.
type cluster struct {
	*kfake.Cluster
	login kafka.Login
}

func startCluster(tb testing.TB, brokers int, partitions int32, more ...kfake.Opt) cluster {
	tb.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(brokers),
		kfake.SeedTopics(1, reservoir),
		kfake.SeedTopics(partitions, simulated),
	}, more...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return cluster{c, kafka.Login{Bootstrap: c.ListenAddrs()}}
}

func (c cluster) client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	client, err := kafka.NewClient(c.login, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// setConfig alters one config of a topic.
func (c cluster) setConfig(tb testing.TB, topic, key, value string) {
	tb.Helper()
	answers, err := kadm.NewClient(c.client(tb)).AlterTopicConfigs(testContext(tb),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil {
		tb.Fatal(err)
	}
	for _, a := range answers {
		if a.Err != nil {
			tb.Fatal(a.Err)
		}
	}
}

// read returns everything that a topic holds now, by partition.
func (c cluster) read(tb testing.TB, topic string) map[int32][]*kgo.Record {
	tb.Helper()
	ctx := testContext(tb)
	now, err := observe(ctx, kadm.NewClient(c.client(tb)), topic)
	if err != nil {
		tb.Fatal(err)
	}
	reading := startPass(ctx, 1<<30, topicReader{topic, now, c.login.Options()}.read)
	defer reading.discard()
	records := make(map[int32][]*kgo.Record)
	for {
		r, err := reading.next(ctx)
		if err != nil {
			tb.Fatal(err)
		}
		if r == nil {
			return records
		}
		records[r.Partition] = append(records[r.Partition], r)
	}
}

// values gives the values of all partitions, sorted, to compare as a bag.
func values(records map[int32][]*kgo.Record) []string {
	var all []string
	for _, rs := range records {
		for _, r := range rs {
			all = append(all, string(r.Value))
		}
	}
	slices.Sort(all)
	return all
}

func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func published(tb testing.TB, version string) *packet.Schema {
	tb.Helper()
	v, err := packet.ParseVersion(version)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := packet.Published(v)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newVisit(tb testing.TB, s *packet.Schema, alerts, size int, seed uint64) *packet.Visit {
	tb.Helper()
	v, err := packet.NewVisit(packet.VisitConfig{
		Schema: s, Alerts: alerts, PacketBytes: size, Seed: seed, Visit: int64(seed), MidpointMjdTai: midpoint,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// fill loads a synthetic visit and returns its wire-format values in order.
func (c cluster) fill(tb testing.TB, s *packet.Schema, alerts, size int, seed uint64) (Manifest, []string) {
	tb.Helper()
	v := newVisit(tb, s, alerts, size, seed)
	m, err := Create(testContext(tb), CreateConfig{
		Login: c.login, Topic: reservoir, Source: Visit(v, 0), Schema: s, Replace: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	var want []string
	for i := range alerts {
		body, err := v.Body(i)
		if err != nil {
			tb.Fatal(err)
		}
		want = append(want, string(packet.Frame(uint32(s.ID()), body)))
	}
	return m, want
}

// put writes records into the reservoir as they are: one per offset in
// seconds, its number as its value.
func (c cluster) put(tb testing.TB, offsets ...float64) {
	tb.Helper()
	var records []*kgo.Record
	for i, s := range offsets {
		records = append(records, &kgo.Record{
			Topic: reservoir, Value: []byte(strconv.Itoa(i)),
			Headers: []kgo.RecordHeader{{Key: OffsetHeader, Value: []byte(FormatSeconds(s))}},
		})
	}
	if err := c.client(tb).ProduceSync(testContext(tb), records...).FirstErr(); err != nil {
		tb.Fatal(err)
	}
}

// holdProduce lets the next write wait: asked is closed when it has come, and
// it goes on when answer is closed.
func (c cluster) holdProduce() (asked <-chan struct{}, answer chan<- struct{}) {
	come, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		// kfake asks about every write until one is answered here.
		once.Do(func() {
			c.SleepControl(func() {
				close(come)
				<-release
			})
		})
		return nil, nil, false
	})
	return come, release
}

// playing is a player at work in the background.
type playing struct {
	*Player
	cycles chan Cycle
	stop   context.CancelFunc
	ended  chan struct{}
	acked  int64
	err    error
	once   sync.Once
}

func (c cluster) play(tb testing.TB, interval time.Duration, change ...func(*Player)) *playing {
	tb.Helper()
	p := &playing{cycles: make(chan Cycle, 1024), ended: make(chan struct{})}
	cfg := PlayConfig{
		Login: c.login, Source: reservoir, Destination: simulated, Interval: interval,
		Observe: func(c Cycle) { p.cycles <- c },
	}
	player, err := NewPlayer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range change {
		f(player)
	}
	p.Player = player
	ctx, cancel := context.WithCancel(testContext(tb))
	p.stop = cancel
	go func() {
		defer close(p.ended)
		p.acked, p.err = player.Run(ctx)
	}()
	tb.Cleanup(func() { p.end() })
	return p
}

// end stops the player and returns what Run returned.
func (p *playing) end() (int64, error) {
	p.once.Do(p.stop)
	<-p.ended
	return p.acked, p.err
}

// cycle waits for the next visit's account.
func (p *playing) cycle(tb testing.TB) Cycle {
	tb.Helper()
	select {
	case c := <-p.cycles:
		return c
	case <-p.ended:
		select {
		case c := <-p.cycles:
			return c
		default:
			tb.Fatalf("the player ended: %v", p.err)
		}
	case <-testContext(tb).Done():
		tb.Fatal("no visit in time")
	}
	return Cycle{}
}

// sourceOf yields given bodies.
type sourceOf struct {
	bodies [][]byte
	at     int
	err    error // at the end, in place of io.EOF
}

func container(tb testing.TB, s *packet.Schema, codec string, bodies [][]byte) *packet.ContainerReader {
	tb.Helper()
	var file bytes.Buffer
	w, err := packet.NewContainerWriter(&file, s, codec)
	if err != nil {
		tb.Fatal(err)
	}
	for _, b := range bodies {
		if err := w.Append(b); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	r, err := packet.NewContainerReader(&file)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// kfakeDisk keeps records in files, as an embedded lab does, not in memory.
func kfakeDisk(tb testing.TB) kfake.Opt { return kfake.DataDir(tb.TempDir()) }

// trim deletes all records of a topic, so that a benchmark's disk stays small.
func (c cluster) trim(tb testing.TB, topic string) {
	tb.Helper()
	if err := empty(testContext(tb), kadm.NewClient(c.client(tb)), topic); err != nil {
		tb.Fatal(err)
	}
}

func (s *sourceOf) Next(context.Context) ([]byte, error) {
	if s.at == len(s.bodies) {
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	}
	s.at++
	return s.bodies[s.at-1], nil
}
