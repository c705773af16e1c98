package content_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/content/buckets"
	"github.com/alertlab/alertlab/content/reservoir"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/content/topics"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// serverArg makes this binary the object store's child process.
const serverArg = "serve-as-child"

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

// place is a Kafka cluster with the secrets of a lab, and what the parts that were
// applied at it would find in a journal.
type place struct {
	profile *profiles.Profile
	secrets *secrets.Store
	outputs map[string]map[string]string
	last    map[string]json.RawMessage
	login   kafka.Login
	cluster *broker.Cluster
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	p.Simulator.Alerts, p.Simulator.PacketSize = 5, profiles.MinPacketSize
	pl := &place{profile: p, secrets: &secrets.Store{}, last: map[string]json.RawMessage{}}
	creds := endpoints.Credentials{Kafka: map[string]string{}, ObjectStore: endpoints.Keys{AccessKey: "lab", SecretKey: "lab-secret-key"}}
	for _, name := range users.Names(p) {
		creds.Kafka[name] = "password-of-" + name
	}
	pl.secrets.Set(creds)
	cluster, err := broker.Start(t.Context(), broker.Config{Nodes: []broker.Node{{ID: 0, Address: "127.0.0.1:0"}, {ID: 1, Address: "127.0.0.1:0"}, {ID: 2, Address: "127.0.0.1:0"}},
		Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: p.Kafka.Superuser, Password: creds.Kafka[p.Kafka.Superuser], Settings: p.Kafka.Config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	pl.cluster = cluster
	pl.outputs = map[string]map[string]string{"kafka": {"bootstrap": cluster.Bootstrap()}}
	if pl.login, err = pl.secrets.Login(cluster.Bootstrap(), p.Kafka.Superuser); err != nil {
		t.Fatal(err)
	}
	return pl
}

// apply does what a walk does with a part of that key.
func (pl *place) apply(t *testing.T, key string, want plan.Want, part plan.Part) {
	t.Helper()
	pl.order(t, key, want, part, plan.Order{})
}

// order is apply with what else an order says.
func (pl *place) order(t *testing.T, key string, want plan.Want, part plan.Part, order plan.Order) {
	t.Helper()
	resolved, err := plan.Resolve(want.Input, pl.outputs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	order.Input, order.Last, order.LastInput, order.Progress = resolved, pl.outputs[key], pl.last[key], func(int64, int64, string) {}
	out, err := part.Apply(ctx, order)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	pl.last[key], pl.outputs[key] = resolved, out
}

// see looks as a plan is made.
func (pl *place) see(t *testing.T, key string, want plan.Want, part plan.Part) plan.Observation {
	t.Helper()
	o, err := part.Observe(t.Context(), plan.Look{Want: want, Last: pl.last[key], Outputs: pl.outputs[key]})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return o
}

// present checks that what was applied is seen, without drift.
func (pl *place) present(t *testing.T, key string, want plan.Want, part plan.Part, why string) {
	t.Helper()
	if o := pl.see(t, key, want, part); o.State != plan.Present || o.Drift != "" || o.Why != why {
		t.Errorf("%s: %+v, want %s", key, o, why)
	}
}

func (pl *place) admin(t *testing.T) *kadm.Client {
	t.Helper()
	client, err := kafka.NewClient(pl.login)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// Nothing that was never made is looked for: there may be nobody to ask.
func TestNeverApplied(t *testing.T) {
	t.Parallel()
	s := &secrets.Store{}
	for key, part := range map[string]plan.Part{"users": users.New(s), "topics": topics.New(s), "buckets": buckets.New(s), "schemas": schemas.New(""), "reservoir": reservoir.New(s, "")} {
		if o, err := part.Observe(t.Context(), plan.Look{}); err != nil || o.State != plan.Absent {
			t.Errorf("%s: %+v, %v", key, o, err)
		}
	}
}

// The content of a Kafka cluster: made, seen, lost and made again.
func TestKafka(t *testing.T) {
	t.Parallel()
	pl := newPlace(t)
	kafkaAdmin, ctx := pl.admin(t), t.Context()

	userWant, userPart := users.Want(pl.profile, nil), users.New(pl.secrets)
	topicWant, topicPart := topics.Want(pl.profile), topics.New(pl.secrets)
	visitWant, visitPart := reservoir.Want(pl.profile), reservoir.New(pl.secrets, "")
	for range 2 { // whatever was there
		pl.apply(t, "users", userWant, userPart)
		pl.apply(t, "topics", topicWant, topicPart)
	}
	pl.present(t, "users", userWant, userPart, "12 users are there")
	pl.present(t, "topics", topicWant, topicPart, "3 topics are there")

	t.Run("users", func(t *testing.T) {
		// A reader logs in with the lab's password for it.
		login, err := pl.secrets.Login(pl.cluster.Bootstrap(), "fink")
		if err != nil {
			t.Fatal(err)
		}
		client, err := kafka.NewClient(login)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		there, err := kadm.NewClient(client).ListTopics(ctx)
		if err != nil || !there.Has("alerts-simulated") || there.Has("registry-schemas") {
			t.Errorf("fink sees %v, %v", there.Names(), err)
		}
		if _, err := admin.RemoveUsers(ctx, kafkaAdmin, "fink"); err != nil {
			t.Fatal(err)
		}
		if o := pl.see(t, "users", userWant, userPart); o.Drift != "user fink is missing" {
			t.Errorf("a lost user: %+v", o)
		}
		pl.apply(t, "users", userWant, userPart)
		pl.present(t, "users", userWant, userPart, "12 users are there")

		// One that the profile drops goes; one that others made stays.
		if _, err := admin.EnsureUsers(ctx, kafkaAdmin, []admin.User{{Name: "guest", Password: "guest", ACLs: admin.ReaderACLs("guest", []string{"*"})}}); err != nil {
			t.Fatal(err)
		}
		fewer := *pl.profile
		fewer.Kafka.Readers = fewer.Kafka.Readers[1:] // without alerce
		pl.apply(t, "users", users.Want(&fewer, nil), userPart)
		accounts, err := admin.Users(ctx, kafkaAdmin)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, a := range accounts {
			names[a.Name] = true
		}
		if names["alerce"] || !names["guest"] || !names["fink"] {
			t.Errorf("users %v", names)
		}
	})

	t.Run("topics", func(t *testing.T) {
		if _, err := kafkaAdmin.DeleteTopic(ctx, "alerts-simulated"); err != nil {
			t.Fatal(err)
		}
		if o := pl.see(t, "topics", topicWant, topicPart); o.State != plan.Present || o.Drift != "topic alerts-simulated is missing" {
			t.Errorf("a lost topic: %+v", o)
		}
		pl.apply(t, "topics", topicWant, topicPart)
		there, err := kafkaAdmin.ListTopics(ctx)
		if err != nil || len(there["alerts-simulated"].Partitions) != 12 || len(there["alerts-static"].Partitions) != 1 {
			t.Errorf("topics %v, %v", there.Names(), err)
		}
	})

	// What steps made that did not end goes like what was made by those that did; a
	// setting that is dropped is the default again; a topic is deleted only when that
	// is said.
	t.Run("begun", func(t *testing.T) {
		added := *pl.profile
		added.Kafka.Topics = append(slices.Clone(added.Kafka.Topics), profiles.Topic{Name: "extra", Partitions: 4, Replicas: 1})
		added.Kafka.Readers = append(slices.Clone(added.Kafka.Readers), profiles.Reader{Name: "guest-2", Topics: []string{"extra"}})
		creds := endpoints.Credentials{Kafka: map[string]string{"guest-2": "password-of-guest"}}
		for _, name := range users.Names(pl.profile) {
			creds.Kafka[name] = "password-of-" + name
		}
		pl.secrets.Set(creds)
		resolve := func(w plan.Want) json.RawMessage {
			t.Helper()
			resolved, err := plan.Resolve(w.Input, pl.outputs)
			if err != nil {
				t.Fatal(err)
			}
			return resolved
		}
		began := []json.RawMessage{resolve(users.Want(&added, nil))}
		for key, part := range map[string]plan.Part{"users": userPart, "topics": topicPart} {
			want := map[string]plan.Want{"users": users.Want(&added, nil), "topics": topics.Want(&added)}[key]
			if _, err := part.Apply(ctx, plan.Order{Input: resolve(want), LastInput: pl.last[key], Progress: func(int64, int64, string) {}}); err != nil {
				t.Fatal(err)
			}
		}
		has := func(name string) bool {
			accounts, err := admin.Users(ctx, kafkaAdmin)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(accounts, func(a admin.Account) bool { return a.Name == name })
		}
		if !has("guest-2") {
			t.Fatal("the user was not made")
		}
		pl.order(t, "users", userWant, userPart, plan.Order{Begun: began})
		if has("guest-2") {
			t.Error("a user of a step that did not end is there")
		}
		partitions := func(name string) int {
			// Asked so, the client does not answer from what it saw before.
			there, err := kafkaAdmin.ListTopics(kadm.WithAuthorizedOps(ctx), name)
			if err != nil {
				t.Fatal(err)
			}
			return len(there[name].Partitions)
		}
		pl.last["topics"] = resolve(topics.Want(&added))
		pl.apply(t, "topics", topicWant, topicPart)
		if got := partitions("extra"); got != 4 {
			t.Errorf("a topic that is not wanted has %d partitions, though nobody said that it is to be destroyed", got)
		}
		pl.last["topics"] = resolve(topics.Want(&added))
		fewer := *pl.profile
		fewer.Kafka.Topics = slices.Clone(fewer.Kafka.Topics)
		for i := range fewer.Kafka.Topics {
			if topic := &fewer.Kafka.Topics[i]; topic.Name == "alerts-simulated" {
				topic.Partitions, topic.Config = 5, maps.Clone(topic.Config)
			}
		}
		pl.order(t, "topics", topics.Want(&fewer), topicPart, plan.Order{Destroy: true})
		if got := partitions("extra"); got != 0 {
			t.Errorf("a topic that is to be destroyed has %d partitions", got)
		}
		if got := partitions("alerts-simulated"); got != 5 {
			t.Errorf("a topic that is to have 5 partitions has %d", got)
		}
		set := func() string {
			there, err := kafkaAdmin.DescribeTopicConfigs(ctx, "alerts-simulated")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range there[0].Configs {
				if c.Key == "retention.ms" && c.Source == kmsg.ConfigSourceDynamicTopicConfig {
					return *c.Value
				}
			}
			return ""
		}
		if set() != "604800000" {
			t.Errorf("retention.ms is %q", set())
		}
		for i := range fewer.Kafka.Topics {
			delete(fewer.Kafka.Topics[i].Config, "retention.ms")
		}
		pl.apply(t, "topics", topics.Want(&fewer), topicPart)
		if set() != "" {
			t.Errorf("a setting that was dropped is %q", set())
		}
		// As it was before.
		if _, err := admin.DeleteTopics(ctx, kafkaAdmin, "alerts-simulated", "was-never-there"); err != nil {
			t.Fatal(err)
		}
		pl.apply(t, "topics", topicWant, topicPart)
	})

	t.Run("reservoir", func(t *testing.T) {
		pl.apply(t, "reservoir", visitWant, visitPart)
		pl.present(t, "reservoir", visitWant, visitPart, "5 alerts are in alerts-static")
		ends := func() int64 {
			t.Helper()
			offsets, err := kafkaAdmin.ListEndOffsets(ctx, "alerts-static")
			if err != nil {
				t.Fatal(err)
			}
			o, _ := offsets.Lookup("alerts-static", 0)
			return o.Offset
		}
		before := ends()
		// What is whole is left alone.
		pl.apply(t, "reservoir", visitWant, visitPart)
		if got := ends(); got != before {
			t.Errorf("the visit was loaded again: the end went from %d to %d", before, got)
		}
		// Who appends to it spoils it; then it is loaded anew.
		if _, err := kafkaAdmin.DeleteRecords(ctx, func() kadm.Offsets {
			o := kadm.Offsets{}
			o.Add(kadm.Offset{Topic: "alerts-static", Partition: 0, At: before})
			return o
		}()); err != nil {
			t.Fatal(err)
		}
		if o := pl.see(t, "reservoir", visitWant, visitPart); o.State != plan.Present || !strings.Contains(o.Drift, "is not what its manifest says") {
			t.Errorf("emptied: %+v", o)
		}
		pl.apply(t, "reservoir", visitWant, visitPart)
		pl.present(t, "reservoir", visitWant, visitPart, "5 alerts are in alerts-static")
		if out := pl.outputs["reservoir"]; out[reservoir.AlertsOut] != "5" || out[reservoir.SchemaOut] != "11.0" {
			t.Errorf("outputs %v", out)
		}
	})

	// A cluster that does not answer is no reason to replace anything.
	t.Run("unreachable", func(t *testing.T) {
		had := pl.last["reservoir"]
		silent := strings.ReplaceAll(string(had), pl.cluster.Bootstrap(), "127.0.0.1:1")
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if o, err := visitPart.Observe(ctx, plan.Look{Want: visitWant, Last: json.RawMessage(silent), Outputs: pl.outputs["reservoir"]}); err == nil {
			t.Errorf("seen without looking: %+v", o)
		}
		if _, err := visitPart.Apply(ctx, plan.Order{Input: json.RawMessage(silent), LastInput: had, Last: pl.outputs["reservoir"], Progress: func(int64, int64, string) {}}); err == nil {
			t.Error("loaded into a cluster that does not answer")
		}
	})
}

// A visit from a file is loaded as it is, kept while it is whole, and missed when
// its file is gone.
func TestLoadedReservoir(t *testing.T) {
	t.Parallel()
	pl := newPlace(t)
	pl.apply(t, "users", users.Want(pl.profile, nil), users.New(pl.secrets))
	pl.apply(t, "topics", topics.Want(pl.profile), topics.New(pl.secrets))
	file := filepath.Join(t.TempDir(), "visit.avro")
	write(t, file, 3)
	part := reservoir.New(pl.secrets, "")
	// What is there is not what this manifest says, so the file is read.
	pl.apply(t, "reservoir", reservoir.WantLoaded(pl.profile, file, "", `{"topic":"alerts-static","endOffset":99}`), part)
	manifest := pl.outputs["reservoir"]["manifest"]
	want := reservoir.WantLoaded(pl.profile, file, "", manifest)
	// Somebody spoils it: it is loaded again, to other offsets, and then it is whole.
	pl.apply(t, "reservoir", want, part)
	admin, ctx := pl.admin(t), t.Context()
	ends, err := admin.ListEndOffsets(ctx, "alerts-static")
	if err != nil {
		t.Fatal(err)
	}
	if deleted, err := admin.DeleteRecords(ctx, ends.Offsets()); err != nil || deleted.Error() != nil {
		t.Fatalf("%v, %v", err, deleted.Error())
	}
	if o := pl.see(t, "reservoir", want, part); o.Drift == "" {
		t.Errorf("an emptied reservoir: %+v", o)
	}
	pl.apply(t, "reservoir", want, part)
	if pl.outputs["reservoir"]["manifest"] == manifest {
		t.Error("it was not loaded again")
	}
	pl.present(t, "reservoir", want, part, "3 alerts are in alerts-static")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	pl.apply(t, "reservoir", want, part) // whole: the file is not needed
	pl.present(t, "reservoir", want, part, "3 alerts are in alerts-static")
	other := reservoir.WantLoaded(pl.profile, file, "", strings.Replace(manifest, `"endOffset":`, `"endOffset":1`, 1))
	resolved, err := plan.Resolve(other.Input, pl.outputs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Apply(t.Context(), plan.Order{Input: resolved}); err == nil || !strings.Contains(err.Error(), "cannot be read again") {
		t.Errorf("without its file: %v", err)
	}
}

func write(t *testing.T, path string, alerts int) {
	t.Helper()
	schema, err := packet.Published(packet.Version{Major: 7, Minor: 4})
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: alerts, PacketBytes: profiles.MinPacketSize, Seed: 1, Visit: 2026112100001, MidpointMjdTai: 61365.25})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := packet.NewContainerWriter(f, schema, "deflate")
	if err != nil {
		t.Fatal(err)
	}
	for i := range alerts {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	pl := newPlace(t)
	pl.apply(t, "users", users.Want(pl.profile, nil), users.New(pl.secrets))
	pl.apply(t, "topics", topics.Want(pl.profile), topics.New(pl.secrets))
	login, err := pl.secrets.Login(pl.cluster.Bootstrap(), "alert-schema-registry")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), registry.Config{Login: login, Topic: pl.profile.Registry.Topic, Compatibility: pl.profile.Registry.Compatibility})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	server := httptest.NewServer(reg.Handler())
	defer server.Close()
	pl.outputs["schema-registry"] = map[string]string{"url": server.URL}
	want, part := schemas.Want(pl.profile, nil), schemas.New("")
	pl.apply(t, "schemas", want, part)
	pl.apply(t, "schemas", want, part)
	pl.present(t, "schemas", want, part, "15 subjects are registered")
	client, err := registry.NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range packet.Versions() {
		got, err := client.API().SchemaByVersion(t.Context(), schemas.TopicSubject(v.String()), 1)
		if err != nil || got.ID != v.ID() {
			t.Errorf("version %s has id %d, %v", v, got.ID, err)
		}
	}
	// A draft that a step registered, and one that a step which did not end may have
	// registered, go when they are not wanted any more; under one version either may
	// then be registered.
	dir := t.TempDir()
	one, other := draftIn(t, dir, "one", false), draftIn(t, dir, "other", true)
	part = schemas.New(dir)
	heldBy := func() int {
		t.Helper()
		subjects, err := client.API().Subjects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(subjects, schemas.TopicSubject("12.0")) {
			return 0
		}
		got, err := client.API().SchemaByVersion(t.Context(), schemas.TopicSubject("12.0"), 1)
		if err != nil {
			t.Fatal(err)
		}
		return len(got.Schema.Schema)
	}
	drafted := schemas.Want(pl.profile, []profiles.Draft{one})
	pl.apply(t, "schemas", drafted, part)
	first := heldBy()
	changed := schemas.Want(pl.profile, []profiles.Draft{other})
	pl.apply(t, "schemas", changed, part)
	if second := heldBy(); first == 0 || second == 0 || first == second {
		t.Errorf("the drafts have %d and %d characters", first, second)
	}
	begun := pl.last["schemas"]
	pl.apply(t, "schemas", want, part)
	if n := heldBy(); n != 0 {
		t.Errorf("a draft of %d characters is left", n)
	}
	undrafted := pl.last["schemas"]
	pl.apply(t, "schemas", changed, part)
	pl.last["schemas"] = undrafted // the step that registered it did not end
	pl.order(t, "schemas", want, part, plan.Order{Begun: []json.RawMessage{begun}})
	if n := heldBy(); n != 0 {
		t.Errorf("a draft of %d characters is left by a step that began", n)
	}
	pl.present(t, "schemas", want, part, "15 subjects are registered")
	if _, err := client.API().DeleteSubject(t.Context(), "lsst-alerts-v7.4-value", sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if o := pl.see(t, "schemas", want, part); o.Drift != "subject lsst-alerts-v7.4-value is missing" {
		t.Errorf("a lost subject: %+v", o)
	}
	server.Close()
	if o, err := part.Observe(t.Context(), plan.Look{Want: want, Last: pl.last["schemas"]}); err == nil {
		t.Errorf("a registry that does not answer is seen as %+v", o)
	}
}

// draftIn copies a draft into a folder below dir, with one field
// more when it is to be another one.
func draftIn(t *testing.T, dir, folder string, another bool) profiles.Draft {
	t.Helper()
	to := filepath.Join(dir, folder)
	if err := os.CopyFS(to, os.DirFS("../alerts/drafts/testdata/good")); err != nil {
		t.Fatal(err)
	}
	if another {
		name := filepath.Join(to, "lsst.v12_0.diaObject.avsc")
		was, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		now := strings.Replace(string(was), `"fields": [`, `"fields": [{"name": "added", "type": ["null", "string"], "default": null},`, 1)
		if now == string(was) {
			t.Fatal("nothing was changed")
		}
		if err := os.WriteFile(name, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := drafts.Load(to)
	if err != nil {
		t.Fatal(err)
	}
	return profiles.Draft{Version: d.Version.String(), Folder: folder, SHA256: schemas.Sum(d.Schema)}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("local")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "s3")
	child, err := objectstore.StartChild(t.Context(), objectstore.Config{Executable: exe, Args: []string{serverArg}, Root: root, Address: "127.0.0.1:0",
		AccessKey: "lab", SecretKey: "lab-secret-key", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer child.Stop(context.WithoutCancel(t.Context()))
	store := &secrets.Store{}
	store.Set(endpoints.Credentials{ObjectStore: endpoints.Keys{AccessKey: "lab", SecretKey: "lab-secret-key"}})
	pl := &place{profile: p, last: map[string]json.RawMessage{}, outputs: map[string]map[string]string{"object-store": {"url": child.Endpoint(), "region": "us-east-1"}}}
	want, part := buckets.Want(p), buckets.New(store)
	pl.apply(t, "buckets", want, part)
	pl.apply(t, "buckets", want, part)
	pl.present(t, "buckets", want, part, "2 buckets are there")
	if err := os.Remove(filepath.Join(root, "buckets", p.AlertDatabase.SchemaBucket)); err != nil {
		t.Fatal(err)
	}
	if o := pl.see(t, "buckets", want, part); o.Drift != "bucket "+p.AlertDatabase.SchemaBucket+" is missing" {
		t.Errorf("a lost bucket: %+v", o)
	}
	// A renamed bucket is made, and the one before deleted only when that is said.
	alerts := p.AlertDatabase.AlertBucket
	client := objectstore.NewClient(objectstore.ClientConfig{Endpoint: child.Endpoint(), AccessKey: "lab", SecretKey: "lab-secret-key"})
	defer client.Close()
	pl.apply(t, "buckets", want, part)
	for i := range 40 {
		if err := client.Put(t.Context(), alerts, fmt.Sprintf("v2/alerts/%d/x", i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	before := pl.last["buckets"]
	p.AlertDatabase.AlertBucket = "renamed-packets"
	for _, destroy := range []bool{false, true} {
		pl.last["buckets"] = before
		pl.order(t, "buckets", buckets.Want(p), part, plan.Order{Destroy: destroy})
		if _, err := client.Stat(t.Context(), alerts, "v2/alerts/7/x"); (err != nil) != destroy {
			t.Errorf("destroy %v: %v", destroy, err)
		}
	}
	pl.present(t, "buckets", buckets.Want(p), part, "2 buckets are there")
	if lost := plan.Lost(want.Holds, buckets.Want(p).Holds); len(lost) != 1 || !strings.Contains(lost[0], "bucket "+alerts+" of the alerts") {
		t.Errorf("lost: %q", lost)
	}
	// One bucket for both is asked for once.
	p.AlertDatabase.SchemaBucket = p.AlertDatabase.AlertBucket
	if want := buckets.Want(p); want.Title != "buckets "+p.AlertDatabase.AlertBucket {
		t.Errorf("title %q", want.Title)
	}
}
