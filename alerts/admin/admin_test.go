package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
)

// cluster is three brokers that listen on loopback, and a superuser's client.
func cluster(t testing.TB) (*broker.Cluster, *kadm.Client) {
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
	return c, kadm.NewClient(login(t, c, cfg.Superuser, cfg.Password))
}

func login(t testing.TB, c *broker.Cluster, user, password string, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Login{Bootstrap: []string{c.Bootstrap()}, User: user, Password: password}, extra...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	_, adm := cluster(t)
	ctx := deadline(t)
	topics := []Topic{
		{Name: "alerts-simulated", Partitions: 45, Replicas: 2, Config: map[string]string{"retention.ms": "604800000"}},
		{Name: "registry-schemas", Partitions: 1, Replicas: 3, Config: map[string]string{"cleanup.policy": "compact"}},
		{Name: "by-default"},
	}
	steps := []struct {
		name string
		edit func()
		want string
	}{
		{"new", func() {}, "topic alerts-simulated: created with 45 partitions\n" +
			"topic by-default: created with 1 partitions\ntopic registry-schemas: created with 1 partitions"},
		{"again", func() {}, ""},
		{"altered", func() { topics[0].Config = map[string]string{"retention.ms": "1000", "max.message.bytes": "4194304"} },
			"topic alerts-simulated: max.message.bytes from 1048588 to 4194304\ntopic alerts-simulated: retention.ms from 604800000 to 1000"},
		{"again", func() {}, ""},
		{"unset", func() {
			topics[0] = Topic{Name: "alerts-simulated", Partitions: 45, Config: map[string]string{"max.message.bytes": "4194304"}, Unset: []string{"retention.ms", "never.set"}}
		}, "topic alerts-simulated: retention.ms from 1000 to the default"},
		{"again", func() {}, ""},
		{"set again", func() { topics[0].Config["retention.ms"], topics[0].Unset = "1000", nil },
			"topic alerts-simulated: retention.ms from 604800000 to 1000"},
		{"one more", func() { topics = append(topics, Topic{Name: "more", Partitions: 2}) }, "topic more: created with 2 partitions"},
	}
	for _, s := range steps {
		s.edit()
		done, err := EnsureTopics(ctx, adm, topics)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if done.String() != s.want || done.None() != (s.want == "") {
			t.Errorf("%s: got\n%s\nwant\n%s", s.name, done, s.want)
		}
	}
	have, err := Topics(ctx, adm, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []Topic{
		{Name: "alerts-simulated", Partitions: 45, Replicas: 2, Config: map[string]string{"retention.ms": "1000", "max.message.bytes": "4194304"}},
		{Name: "by-default", Partitions: 1, Replicas: 3, Config: map[string]string{}},
		{Name: "more", Partitions: 2, Replicas: 3, Config: map[string]string{}},
		{Name: "registry-schemas", Partitions: 1, Replicas: 3, Config: map[string]string{"cleanup.policy": "compact"}},
	}
	if !slices.EqualFunc(have, want, func(a, b Topic) bool {
		return a.Name == b.Name && a.Partitions == b.Partitions && a.Replicas == b.Replicas && maps.Equal(a.Config, b.Config)
	}) {
		t.Errorf("got %+v\nwant %+v", have, want)
	}
}

func TestEnsureTopicsRefuses(t *testing.T) {
	t.Parallel()
	c, adm := cluster(t)
	ctx := deadline(t)
	if _, err := EnsureTopics(ctx, adm, []Topic{{Name: "alerts", Partitions: 3}}); err != nil {
		t.Fatal(err)
	}
	done, err := EnsureTopics(ctx, adm, []Topic{{Name: "alerts", Partitions: 6}, {Name: "other", Partitions: 1}})
	var mismatch *TopicMismatch
	if !errors.As(err, &mismatch) || *mismatch != (TopicMismatch{"alerts", 3, 6}) || !done.None() {
		t.Errorf("other partition count: %v, %v", done, err)
	}
	var topic *TopicError
	if _, err := EnsureTopics(ctx, adm, []Topic{{Name: "a"}, {Name: "a"}}); !errors.As(err, &topic) || topic.Topic != "a" {
		t.Errorf("twice: %v", err)
	}
	_, err = EnsureTopics(ctx, adm, []Topic{{Name: "good"}, {Name: "many", Replicas: 9}})
	if !errors.As(err, &topic) || topic.Topic != "many" || !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("nine replicas: %v", err)
	}
	if _, err := EnsureUsers(ctx, adm, []User{{Name: "reader", Password: "pw"}}); err != nil {
		t.Fatal(err)
	}
	reader := kadm.NewClient(login(t, c, "reader", "pw"))
	if _, err := EnsureTopics(ctx, reader, []Topic{{Name: "alerts"}}); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("without rights: %v", err)
	}
}

func TestEnsureUsers(t *testing.T) {
	t.Parallel()
	c, adm := cluster(t)
	ctx := deadline(t)
	if _, err := EnsureTopics(ctx, adm, []Topic{{Name: "alerts", Partitions: 2}, {Name: "other", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	lasair := User{"lasair", "pw1", ReaderACLs("lasair", []string{"alerts"})}
	alerce := User{"alerce", "pw2", ReaderACLs("alerce", []string{"alerts", "other"})}
	steps := []struct {
		name  string
		users []User
		want  string
	}{
		{"new", []User{lasair, alerce}, `user alerce: ACL added: All on group prefix alerce
user alerce: ACL added: Describe on topic alerts
user alerce: ACL added: Describe on topic other
user alerce: ACL added: DescribeConfigs on topic alerts
user alerce: ACL added: DescribeConfigs on topic other
user alerce: ACL added: Read on topic alerts
user alerce: ACL added: Read on topic other
user alerce: created
user lasair: ACL added: All on group prefix lasair
user lasair: ACL added: Describe on topic alerts
user lasair: ACL added: DescribeConfigs on topic alerts
user lasair: ACL added: Read on topic alerts
user lasair: created`},
		{"again", []User{lasair, alerce}, ""},
		{"only one", []User{lasair}, ""},
		{"other rights", []User{{"lasair", "pw1", []ACL{{"topic", "al", "prefix", []string{"Read"}}, {"cluster", "", "", []string{"create"}}}}},
			`user lasair: ACL added: Create on cluster kafka-cluster
user lasair: ACL added: Read on topic prefix al
user lasair: ACL removed: All on group prefix lasair
user lasair: ACL removed: Describe on topic alerts
user lasair: ACL removed: DescribeConfigs on topic alerts
user lasair: ACL removed: Read on topic alerts`},
		{"back", []User{lasair}, `user lasair: ACL added: All on group prefix lasair
user lasair: ACL added: Describe on topic alerts
user lasair: ACL added: DescribeConfigs on topic alerts
user lasair: ACL added: Read on topic alerts
user lasair: ACL removed: Create on cluster kafka-cluster
user lasair: ACL removed: Read on topic prefix al`},
	}
	for _, s := range steps {
		done, err := EnsureUsers(ctx, adm, s.users)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if done.String() != s.want {
			t.Errorf("%s: got\n%s\nwant\n%s", s.name, done, s.want)
		}
	}

	// What it comes to for the user.
	root := login(t, c, "kafka-admin", "secret")
	if err := root.ProduceSync(ctx, &kgo.Record{Topic: "alerts", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	read := func(group, topic string) error {
		cl := login(t, c, "lasair", "pw1", kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer cl.Close()
		return cl.PollFetches(ctx).Err()
	}
	if err := read("lasair-night", "alerts"); err != nil {
		t.Errorf("own group, granted topic: %v", err)
	}
	if err := read("alerce", "alerts"); !errors.Is(err, kerr.GroupAuthorizationFailed) {
		t.Errorf("another's group: %v", err)
	}
	if err := read("lasair", "other"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("ungranted topic: %v", err)
	}
	writer := login(t, c, "lasair", "pw1", kgo.DisableIdempotentWrite())
	if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "alerts", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("write: %v", err)
	}

	// A new password is in force, the old one is not.
	lasair.Password = "pw3"
	if done, err := EnsureUsers(ctx, adm, []User{lasair}); err != nil || !done.None() {
		t.Errorf("new password: %v, %v", done, err)
	}
	if err := login(t, c, "lasair", "pw3").Ping(ctx); err != nil {
		t.Errorf("new password: %v", err)
	}
	if err := login(t, c, "lasair", "pw1").Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("old password: %v", err)
	}

	accounts, err := Users(ctx, adm)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{alerce [SCRAM-SHA-512] [{topic alerts literal [Read Describe DescribeConfigs]} {topic other literal [Read Describe DescribeConfigs]} {group alerce prefix [All]}]}` +
		` {kafka-admin [SCRAM-SHA-512] []}` +
		` {lasair [SCRAM-SHA-512] [{topic alerts literal [Read Describe DescribeConfigs]} {group lasair prefix [All]}]}]`
	if got := fmt.Sprint(accounts); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	for _, want := range []string{`user alerce: ACL removed: All on group prefix alerce
user alerce: ACL removed: Describe on topic alerts
user alerce: ACL removed: Describe on topic other
user alerce: ACL removed: DescribeConfigs on topic alerts
user alerce: ACL removed: DescribeConfigs on topic other
user alerce: ACL removed: Read on topic alerts
user alerce: ACL removed: Read on topic other
user alerce: removed`, ""} {
		done, err := RemoveUsers(ctx, adm, "alerce", "nobody")
		if err != nil {
			t.Fatal(err)
		}
		if done.String() != want {
			t.Errorf("got\n%s\nwant\n%s", done, want)
		}
	}
}

func TestEnsureUsersRefuses(t *testing.T) {
	t.Parallel()
	_, adm := cluster(t)
	for field, acl := range map[string]ACL{
		"resource":  {"table", "a", "literal", []string{"Read"}},
		"pattern":   {"topic", "a", "regex", []string{"Read"}},
		"name":      {"topic", "", "literal", []string{"Read"}},
		"operation": {"topic", "a", "literal", []string{"Fly"}},
	} {
		_, err := EnsureUsers(deadline(t), adm, []User{{"a", "pw", []ACL{acl}}})
		var e *ACLError
		var user *UserError
		if !errors.As(err, &e) || e.Field != field || !errors.As(err, &user) || user.User != "a" {
			t.Errorf("%s: %v", field, err)
		}
	}
	var user *UserError
	for name, users := range map[string][]User{
		"twice": {{Name: "a", Password: "x"}, {Name: "a", Password: "x"}}, "no password": {{Name: "a"}}, "no name": {{Password: "x"}},
	} {
		if _, err := EnsureUsers(deadline(t), adm, users); !errors.As(err, &user) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Joining grants into requests must neither lose one nor allow what nobody asked
// for, as a request allows all its principals all operations on all names.
func TestBatchesAllowExactlyTheGrants(t *testing.T) {
	t.Parallel()
	sites := [][]User{nil, nil}
	for i := range 13 {
		name := fmt.Sprint("user", i)
		sites[0] = append(sites[0], User{name, "pw", ReaderACLs(name, []string{"alerts", "alerts-reprocessed"})})
		topics := []string{"a", "b", "c"}[:1+i%3]
		sites[1] = append(sites[1], User{name, "pw", append(ReaderACLs(name, topics), ACL{"topic", "a", "literal", []string{"Write"}})})
	}
	for i, most := range []int{14, 17} {
		var all []grant
		for _, u := range sites[i] {
			gs, err := grants(u)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, gs...)
		}
		want := make(map[string]bool)
		for _, g := range all {
			want[fmt.Sprint(g.principal, g.resource, g.pattern, g.name, g.operation)] = true
		}
		bs := batches(all)
		if len(bs) > most {
			t.Errorf("site %d takes %d requests, want at most %d", i, len(bs), most)
		}
		got := make(map[string]bool)
		for _, b := range bs {
			for p := range strings.SplitSeq(b.principals, "\x00") {
				for n := range strings.SplitSeq(b.names, "\x00") {
					for o := range strings.SplitSeq(b.ops, "\x00") {
						got[fmt.Sprint(p, b.resource, b.pattern, n, o)] = true
					}
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("site %d: got %d grants, want %d", i, len(got), len(want))
		}
	}
}

// A site as USDF has it: five topics, thirteen users.
func BenchmarkEnsureSite(b *testing.B) {
	var topics []Topic
	for i := range 5 {
		topics = append(topics, Topic{Name: fmt.Sprint("topic", i), Partitions: 45, Replicas: 3})
	}
	var users []User
	for i := range 13 {
		name := fmt.Sprint("user", i)
		users = append(users, User{name, "pw", ReaderACLs(name, []string{"topic0", "topic1"})})
	}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "new", true: "again"}[again], func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				_, adm := cluster(b)
				if again {
					ensure(b, adm, topics, users)
				}
				b.StartTimer()
				ensure(b, adm, topics, users)
			}
		})
	}
}

func ensure(b *testing.B, adm *kadm.Client, topics []Topic, users []User) {
	b.Helper()
	if _, err := EnsureTopics(b.Context(), adm, topics); err != nil {
		b.Fatal(err)
	}
	if _, err := EnsureUsers(b.Context(), adm, users); err != nil {
		b.Fatal(err)
	}
}

func TestRecreate(t *testing.T) {
	t.Parallel()
	c, adm := cluster(t)
	ctx := deadline(t)
	if err := Recreate(ctx, adm, "reservoir", 1, 1); err != nil {
		t.Fatal(err)
	}
	client := login(t, c, "kafka-admin", "secret")
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "reservoir", Value: []byte("old")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	before, err := adm.ListTopics(ctx, "reservoir")
	if err != nil {
		t.Fatal(err)
	}
	if err := Recreate(ctx, adm, "reservoir", 3, 1); err != nil {
		t.Fatal(err)
	}
	after, err := adm.ListTopics(ctx, "reservoir")
	if err != nil || len(after["reservoir"].Partitions) != 3 || after["reservoir"].ID == before["reservoir"].ID {
		t.Errorf("%+v, %v", after["reservoir"], err)
	}
	ends, err := adm.ListEndOffsets(ctx, "reservoir")
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset != 0 {
			t.Errorf("partition %d holds %d records of the topic before", o.Partition, o.Offset)
		}
	})
	var refused *TopicError
	if err := Recreate(ctx, adm, "copies", 1, 9); !errors.As(err, &refused) || refused.Topic != "copies" {
		t.Errorf("%v", err)
	}
}
