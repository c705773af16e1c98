package smoke

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/sr"
)

const serverArg = "be-an-object-store"

// TestMain lets this binary play the object store's process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serverArg {
		if err := gateway.ServeMain(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// wholeLab is the data plane of an embedded lab, its real parts.
type wholeLab struct {
	options Options
	cluster *broker.Cluster
	objects *objectstore.Client
	player  *simulator.Player
	schemas *sr.Client
}

const bucket = "rubin-alert-archive"

// startLab plays visits of n alerts at an interval.
func startLab(t *testing.T, interval time.Duration, n int) *wholeLab {
	t.Helper()
	ctx, o := testContext(t), card()
	lab := &wholeLab{}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// What runs is ended before what it needs, which cleanups do in this order.
	background := func(run func(context.Context) error) {
		inner, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := run(inner); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		t.Cleanup(func() { cancel(); wg.Wait() })
	}

	var nodes []broker.Node
	for id := range int32(6) {
		nodes = append(nodes, broker.Node{ID: 6 + id, Address: "127.0.0.1:0"}) // ids as at USDF
	}
	var err error
	lab.cluster, err = broker.Start(ctx, broker.Config{
		Nodes: nodes, Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: super, Password: "secret-0",
		Settings: map[string]string{"auto.create.topics.enable": "false"},
	})
	check(err)
	t.Cleanup(func() { check(lab.cluster.Close()) })
	o.Endpoints.Kafka = endpoints.Kafka{Bootstrap: lab.cluster.Bootstrap(), Security: "SASL_PLAINTEXT", Mechanism: "SCRAM-SHA-512"}
	for _, node := range lab.cluster.Nodes() {
		o.Endpoints.Kafka.Brokers = append(o.Endpoints.Kafka.Brokers, endpoints.Broker{ID: node.ID, Address: node.Address})
	}
	login := func(user string) kafka.Login {
		return kafka.Login{Bootstrap: []string{lab.cluster.Bootstrap()}, User: user, Password: o.Credentials.Kafka[user]}
	}

	adm := kadm.NewClient(superClient(t, o))
	_, err = admin.EnsureTopics(ctx, adm, []admin.Topic{
		{Name: static, Partitions: 1, Replicas: 1, Config: map[string]string{"retention.ms": "-1"}},
		{Name: stream, Partitions: 12, Replicas: 1, Config: map[string]string{"message.timestamp.type": "LogAppendTime"}},
		{Name: registry.DefaultTopic, Partitions: 1, Replicas: 1, Config: map[string]string{"cleanup.policy": "compact"}},
	})
	check(err)
	services := map[string][]admin.ACL{
		"alert-schema-registry": {acl("topic", registry.DefaultTopic, "literal", "Read", "Write", "Describe", "DescribeConfigs")},
		"alert-stream-simulator": {
			acl("topic", static, "literal", "All"), acl("topic", stream, "literal", "All"),
		},
		"alert-database-ingester": {
			acl("topic", stream, "literal", "Read", "Describe"), acl("group", "*", "literal", "Describe", "Read"),
		},
	}
	var users []admin.User
	for name, acls := range services {
		o.Credentials.Kafka[name] = "service-" + name
		o.Endpoints.Users = append(o.Endpoints.Users, endpoints.User{Name: name, Role: endpoints.Service})
		users = append(users, admin.User{Name: name, Password: o.Credentials.Kafka[name], ACLs: acls})
	}
	for _, name := range []string{reader, neighbor} {
		users = append(users, admin.User{Name: name, Password: o.Credentials.Kafka[name], ACLs: admin.ReaderACLs(name, []string{stream})})
	}
	_, err = admin.EnsureUsers(ctx, adm, users)
	check(err)

	reg, err := registry.Open(ctx, registry.Config{Login: login("alert-schema-registry"), Compatibility: "NONE"})
	check(err)
	t.Cleanup(reg.Close)
	o.Endpoints.Registry = endpoints.Registry{AdminURL: serve(t, reg.Handler()), Subject: "alert-packet"}
	target, err := url.Parse(o.Endpoints.Registry.AdminURL)
	check(err)
	o.Endpoints.Registry.URL = serve(t, front.ReadOnly(target))
	var entries []registry.Entry
	for _, v := range packet.Versions() {
		o.Endpoints.Registry.Versions = append(o.Endpoints.Registry.Versions, v.String())
		s, err := packet.Published(v)
		check(err)
		entries = append(entries,
			registry.Entry{ID: v.ID(), Version: v.ID(), Schema: s.Canonical(), Subject: "alert-packet"},
			registry.Entry{ID: v.ID(), Version: 1, Schema: s.Canonical(), Subject: "lsst-alerts-v" + v.String() + "-value"})
	}
	lab.schemas, err = sr.NewClient(sr.URLs(o.Endpoints.Registry.AdminURL))
	check(err)
	_, err = registry.Sync(ctx, lab.schemas, entries)
	check(err)

	child, err := objectstore.StartChild(ctx, objectstore.Config{
		Args: []string{serverArg}, Root: t.TempDir(), Address: "127.0.0.1:0", AccessKey: "access", SecretKey: "secret-s3",
	})
	check(err)
	t.Cleanup(func() { check(child.Stop(context.Background())) })
	lab.objects = objectstore.NewClient(objectstore.ClientConfig{Endpoint: child.Endpoint(), AccessKey: "access", SecretKey: "secret-s3"})
	t.Cleanup(lab.objects.Close)
	check(lab.objects.EnsureBucket(ctx, bucket))
	o.Endpoints.ObjectStore = endpoints.ObjectStore{URL: child.Endpoint(), Region: "us-east-1", AlertBucket: bucket, SchemaBucket: bucket}
	o.Credentials.ObjectStore = endpoints.Keys{AccessKey: "access", SecretKey: "secret-s3"}
	buckets := archive.Buckets{Alerts: bucket, Schemas: bucket}
	o.Endpoints.AlertDB = endpoints.AlertDB{Scope: "read:alertdb",
		Tokens: []endpoints.Token{{Name: "with", Scopes: []string{"read:alertdb"}}, {Name: "without", Scopes: []string{"user:token"}}}}
	o.Credentials.Tokens = map[string]string{"with": "gt-with", "without": "gt-without"}
	access := front.Access{Scope: "read:alertdb", Realm: "test", Open: []string{"/v1/health"}}
	for _, token := range o.Endpoints.AlertDB.Tokens {
		access.Tokens = append(access.Tokens, front.Token{Name: token.Name, Secret: o.Credentials.Tokens[token.Name], Scopes: token.Scopes})
	}
	o.Endpoints.AlertDB.URL = serve(t, front.RequireScope(archive.NewServer(archive.ServerConfig{Objects: lab.objects, Buckets: buckets}), access))
	source, err := registry.NewClient(o.Endpoints.Registry.URL)
	check(err)
	ingester, err := archive.NewIngester(archive.IngesterConfig{
		Login: login("alert-database-ingester"), Topics: []string{stream},
		Objects: lab.objects, Buckets: buckets, Schemas: source,
	})
	check(err)
	background(ingester.Run)

	schema, err := packet.Published(packet.VersionFromID(1100))
	check(err)
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: n, Seed: 1, Visit: 2026112100001, MidpointMjdTai: 61365.2})
	check(err)
	_, err = simulator.Create(ctx, simulator.CreateConfig{
		Login: login("alert-stream-simulator"), Topic: static, Source: simulator.Visit(visit, 0), Schema: schema,
	})
	check(err)
	lab.player, err = simulator.NewPlayer(simulator.PlayConfig{
		Login: login("alert-stream-simulator"), Source: static, Destination: stream, Interval: interval,
	})
	check(err)
	background(func(ctx context.Context) error { _, err := lab.player.Run(ctx); return err })

	o.Endpoints.Simulator.Interval, o.Endpoints.Simulator.Alerts = endpoints.Duration(interval), n
	lab.options = o
	return lab
}

// TestWholeLab runs every check on the real parts, first while visits come,
// then with one part after another broken.
//
// It runs alone, because it is about times.
func TestWholeLab(t *testing.T) {
	const n = 30
	lab := startLab(t, 3*time.Second, n)
	o := lab.options
	allPass(t, o, "a new lab")

	// Two visits are there by now, so nothing is left to wait for, but for the visit
	// after a late one.
	o.Waiting = func(check, what string) {
		if check == "visit-cadence" && !strings.Contains(what, "the last two started") {
			t.Errorf("%s waits for %s", check, what)
		}
	}
	allPass(t, o, "a lab under way")
	o.Waiting = nil

	if err := lab.cluster.Kill(8); err != nil {
		t.Fatal(err)
	}
	if r := check(t, o, "brokers-answer"); r.Next != "alertlab up   # brings back what was killed; alertlab logs kafka" {
		t.Errorf("next %q", r.Next)
	} else {
		wantFailed(t, r, "broker 8 at")
	}
	if err := lab.cluster.Restart(testContext(t), 8); err != nil {
		t.Fatal(err)
	}
	wantPassed(t, check(t, o, "brokers-answer"), "brokers 6 7 8 9 10 11")

	if _, err := lab.schemas.DeleteSubject(testContext(t), "lsst-alerts-v6.1-value", sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	wantFailed(t, check(t, o, "schema-versions"), "no subject lsst-alerts-v6.1-value")

	open := o
	open.Endpoints.Registry.URL = o.Endpoints.Registry.AdminURL
	wantFailed(t, check(t, open, "registry-read-only"), "POST /subjects/alertlab-smoke-", "gave 200")
	subjects, err := lab.schemas.Subjects(sr.WithParams(testContext(t), sr.ShowDeleted))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subjects {
		if len(s) > 8 && s[:8] == "alertlab" {
			t.Errorf("subject %s is left behind", s)
		}
	}

	// Without more visits the last one stays the last.
	lab.player.Pause()
	lab.drain(t)
	// On a machine that stands still for a second, a visit may count as two: how
	// many alerts the last one has is not asked here.
	wantPassed(t, check(t, o, "alert-database-bytes"), " alerts of the visit of ", " MB equal")
	wantPassed(t, check(t, o, "alert-objects"), "bucket "+bucket+": ", " MB equal")
	schema, err := packet.Published(packet.VersionFromID(1100))
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: n, Seed: 1, Visit: 2026112100001, MidpointMjdTai: 61365.2})
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[int64][]byte{}
	for i := range n {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		head, err := schema.Head(body)
		if err != nil {
			t.Fatal(err)
		}
		// As an ingester would write before its version 4.
		key := archive.AlertKey(head.ID)
		whole, err := lab.objects.Bytes(testContext(t), bucket, key)
		if err == nil {
			err = lab.objects.Put(testContext(t), bucket, archive.AlertKeys(head.ID)[2], whole)
		}
		if err == nil {
			err = lab.objects.Delete(testContext(t), bucket, key)
		}
		if err != nil {
			t.Fatal(err)
		}
		bodies[head.ID] = body
	}
	short := o
	short.Timeout = 4 * time.Second
	wantPassed(t, check(t, short, "alert-database-bytes"), " MB equal")
	wantFailed(t, check(t, short, "alert-objects"), " did not", "of waiting for the ingester", "v2/alerts/")
	for id, body := range bodies {
		// As one would that forgets the header.
		if err := lab.objects.Put(testContext(t), bucket, archive.AlertKey(id), gzipped(body)); err != nil {
			t.Fatal(err)
		}
	}
	wantFailed(t, check(t, short, "alert-objects"), " did not", "the first difference is at byte 0")
	wantFailed(t, check(t, short, "alert-database-bytes"), " did not", "the first difference is at byte 0", "seed "+strconv.Itoa(int(o.Seed)))
}

// allPass runs every check. A machine with other work that stands still for a second
// has its visits late, and the check of their cadence says so, as it should: then all
// are run again, a few times.
func allPass(t *testing.T, o Options, lab string) {
	t.Helper()
	for left := 4; ; left-- {
		r, err := Run(testContext(t), o)
		if err != nil {
			t.Fatal(err)
		}
		var table bytes.Buffer
		if err := r.Table(&table, TableOptions{}); err != nil {
			t.Fatal(err)
		}
		late, others := 0, 0
		for _, one := range r.Results {
			switch {
			case one.Status == Passed, one.Status == Skipped && notHere(one.Check):
			case one.Check == "visit-cadence":
				late++
			default:
				others++
			}
		}
		t.Logf("%s:\n%s", lab, table.String())
		if late+others == 0 && r.Count(Passed)+r.Count(Skipped) == len(All()) {
			return
		}
		if others > 0 || left == 0 {
			t.Fatalf("%s: see the table above", lab)
		}
	}
}

// notHere says whether this lab has nothing for a check to look at: nobody allowed the
// disruptive ones, its alert database asks for no tokens, and it has no ingress.
func notHere(name string) bool {
	return name == "alert-database-scope" || name == "ingress-hosts" || slices.ContainsFunc(All(), func(c Check) bool { return c.Name == name && c.Disruptive })
}

// drain waits until the paused player's last visit is stored.
func (lab *wholeLab) drain(t *testing.T) {
	t.Helper()
	ctx := testContext(t)
	group := time.NewTicker(50 * time.Millisecond)
	defer group.Stop()
	adm := kadm.NewClient(superClient(t, lab.options))
	for {
		lags, err := adm.Lag(ctx, archive.DefaultGroup)
		if err != nil {
			t.Fatal(err)
		}
		if lag, ok := lags[archive.DefaultGroup]; ok && lag.Error() == nil && lag.Lag.Total() == 0 && lab.player.Status().InFlight == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-group.C:
		}
	}
}
