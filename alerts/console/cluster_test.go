package console

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
)

// site is a cluster of three brokers with a superuser and a reader, antares, of
// the topic alerts.
type site struct {
	*broker.Cluster
	super *kgo.Client
}

func newSite(t testing.TB) *site {
	t.Helper()
	cfg := broker.Config{
		Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: "kafka-admin", Password: "secret",
		Settings: map[string]string{"auto.create.topics.enable": "false"},
	}
	for i := range int32(3) {
		cfg.Nodes = append(cfg.Nodes, broker.Node{ID: i, Address: fmt.Sprintf("127.0.%d.%d:0", 20+rand.IntN(230), 1+rand.IntN(250))})
	}
	c, err := broker.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := &site{Cluster: c}
	s.super = s.login(t, "kafka-admin", "secret", kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	adm := kadm.NewClient(s.super)
	ctx := deadline(t)
	if _, err := admin.EnsureTopics(ctx, adm, []admin.Topic{
		{Name: "alerts", Partitions: 3, Replicas: 2, Config: map[string]string{"retention.ms": "86400000", "max.message.bytes": "4000000"}},
		{Name: "hidden", Partitions: 1, Replicas: 1},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.EnsureUsers(ctx, adm, []admin.User{{Name: "antares", Password: "reader", ACLs: admin.ReaderACLs("antares", []string{"alerts"})}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) login(t testing.TB, user, password string, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kafka.NewClient(kafka.Login{Bootstrap: []string{s.Bootstrap()}, User: user, Password: password}, extra...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// look is a Cluster as one user.
func (s *site) look(t testing.TB, user string) *Cluster {
	password := map[string]string{"kafka-admin": "secret", "antares": "reader"}[user]
	return New(s.login(t, user, password, Options()...))
}

// produce writes a record with a time of its own, in milliseconds.
func (s *site) produce(t testing.TB, topic string, partition int32, ms int64, value string) {
	t.Helper()
	r := &kgo.Record{Topic: topic, Partition: partition, Timestamp: time.UnixMilli(ms), Value: []byte(value)}
	if err := s.super.ProduceSync(deadline(t), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func n64(n int64) *int64 { return &n }

func same(a, b *int64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func TestTopics(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 6 {
		s.produce(t, "alerts", 0, int64(i), strings.Repeat("x", 1000))
	}
	s.produce(t, "alerts", 2, 9, "y")
	deleted, err := kadm.NewClient(s.super).DeleteRecords(deadline(t), kadm.Offsets{"alerts": {0: {Topic: "alerts", At: 2}}})
	if err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	ctx := deadline(t)
	topics, notes, err := s.look(t, "kafka-admin").Topics(ctx)
	if err != nil || len(notes) > 0 || len(topics) != 2 || topics[0].Name != "alerts" || topics[1].Name != "hidden" {
		t.Fatalf("%+v, %v, %v", topics, notes, err)
	}
	a := topics[0]
	if a.Replicas != 2 || len(a.Partitions) != 3 || !same(a.Records, n64(5)) || a.Bytes == nil || *a.Bytes < 1000 {
		t.Errorf("%+v", a)
	}
	p := a.Partitions[0]
	if !same(p.Earliest, n64(2)) || !same(p.Latest, n64(6)) || !same(p.Records, n64(4)) || len(p.Replicas) != 2 || p.Leader < 0 || p.Bytes == nil {
		t.Errorf("%+v", p)
	}
	set := slices.DeleteFunc(a.Settings, func(s Setting) bool { return s.Source != "topic" })
	if fmt.Sprint(set) != "[{max.message.bytes 4000000 topic false} {retention.ms 86400000 topic false}]" {
		t.Errorf("settings %v", set)
	}

	// A reader sees its topics, and is told what it does not see.
	topics, notes, err = s.look(t, "antares").Topics(ctx)
	if err != nil || len(topics) != 1 || topics[0].Bytes != nil || !same(topics[0].Records, n64(5)) || topics[0].Settings == nil {
		t.Fatalf("%+v, %v", topics, err)
	}
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "bytes: CLUSTER_AUTHORIZATION_FAILED") {
		t.Errorf("notes %v", notes)
	}
	var refused *RefusedError
	if _, _, err := s.look(t, "antares").Topics(ctx, "hidden"); !errors.As(err, &refused) || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("hidden: %v", err)
	}
	var unknown *UnknownError
	if _, _, err := s.look(t, "kafka-admin").Topics(ctx, "nothing"); !errors.As(err, &unknown) || unknown.Kind != "topic" || fmt.Sprint(unknown.Known) != "[alerts hidden]" {
		t.Errorf("nothing: %v", err)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// The time runs through the partitions: 0, 1, 2, 0, ...
	for i := range 12 {
		s.produce(t, "alerts", int32(i%3), 1_000_000+int64(i), fmt.Sprint("m", i))
	}
	from := func(text string) From {
		f, err := ParseFrom(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	read := func(user string, q Query) (string, error) {
		var out []string
		err := s.look(t, user).Messages(deadline(t), q, func(r *kgo.Record) error {
			out = append(out, string(r.Value))
			return nil
		})
		return strings.Join(out, " "), err
	}
	even := func(_ context.Context, r *kgo.Record) bool { return r.Offset%2 == 0 }
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Partition: -1, From: from("earliest"), Limit: 5}, "m0 m1 m2 m3 m4"},
		{Query{Partition: -1, From: from("earliest"), Limit: 100}, "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9 m10 m11"},
		{Query{Partition: -1, From: from("-5"), Limit: 5}, "m7 m8 m9 m10 m11"},
		{Query{Partition: -1, From: from("-2"), Limit: 3}, "m9 m10 m11"},
		{Query{Partition: -1, From: from("3"), Limit: 10}, "m9 m10 m11"},
		{Query{Partition: -1, From: from("4"), Limit: 10}, ""},
		{Query{Partition: 1, From: from("earliest"), Limit: 2}, "m1 m4"},
		{Query{Partition: 1, From: from("-2"), Limit: 2}, "m7 m10"},
		{Query{Partition: 1, From: from("2"), Limit: 0}, "m7 m10"},
		{Query{Partition: 2, From: from("earliest"), Limit: 0, Match: even}, "m2 m8"},
	} {
		c.q.Topic = "alerts"
		if got, err := read("antares", c.q); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.q, got, err, c.want)
		}
	}
	all, err := read("kafka-admin", Query{Topic: "alerts", Partition: -1, Limit: 0})
	if words := strings.Fields(all); err != nil || len(words) != 12 {
		t.Errorf("all: %q, %v", all, err)
	}

	var (
		unknown *UnknownError
		refused *RefusedError
	)
	if _, err := read("antares", Query{Topic: "hidden", Partition: -1}); !errors.As(err, &refused) {
		t.Errorf("hidden: %v", err)
	}
	if _, err := read("kafka-admin", Query{Topic: "nothing", Partition: -1}); !errors.As(err, &unknown) || unknown.Kind != "topic" {
		t.Errorf("nothing: %v", err)
	}
	if _, err := read("kafka-admin", Query{Topic: "alerts", Partition: 3}); !errors.As(err, &unknown) || unknown.Kind != "partition" || fmt.Sprint(unknown.Known) != "[0 1 2]" {
		t.Errorf("partition 3: %v", err)
	}
	failed := errors.New("full")
	err = s.look(t, "kafka-admin").Messages(deadline(t), Query{Topic: "alerts", Partition: -1, Limit: 1}, func(*kgo.Record) error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// TestMessagesLatest waits for what comes, and only for that.
func TestMessagesLatest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.produce(t, "alerts", 0, 1, "old")
	var got []string
	ctx, cancel := context.WithCancelCause(deadline(t))
	enough := errors.New("seen enough")
	done := make(chan error, 1)
	go func() {
		done <- s.look(t, "kafka-admin").Messages(ctx, Query{Topic: "alerts", Partition: -1, From: From{kind: 'l'}, Limit: 0}, func(r *kgo.Record) error {
			got = append(got, string(r.Value))
			cancel(enough)
			return nil
		})
	}()
	// It is not told when the waiting begins, so that there is always another one.
	for i := 0; ctx.Err() == nil; i++ {
		s.produce(t, "alerts", int32(i%3), 2, "new")
	}
	if err := <-done; !errors.Is(err, enough) || len(got) == 0 || slices.Contains(got, "old") {
		t.Errorf("%v, %v", got, err)
	}
}

// TestTransactions reads past the markers that transactions leave: they take
// offsets, the last of a partition too, and are no messages.
func TestTransactions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.login(t, "kafka-admin", "secret", kgo.TransactionalID("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := p.ProduceSync(deadline(t), &kgo.Record{Topic: "alerts", Partition: 1, Value: []byte("m")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := p.EndTransaction(deadline(t), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := s.look(t, "kafka-admin").Messages(deadline(t), Query{Topic: "alerts", Partition: -1, Limit: 10}, func(r *kgo.Record) error {
		got = append(got, string(r.Value))
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[m]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 9 {
		s.produce(t, "alerts", int32(i%3), int64(i), "m")
	}
	ctx := deadline(t)
	if groups, notes, err := s.look(t, "kafka-admin").Groups(ctx); err != nil || len(groups)+len(notes) > 0 {
		t.Fatalf("%v, %v, %v", groups, notes, err)
	}
	// A member that reads everything and has committed the first record of one
	// partition; another group that only has an offset.
	reader := s.login(t, "antares", "reader", kgo.ConsumerGroup("antares-test"), kgo.ConsumeTopics("alerts"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.ClientID("test-client"))
	for seen := 0; seen < 9; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		seen += fetches.NumRecords()
	}
	if err := kadm.NewClient(reader).CommitAllOffsets(ctx, "antares-idle", kadm.OffsetsFromRecords(kgo.Record{Topic: "alerts", Partition: 1, Offset: 0, LeaderEpoch: -1})); err != nil {
		t.Fatal(err)
	}
	check := func(user string) {
		t.Helper()
		groups, notes, err := s.look(t, user).Groups(ctx)
		if err != nil || len(notes) > 0 || len(groups) != 2 {
			t.Fatalf("%s: %+v, %v, %v", user, groups, notes, err)
		}
		idle, test := groups[0], groups[1]
		if idle.Name != "antares-idle" || idle.State != "Empty" || len(idle.Members) != 0 || len(idle.Partitions) != 1 || !same(idle.Lag, n64(2)) ||
			!same(idle.Partitions[0].Committed, n64(1)) || !same(idle.Partitions[0].Latest, n64(3)) {
			t.Errorf("%s: %+v", user, idle)
		}
		if test.Name != "antares-test" || test.State != "Stable" || len(test.Members) != 1 || len(test.Partitions) != 3 || !same(test.Lag, n64(9)) || test.Coordinator.Address == "" {
			t.Errorf("%s: %+v", user, test)
		}
		m := test.Members[0]
		if m.Client != "test-client" || m.Host == "" || fmt.Sprint(m.Partitions) != "map[alerts:[0 1 2]]" {
			t.Errorf("%s: %+v", user, m)
		}
		if p := test.Partitions[2]; p.Partition != 2 || p.Committed != nil || p.Member != m.ID || !same(p.Lag, n64(3)) {
			t.Errorf("%s: %+v", user, p)
		}
	}
	check("kafka-admin")
	check("antares")
	if one, _, err := s.look(t, "antares").Groups(ctx, "antares-idle"); err != nil || len(one) != 1 || one[0].Name != "antares-idle" {
		t.Errorf("%+v, %v", one, err)
	}
	var (
		unknown *UnknownError
		refused *RefusedError
	)
	if _, _, err := s.look(t, "antares").Groups(ctx, "lasair-test"); !errors.As(err, &refused) || !errors.Is(err, kerr.GroupAuthorizationFailed) {
		t.Errorf("another's: %v", err)
	}
	if _, _, err := s.look(t, "antares").Groups(ctx, "antares-none"); !errors.As(err, &unknown) || fmt.Sprint(unknown.Known) != "[antares-idle antares-test]" {
		t.Errorf("none: %v", err)
	}
}

// TestNewerGroup looks at a group of the newer protocol, which is described by
// another request.
func TestNewerGroup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.produce(t, "alerts", 0, 1, "m")
	//lint:ignore SA1029 the key is franz-go's
	ctx := context.WithValue(deadline(t), "opt_in_kafka_next_gen_balancer_beta", true)
	reader := s.login(t, "antares", "reader", kgo.WithContext(ctx), kgo.ConsumerGroup("antares-new"), kgo.ConsumeTopics("alerts"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err := reader.PollFetches(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	groups, _, err := s.look(t, "kafka-admin").Groups(ctx, "antares-new")
	if err != nil || len(groups) != 1 {
		t.Fatalf("%+v, %v", groups, err)
	}
	if g := groups[0]; g.Type != "consumer" || g.State != "Stable" || len(g.Members) != 1 || len(g.Partitions) != 1 || !same(g.Lag, n64(0)) {
		t.Errorf("%+v", g)
	}
}

func TestBrokers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.produce(t, "alerts", 0, 1, strings.Repeat("x", 1000))
	ctx := deadline(t)
	brokers, notes, err := s.look(t, "kafka-admin").Brokers(ctx)
	if err != nil || len(notes) > 0 || len(brokers) != 3 {
		t.Fatalf("%+v, %v, %v", brokers, notes, err)
	}
	controllers, leads, holds, bytes := 0, 0, 0, int64(0)
	for i, b := range brokers {
		if b.ID != int32(i) || b.Address == "" || b.Problem != "" {
			t.Errorf("%+v", b)
		}
		if b.Controller {
			controllers++
		}
		leads, holds = leads+b.Leads, holds+b.Holds
		for _, d := range b.Disks {
			bytes += d.Bytes
			if d.Total == nil || d.Free == nil || *d.Free > *d.Total || d.Dir == "" {
				t.Errorf("%+v", d)
			}
		}
		if !slices.ContainsFunc(b.Settings, func(s Setting) bool { return s.Name == "auto.create.topics.enable" && s.Value == "false" }) {
			t.Errorf("settings %v", b.Settings)
		}
	}
	if controllers != 1 || leads != 4 || holds != 7 || bytes < 1000 || bytes > 3000 {
		t.Errorf("%d controllers, %d leaders, %d replicas, %d bytes", controllers, leads, holds, bytes)
	}
	if one, _, err := s.look(t, "kafka-admin").Brokers(ctx, 2); err != nil || len(one) != 1 || one[0].ID != 2 || len(one[0].Settings) == 0 {
		t.Errorf("%+v, %v", one, err)
	}
	var unknown *UnknownError
	if _, _, err := s.look(t, "kafka-admin").Brokers(ctx, 7); !errors.As(err, &unknown) || fmt.Sprint(unknown.Known) != "[0 1 2]" {
		t.Errorf("broker 7: %v", err)
	}
	brokers, notes, err = s.look(t, "antares").Brokers(ctx)
	if err != nil || len(brokers) != 3 || brokers[0].Settings != nil || brokers[0].Disks != nil || len(notes) != 2 {
		t.Errorf("reader: %+v, %v, %v", brokers, notes, err)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := New(s.login(t, "antares", "wrong", Options()...))
	if _, _, err := c.Topics(deadline(t)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("topics: %v", err)
	}
	if err := c.Messages(deadline(t), Query{Topic: "alerts", Partition: -1}, nil); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("messages: %v", err)
	}
}
