package smoke

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	super    = "kafka-admin"
	reader   = "alerce-idfint"
	neighbor = "ampel-idfint"
	stream   = "alerts-simulated"
	static   = "alerts-static"
)

func acl(resource, name, pattern string, ops ...string) admin.ACL {
	return admin.ACL{Resource: resource, Name: name, Pattern: pattern, Operations: ops}
}

func topicGrant(name string, ops ...string) []admin.ACL {
	return []admin.ACL{acl("topic", name, "literal", ops...)}
}

func groupGrant(prefix string) []admin.ACL { return []admin.ACL{acl("group", prefix, "prefix", "All")} }

// card is that of a lab with a superuser and two readers.
func card() Options {
	return Options{
		Endpoints: endpoints.Endpoints{
			Lab: "test",
			Users: []endpoints.User{
				{Name: super, Role: endpoints.Superuser},
				{Name: reader, Role: endpoints.Reader, Topics: []string{stream}},
				{Name: neighbor, Role: endpoints.Reader, Topics: []string{stream}},
			},
			Simulator: endpoints.Simulator{StaticTopic: static, Topic: stream, Interval: endpoints.Duration(37 * time.Second), Schema: "11.0"},
		},
		Credentials: endpoints.Credentials{Kafka: map[string]string{super: "secret-0", reader: "secret-1", neighbor: "secret-2"}},
		Timeout:     20 * time.Second,
		Seed:        42,
	}
}

// smallKafka is a real broker for each of three addresses with the topics,
// the superuser and the readers of a lab, and its card. Readers get the grants
// given for them, the usual ones when there are none.
func smallKafka(t *testing.T, grants map[string][]admin.ACL, settings map[string]string) (*broker.Cluster, Options) {
	t.Helper()
	ctx, o := testContext(t), card()
	if settings == nil {
		settings = map[string]string{"auto.create.topics.enable": "false"}
	}
	c, err := broker.Start(ctx, broker.Config{
		Nodes:     []broker.Node{{ID: 0, Address: "127.0.0.1:0"}, {ID: 1, Address: "127.0.0.1:0"}, {ID: 2, Address: "127.0.0.1:0"}},
		Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: super, Password: "secret-0", Settings: settings,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Endpoints.Kafka = endpoints.Kafka{Bootstrap: c.Bootstrap(), Security: "SASL_PLAINTEXT", Mechanism: "SCRAM-SHA-512"}
	for _, n := range c.Nodes() {
		o.Endpoints.Kafka.Brokers = append(o.Endpoints.Kafka.Brokers, endpoints.Broker{ID: n.ID, Address: n.Address})
	}
	adm := kadm.NewClient(superClient(t, o))
	if _, err := admin.EnsureTopics(ctx, adm, []admin.Topic{
		{Name: stream, Partitions: 4, Replicas: 1}, {Name: static, Partitions: 1, Replicas: 1},
	}); err != nil {
		t.Fatal(err)
	}
	var users []admin.User
	for _, name := range []string{reader, neighbor} {
		acls, ok := grants[name]
		if !ok {
			acls = admin.ReaderACLs(name, []string{stream})
		}
		users = append(users, admin.User{Name: name, Password: o.Credentials.Kafka[name], ACLs: acls})
	}
	if _, err := admin.EnsureUsers(ctx, adm, users); err != nil {
		t.Fatal(err)
	}
	return c, o
}

// ownTopic gives the card another, new topic for its visits, so that cases can
// share a cluster.
func ownTopic(t *testing.T, o Options) Options {
	t.Helper()
	o.Endpoints.Simulator.Topic = randomName(stream + "-")
	o.Endpoints.Users = slices.Clone(o.Endpoints.Users)
	for i := range o.Endpoints.Users[1:] {
		o.Endpoints.Users[1+i].Topics = []string{o.Endpoints.Simulator.Topic}
	}
	o.Credentials.Kafka = maps.Clone(o.Credentials.Kafka)
	if _, err := admin.EnsureTopics(testContext(t), kadm.NewClient(superClient(t, o)), []admin.Topic{
		{Name: o.Endpoints.Simulator.Topic, Partitions: 4, Replicas: 1},
	}); err != nil {
		t.Fatal(err)
	}
	return o
}

// written is how many records the stream was ever sent.
func written(t *testing.T, o Options) (n int64) {
	t.Helper()
	ends, err := kadm.NewClient(superClient(t, o)).ListEndOffsets(testContext(t), stream)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(e kadm.ListedOffset) { n += e.Offset })
	return n
}

// superClient is a client of the superuser.
func superClient(t *testing.T, o Options, extra ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Login{
		Bootstrap: []string{o.Endpoints.Kafka.Bootstrap}, User: super, Password: o.Credentials.Kafka[super],
	}, extra...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes records to the stream, spread over its partitions.
func produce(t *testing.T, o Options, recs ...*kgo.Record) {
	t.Helper()
	cl := superClient(t, o, kgo.DefaultProduceTopic(o.Endpoints.Simulator.Topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err := cl.ProduceSync(testContext(t), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// check runs one check.
func check(t *testing.T, o Options, name string) Result {
	t.Helper()
	o.Only = []string{name}
	r, err := Run(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Results[0]
}

func wantPassed(t *testing.T, r Result, words ...string) {
	t.Helper()
	if r.Status != Passed {
		t.Fatalf("%s %s: %s", r.Check, r.Status, r.Reason)
	}
	wantWords(t, string(r.Evidence), words)
}

func wantFailed(t *testing.T, r Result, words ...string) {
	t.Helper()
	if r.Status != Failed {
		t.Fatalf("%s %s, want failed; evidence %q, reason %q", r.Check, r.Status, r.Evidence, r.Reason)
	}
	wantWords(t, r.Reason, words)
	if r.Next == "" {
		t.Errorf("%s failed without a next command", r.Check)
	}
	for _, secret := range []string{"secret-0", "secret-1", "secret-2"} {
		if strings.Contains(r.Reason, secret) {
			t.Errorf("%s shows a password: %s", r.Check, r.Reason)
		}
	}
}

func wantWords(t *testing.T, text string, words []string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}

func TestBrokersAnswer(t *testing.T) {
	t.Parallel()
	cluster, healthy := smallKafka(t, nil, nil)
	// A card of its own for each case.
	other := func(change func(*endpoints.Kafka)) Options {
		o := healthy
		o.Endpoints.Kafka.Brokers = append([]endpoints.Broker(nil), healthy.Endpoints.Kafka.Brokers...)
		change(&o.Endpoints.Kafka)
		return o
	}
	wantPassed(t, check(t, healthy, "brokers-answer"), "brokers 0 1 2", healthy.Endpoints.Kafka.Bootstrap)

	closed := closedAddress(t)
	r := check(t, other(func(k *endpoints.Kafka) { k.Brokers = append(k.Brokers, endpoints.Broker{ID: 3, Address: closed}) }), "brokers-answer")
	wantFailed(t, r, "broker 3 at "+closed, "connection refused", "no broker 3, the card has it at")
	if r.Next != "alertlab up   # brings back what was killed; alertlab logs kafka" {
		t.Errorf("next %q", r.Next)
	}

	r = check(t, other(func(k *endpoints.Kafka) { k.Bootstrap = closed }), "brokers-answer")
	wantFailed(t, r, "bootstrap at "+closed, "connection refused")
	if r.Next != "alertlab status" {
		t.Errorf("next %q", r.Next)
	}

	r = check(t, other(func(k *endpoints.Kafka) { k.Brokers = k.Brokers[:2] }), "brokers-answer")
	wantFailed(t, r, "broker 2 at", "not on the card")

	r = check(t, other(func(k *endpoints.Kafka) {
		k.Brokers[0].Address, k.Brokers[1].Address = k.Brokers[1].Address, k.Brokers[0].Address
	}), "brokers-answer")
	wantFailed(t, r, "another broker answers there, it is not broker 0", "it is not broker 1")

	// A reader may ask for the brokers too, only not whether they are who
	// they say.
	o := healthy
	o.Credentials.Kafka = map[string]string{reader: "secret-1"}
	wantPassed(t, check(t, o, "brokers-answer"), "brokers 0 1 2")
	o = other(func(k *endpoints.Kafka) {
		k.Brokers[0].Address, k.Brokers[1].Address = k.Brokers[1].Address, k.Brokers[0].Address
	})
	o.Credentials.Kafka = map[string]string{reader: "secret-1"}
	wantFailed(t, check(t, o, "brokers-answer"), "on the card at")

	o = healthy
	o.Credentials.Kafka = map[string]string{super: "wrong"}
	wantFailed(t, check(t, o, "brokers-answer"), "SASL_AUTHENTICATION_FAILED")

	if err := cluster.Kill(1); err != nil {
		t.Fatal(err)
	}
	r = check(t, healthy, "brokers-answer")
	wantFailed(t, r, "broker 1 at "+healthy.Endpoints.Kafka.Brokers[1].Address)
	if r.Next != "alertlab up   # brings back what was killed; alertlab logs kafka" {
		t.Errorf("next %q", r.Next)
	}
	if err := cluster.Restart(testContext(t), 1); err != nil {
		t.Fatal(err)
	}
	wantPassed(t, check(t, healthy, "brokers-answer"))
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAutoTopicCreation(t *testing.T) {
	t.Parallel()
	_, off := smallKafka(t, nil, nil)
	_, on := smallKafka(t, nil, map[string]string{"auto.create.topics.enable": "true"})
	wantOn := func(o Options) Options { o.Endpoints.Kafka.AutoCreateTopics = true; return o }

	wantPassed(t, check(t, off, "auto-topic-creation"), "off:", "UNKNOWN_TOPIC_OR_PARTITION")
	wantPassed(t, check(t, wantOn(on), "auto-topic-creation"), "on:", "deleted again")

	r := check(t, on, "auto-topic-creation")
	wantFailed(t, r, "auto.create.topics.enable=false", "appeared (it is deleted again)")
	topics, err := kadm.NewClient(superClient(t, on)).ListTopics(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for name := range topics {
		if strings.HasPrefix(name, "alertlab-smoke-") {
			t.Errorf("%s is left behind", name)
		}
	}

	o := wantOn(off)
	o.Timeout = 1500 * time.Millisecond
	wantFailed(t, check(t, o, "auto-topic-creation"), "auto.create.topics.enable=true", "did not appear")

	// One who is called superuser and is none cannot tell.
	o = off
	o.Endpoints.Users = []endpoints.User{{Name: reader, Role: endpoints.Superuser}}
	wantFailed(t, check(t, o, "auto-topic-creation"), "TOPIC_AUTHORIZATION_FAILED")
}

func TestAutoTopicThatCannotBeDeletedIsReported(t *testing.T) {
	t.Parallel()
	grants := append(topicGrant("*", "Describe", "Create"), acl("cluster", "", "", "Create"))
	_, o := smallKafka(t, map[string][]admin.ACL{reader: grants}, map[string]string{"auto.create.topics.enable": "true"})
	o.Endpoints.Kafka.AutoCreateTopics = true
	o.Endpoints.Users = []endpoints.User{{Name: reader, Role: endpoints.Superuser}}
	wantFailed(t, check(t, o, "auto-topic-creation"), "to delete the topic", "TOPIC_AUTHORIZATION_FAILED")
}

func TestReaderReads(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, nil, nil)
	produce(t, o, kgo.StringRecord("first"), kgo.StringRecord("second"))
	wantPassed(t, check(t, o, "reader-reads"), reader+" read "+stream, "as group "+reader+"-smoke-", "committed, group deleted again")
	wantNoGroups(t, o)
}

func wantNoGroups(t *testing.T, o Options) {
	t.Helper()
	groups, err := kadm.NewClient(superClient(t, o)).ListGroups(testContext(t))
	if err != nil || len(groups) != 0 {
		t.Errorf("groups left behind: %v, %v", groups.Groups(), err)
	}
}

func TestReaderReadsWaitsForTheFirstRecord(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, nil, nil)
	cl, ctx := superClient(t, o, kgo.DefaultProduceTopic(o.Endpoints.Simulator.Topic)), testContext(t)
	o.Waiting = func(_, what string) {
		if what != "a record of "+stream {
			t.Errorf("waits for %q", what)
		}
		cl.Produce(ctx, kgo.StringRecord("late"), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	wantPassed(t, check(t, o, "reader-reads"), "(4 bytes)")
}

func TestReaderReadsFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grants []admin.ACL
		change func(*Options)
		words  []string
	}{
		"no group of its own": {
			grants: topicGrant(stream, "Read", "Describe"),
			words:  []string{"GROUP_AUTHORIZATION_FAILED"},
		},
		"no read of its topic": {
			grants: append(groupGrant(reader), topicGrant(stream, "Describe")...),
			words:  []string{"TOPIC_AUTHORIZATION_FAILED"},
		},
		"topic is not seen": {
			grants: groupGrant(reader),
			words:  []string{"TOPIC_AUTHORIZATION_FAILED"},
		},
		"wrong password on the card": {
			change: func(o *Options) { o.Credentials.Kafka[reader] = "secret-9" },
			words:  []string{"SASL_AUTHENTICATION_FAILED"},
		},
		"empty for good": {
			change: func(o *Options) { o.Timeout, o.Endpoints.Simulator.Interval = time.Second, 1 },
			words:  []string{"no record of " + stream + " until the end of the check's time"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grants := map[string][]admin.ACL{}
			if c.grants != nil {
				grants[reader] = c.grants
			}
			_, o := smallKafka(t, grants, nil)
			if c.change != nil {
				c.change(&o)
			}
			if name != "empty for good" {
				produce(t, o, kgo.StringRecord("x"), kgo.StringRecord("y"))
			}
			wantFailed(t, check(t, o, "reader-reads"), append(c.words, reader+" to read "+stream)...)
		})
	}
}

func TestReaderRefused(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, nil, nil)
	wantPassed(t, check(t, o, "reader-refused"), reader+" was refused",
		"a wrong password (SASL_AUTHENTICATION_FAILED)", "the group kafka-admin-smoke-", "(GROUP_AUTHORIZATION_FAILED)",
		"a write to "+stream+" (TOPIC_AUTHORIZATION_FAILED)", "the ungranted topic "+static+" (TOPIC_AUTHORIZATION_FAILED)")

	// One who may read everything has nothing ungranted.
	o.Endpoints.Users[1].Topics, o.Endpoints.Users[2].Topics = []string{"*"}, []string{"*"}
	wantPassed(t, check(t, o, "reader-refused"), "not tried: an ungranted topic ("+reader+" may read every topic)")

	if n := written(t, o); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

func TestReaderRefusedFindsWhatIsAllowed(t *testing.T) {
	t.Parallel()
	usual := admin.ReaderACLs(reader, []string{stream})
	for name, c := range map[string]struct {
		grants []admin.ACL
		words  []string
	}{
		"may write": {
			grants: append(topicGrant(stream, "Write"), usual...),
			words:  []string{"TOPIC_AUTHORIZATION_FAILED for a write to " + stream, "a write to " + stream + " was allowed"},
		},
		"may read another topic": {
			grants: append(topicGrant(static, "Read"), usual...),
			words:  []string{"TOPIC_AUTHORIZATION_FAILED for the ungranted topic", "the ungranted topic " + static + " was allowed"},
		},
		"may use any group": {
			grants: append(groupGrant("kafka"), usual...),
			words:  []string{"GROUP_AUTHORIZATION_FAILED for the group", "-smoke-", "was allowed"},
		},
		"may do everything": {
			grants: append(topicGrant("*", "All"), groupGrant("kafka")...),
			words:  []string{"a write to", "the ungranted topic", "the group"},
		},
		"cannot even see its topic": {
			grants: groupGrant(reader),
			words:  []string{"a write to " + stream + " gave metadata: TOPIC_AUTHORIZATION_FAILED"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, o := smallKafka(t, map[string][]admin.ACL{reader: c.grants}, nil)
			wantFailed(t, check(t, o, "reader-refused"), c.words...)
			if n := written(t, o); n != 0 {
				t.Errorf("%d records were written", n)
			}
			wantNoGroups(t, o)
		})
	}
}

// Hanging up is not the refusal that clients can tell from a broken network.
func TestReaderRefusedWantsAnAnswerToAWrongPassword(t *testing.T) {
	t.Parallel()
	o := card()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, stream, static),
		kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", reader, "secret-1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o.Endpoints.Kafka = endpoints.Kafka{Bootstrap: c.ListenAddrs()[0], Brokers: []endpoints.Broker{{ID: 0, Address: c.ListenAddrs()[0]}}}
	wantFailed(t, check(t, o, "reader-refused"), "SASL_AUTHENTICATION_FAILED for a wrong password", "a wrong password gave EOF")
}

func TestEveryReader(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, nil, nil)
	produce(t, o, kgo.StringRecord("one"))
	wantPassed(t, check(t, o, "every-reader"), "2 of 2 readers logged in and read a record")

	// Another topic than the simulator's may well be empty.
	other := o
	other.Endpoints.Simulator = endpoints.Simulator{}
	other.Endpoints.Users = append([]endpoints.User(nil), o.Endpoints.Users...)
	wantPassed(t, check(t, other, "every-reader"), "2 of 2 readers")

	o.Credentials.Kafka = map[string]string{super: "secret-0", reader: "secret-1", neighbor: "secret-9"}
	r := check(t, o, "every-reader")
	wantFailed(t, r, "all 2 readers", neighbor, "SASL_AUTHENTICATION_FAILED")
	if strings.Contains(r.Seen, reader) {
		t.Errorf("%s is not to blame: %s", reader, r.Seen)
	}
}

func TestEveryReaderOfEmptyTopics(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, map[string][]admin.ACL{neighbor: admin.ReaderACLs(neighbor, []string{static})}, nil)
	o.Endpoints.Users[2].Topics = []string{static}
	produce(t, o, kgo.StringRecord("one"))
	wantPassed(t, check(t, o, "every-reader"), "1 of 2 readers", "found their topics empty: "+neighbor)

	// The simulator's topic must not stay empty.
	_, o = smallKafka(t, nil, nil)
	o.Timeout, o.Endpoints.Simulator.Interval = time.Second, 1
	wantFailed(t, check(t, o, "every-reader"), "all 2 readers to log in and read")
}

func TestEveryReaderWithoutItsGrant(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, map[string][]admin.ACL{neighbor: topicGrant(stream, "Describe")}, nil)
	produce(t, o, kgo.StringRecord("one"))
	wantFailed(t, check(t, o, "every-reader"), neighbor, "TOPIC_AUTHORIZATION_FAILED")
}
