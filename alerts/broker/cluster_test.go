package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/alertlab/alertlab/alerts/kafka"
)

const (
	testUser     = "kafka-admin"
	testPassword = "secret"
)

// loopback is an address of our own with a port that the system chooses.
// Outgoing connections are from 127.0.0.1, so none of them takes the port while
// a broker that will want it again is down.
func loopback() string {
	return fmt.Sprintf("127.0.%d.%d:0", 20+rand.IntN(230), 1+rand.IntN(250))
}

// brokers is n nodes with the given first id.
func brokers(first, n int32) []Node {
	var nodes []Node
	for i := range n {
		nodes = append(nodes, Node{first + i, loopback()})
	}
	return nodes
}

func testConfig(t testing.TB) Config {
	return Config{
		Nodes: brokers(0, 3), Bootstrap: loopback(), DataDir: t.TempDir(),
		Superuser: testUser, Password: testPassword,
		Settings: map[string]string{"auto.create.topics.enable": "false"},
		Log:      slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// testLog shows a test's log if it fails, and survives what comes after its end.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(string(b))
	}
	return len(b), nil
}

func startTest(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func clientAs(t testing.TB, c *Cluster, user, password string, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	login := kafka.Login{Bootstrap: []string{c.Bootstrap()}, User: user, Password: password}
	if c.cfg.TLS != nil {
		login.TLS = &tls.Config{RootCAs: testRoots(t, c), ServerName: "localhost"}
	}
	cl, err := kafka.NewClient(login, append(impatient(), extra...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// impatient clients try again at once, so that tests are quick.
func impatient() []kgo.Opt {
	return []kgo.Opt{
		kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}
}

func client(t testing.TB, c *Cluster, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	return clientAs(t, c, testUser, testPassword, extra...)
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func makeTopic(t testing.TB, cl *kgo.Client, name string, partitions int32, config map[string]string) {
	t.Helper()
	configs := make(map[string]*string)
	for k, v := range config {
		configs[k] = &v
	}
	if _, err := kadm.NewClient(cl).CreateTopic(deadline(t), partitions, -1, configs, name); err != nil {
		t.Fatal(err)
	}
}

// consume reads n records of a topic from its beginning.
func consume(t testing.TB, c *Cluster, topic string, n int, extra ...kgo.Opt) []*kgo.Record {
	t.Helper()
	cl := client(t, c, append(extra, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	defer cl.Close()
	ctx := deadline(t)
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("consumed %d of %d records of %s: %v", len(got), n, topic, fetches.Err())
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if !kerr.IsRetriable(err) {
				t.Errorf("%s[%d]: %v", topic, p, err)
			}
		})
		got = append(got, fetches.Records()...)
	}
	return got
}

func TestStartServesEveryAddress(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 6, nil)
	meta, err := kadm.NewClient(cl).Metadata(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	var told []Node
	for _, b := range meta.Brokers {
		told = append(told, Node{b.NodeID, net.JoinHostPort(b.Host, fmt.Sprint(b.Port))})
	}
	slices.SortFunc(told, func(a, b Node) int { return int(a.ID - b.ID) })
	if !slices.Equal(told, c.Nodes()) {
		t.Errorf("clients are told %v, the brokers are %v", told, c.Nodes())
	}
	if !slices.Contains(meta.Brokers.NodeIDs(), meta.Controller) {
		t.Errorf("controller %d is not among brokers %v", meta.Controller, meta.Brokers.NodeIDs())
	}
	leads := make(map[int32]int)
	for _, p := range meta.Topics["alerts"].Partitions {
		leads[p.Leader]++
	}
	for _, n := range c.Nodes() {
		if leads[n.ID] != 2 {
			t.Errorf("6 partitions on 3 brokers are led by %v", leads)
		}
		alone, err := kafka.NewClient(kafka.Login{Bootstrap: []string{n.Address}, User: testUser, Password: testPassword})
		if err != nil {
			t.Fatal(err)
		}
		if err := alone.Ping(deadline(t)); err != nil {
			t.Errorf("broker %d: %v", n.ID, err)
		}
		alone.Close()
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running := startTest(t, testConfig(t))
	full := t.TempDir()
	if err := os.WriteFile(full+"/letter", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	isConfig := func(field string) func(error) bool {
		return func(err error) bool {
			var e *ConfigError
			return errors.As(err, &e) && e.Field == field
		}
	}
	for name, test := range map[string]struct {
		change func(*Config)
		want   func(error) bool
	}{
		"no nodes":      {func(c *Config) { c.Nodes = nil }, isConfig("Nodes")},
		"same id":       {func(c *Config) { c.Nodes = append(c.Nodes, c.Nodes[0]) }, isConfig("Nodes")},
		"negative id":   {func(c *Config) { c.Nodes[0].ID = -1 }, isConfig("Nodes")},
		"no host":       {func(c *Config) { c.Nodes[0].Address = ":9094" }, isConfig("Nodes")},
		"no password":   {func(c *Config) { c.Password = "" }, isConfig("Password")},
		"no directory":  {func(c *Config) { c.DataDir = "" }, isConfig("DataDir")},
		"bad setting":   {func(c *Config) { c.Settings = map[string]string{"log.retention.ms": "1h"} }, isConfig("Settings")},
		"bad bootstrap": {func(c *Config) { c.Bootstrap = "localhost" }, isConfig("Bootstrap")},
		"port taken": {func(c *Config) { c.Nodes[1].Address = taken.Addr().String() }, func(err error) bool {
			var e *ListenError
			return errors.As(err, &e) && e.Node == 1 && errors.Is(err, syscall.EADDRINUSE)
		}},
		"directory in use": {func(c *Config) { c.DataDir = running.cfg.DataDir }, func(err error) bool {
			var e *DataDirError
			return errors.As(err, &e) && errors.Is(err, ErrInUse)
		}},
		"somebody's directory": {func(c *Config) { c.DataDir = full }, func(err error) bool {
			var e *DataDirError
			return errors.As(err, &e)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			test.change(&cfg)
			c, err := Start(t.Context(), cfg)
			if err == nil {
				c.Close()
			}
			if !test.want(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestKillAndRestartLoseNothing(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	everyBrokerDiesOnce(t, c)
}

// everyBrokerDiesOnce kills and restarts each broker in turn, the controller of
// clients among them, while one client produces and a group consumes.
func everyBrokerDiesOnce(t *testing.T, c *Cluster) {
	t.Helper()
	ctx := deadline(t)
	admin := client(t, c)
	const topic = "alerts"
	makeTopic(t, admin, topic, 6, nil)
	producer := client(t, c, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0))
	group := client(t, c, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))

	produce, stop := context.WithCancel(ctx)
	var acked []string
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; produce.Err() == nil; i++ {
			value := fmt.Sprint("alert ", i)
			if err := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
				t.Errorf("produce: %v", err)
				return
			}
			acked = append(acked, value)
		}
	})
	leaders := func() map[int32]int {
		req := kmsg.NewPtrMetadataRequest()
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, asked)
		m, err := req.RequestWith(ctx, admin)
		if err != nil {
			t.Fatal(err)
		}
		leads := make(map[int32]int)
		for _, p := range m.Topics[0].Partitions {
			leads[p.Leader]++
		}
		return leads
	}
	home := leaders()
	for _, n := range c.Nodes() {
		socket, err := net.Dial("tcp", n.Address)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Kill(n.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := socket.Read(make([]byte, 1)); err == nil {
			t.Errorf("broker %d is killed and its connections live", n.ID)
		}
		socket.Close()
		if _, err := net.Dial("tcp", n.Address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("broker %d is killed and its address answers: %v", n.ID, err)
		}
		if slices.Contains(c.Living(), n.ID) {
			t.Errorf("broker %d is killed and counts as living", n.ID)
		}
		if l := leaders(); l[n.ID] != 0 || len(l) != len(c.Nodes())-1 {
			t.Errorf("broker %d is killed, leaders are %v", n.ID, l)
		}
		// What needs the controller must not need this broker.
		makeTopic(t, admin, fmt.Sprint("made-without-", n.ID), 3, nil)
		// Groups go on: read and commit something while it is dead.
		fetches := group.PollFetches(ctx)
		if err := group.CommitRecords(ctx, fetches.Records()...); err != nil {
			t.Errorf("commit without broker %d: %v", n.ID, err)
		}
		if err := c.Restart(ctx, n.ID); err != nil {
			t.Fatal(err)
		}
		if l := leaders(); !maps.Equal(l, home) {
			t.Errorf("broker %d is back, leaders are %v, were %v", n.ID, l, home)
		}
	}
	stop()
	wg.Wait()
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	seen := make(map[string]int)
	for _, r := range consume(t, c, topic, len(acked)) {
		seen[string(r.Value)]++
	}
	for _, v := range acked {
		if seen[v] != 1 {
			t.Errorf("acknowledged %q is there %d times", v, seen[v])
		}
	}
}

func TestKillEveryBroker(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 3, nil)
	for range 2 { // the second time does nothing
		for _, n := range c.Nodes() {
			if err := c.Kill(n.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.Living()) != 0 {
		t.Errorf("living: %v", c.Living())
	}
	for _, id := range []int32{1, 1, 0} {
		if err := c.Restart(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	m, err := kadm.NewClient(client(t, c)).Metadata(deadline(t), "alerts")
	if err != nil {
		t.Fatal(err)
	}
	if ids := m.Brokers.NodeIDs(); !slices.Equal(ids, []int32{0, 1}) {
		t.Errorf("brokers are %v", ids)
	}
	for _, p := range m.Topics["alerts"].Partitions {
		if p.Leader == 2 {
			t.Errorf("partition %d is led by a dead broker", p.Partition)
		}
	}
	var unknown *UnknownNodeError
	if err := c.Kill(7); !errors.As(err, &unknown) || unknown.ID != 7 {
		t.Errorf("killing broker 7: %v", err)
	}
}

func TestRestartFindsItsAddressTaken(t *testing.T) {
	t.Parallel()
	c := startTest(t, testConfig(t))
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", c.Nodes()[1].Address)
	if err != nil {
		t.Skip(err)
	}
	var e *ListenError
	if err := c.Restart(t.Context(), 1); !errors.As(err, &e) || e.Node != 1 {
		t.Errorf("got %v", err)
	}
	thief.Close()
	if err := c.Restart(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// Node ids 6 to 11 are what USDF has (Phalanx usdfdev, 2026-06).
func TestNodeIDsThatDoNotStartAtZero(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Nodes = brokers(6, 6)
	c := startTest(t, cfg)
	makeTopic(t, client(t, c), "kept", 6, nil)
	for i := range 6 {
		r := &kgo.Record{Topic: "kept", Partition: int32(i), Value: fmt.Append(nil, i)}
		if err := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner())).ProduceSync(deadline(t), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = startTest(t, cfg)
	everyBrokerDiesOnce(t, c)
	if n := len(consume(t, c, "kept", 6)); n != 6 {
		t.Errorf("%d records are left of 6", n)
	}
}

func TestStopAndGoOn(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	c := startTest(t, cfg)
	cl := client(t, c)
	makeTopic(t, cl, "alerts", 2, nil)
	if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "alerts", Value: []byte("before")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	before, err := kadm.NewClient(cl).BrokerMetadata(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Kill(0); !errors.Is(err, ErrClosed) {
		t.Errorf("killing a broker of a closed cluster: %v", err)
	}
	c = startTest(t, cfg)
	after, err := kadm.NewClient(client(t, c)).BrokerMetadata(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if before.Cluster != after.Cluster || before.Cluster == "" {
		t.Errorf("cluster id was %q, is %q", before.Cluster, after.Cluster)
	}
	if r := consume(t, c, "alerts", 1); string(r[0].Value) != "before" {
		t.Errorf("read %q", r[0].Value)
	}
}

func TestAutoCreate(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			cfg.Settings = map[string]string{"auto.create.topics.enable": fmt.Sprint(on), "num.partitions": "4"}
			c := startTest(t, cfg)
			cl := client(t, c, kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
			err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: "surprise", Value: []byte("x")}).FirstErr()
			if on != (err == nil) || !on && !errors.Is(err, kerr.UnknownTopicOrPartition) {
				t.Errorf("produce: %v", err)
			}
			topics, err := kadm.NewClient(cl).ListTopics(deadline(t))
			if err != nil {
				t.Fatal(err)
			}
			if topics.Has("surprise") != on || on && len(topics["surprise"].Partitions) != 4 {
				t.Errorf("topics are %v", topics)
			}
		})
	}
}
