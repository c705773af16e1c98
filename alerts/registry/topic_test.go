package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
)

// TestRecords pins the bytes of every kind of record: Confluent's registry must
// be able to go on with this topic, and compaction compares keys byte by byte.
func TestRecords(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	_, base := open(t, registry.Config{Login: login(cluster)})
	const null = `"null"`
	converse(t, base, []exchange{
		{`PUT /mode/s {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`POST /subjects/s/versions ` + post(null, `"id":704`, `"version":704`, metadata), `{"id":704,"version":704}`},
		{`PUT /mode/s {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`PUT /mode {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		{`PUT /config {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		{`PUT /config/s {"compatibility":"FULL_TRANSITIVE"}`, `{"compatibility":"FULL_TRANSITIVE"}`},
		{`POST /subjects/a<b>&c/versions ` + post(null, `"references":[{"name":"n","subject":"s","version":704}]`), `{"id":100001,"version":1}`},
		{`DELETE /subjects/a<b>&c/versions/1`, `1`},
		{`DELETE /subjects/a<b>&c?permanent=true`, `[1]`},
		{`DELETE /config/s`, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		{`DELETE /mode`, `{"mode":"READWRITE"}`},
		{`DELETE /subjects/s`, `[704]`},
		{`PUT /mode/s {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
	}...)
	want := []string{
		`{"keytype":"NOOP","magic":0} = (tombstone)`,
		`{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0} = {"subject":"s"}`,
		`{"keytype":"MODE","subject":"s","magic":0} = {"subject":"s","mode":"IMPORT"}`,
		`{"keytype":"SCHEMA","subject":"s","version":704,"magic":1} = {"subject":"s","version":704,"id":704,"schemaType":"AVRO","metadata":{"properties":{"confluent:version":"704"}},"schema":"\"null\"","deleted":false}`,
		`{"keytype":"MODE","subject":"s","magic":0} = {"subject":"s","mode":"READWRITE"}`,
		`{"keytype":"MODE","magic":0} = {"mode":"READWRITE"}`,
		`{"keytype":"CONFIG","magic":0} = {"compatibilityLevel":"NONE"}`,
		`{"keytype":"CONFIG","subject":"s","magic":0} = {"subject":"s","compatibilityLevel":"FULL_TRANSITIVE"}`,
		`{"keytype":"SCHEMA","subject":"a<b>&c","version":1,"magic":1} = {"subject":"a<b>&c","version":1,"id":100001,"schemaType":"AVRO","references":[{"name":"n","subject":"s","version":704}],"schema":"\"null\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"a<b>&c","version":1,"magic":1} = {"subject":"a<b>&c","version":1,"id":100001,"schemaType":"AVRO","references":[{"name":"n","subject":"s","version":704}],"schema":"\"null\"","deleted":true}`,
		`{"keytype":"SCHEMA","subject":"a<b>&c","version":1,"magic":1} = (tombstone)`,
		`{"keytype":"CONFIG","subject":"s","magic":0} = (tombstone)`,
		`{"keytype":"MODE","magic":0} = (tombstone)`,
		`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0} = {"subject":"s","version":704}`,
		`{"keytype":"SCHEMA","subject":"s","version":704,"magic":1} = (tombstone)`,
		`{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0} = {"subject":"s"}`,
		`{"keytype":"MODE","subject":"s","magic":0} = {"subject":"s","mode":"IMPORT"}`,
	}
	if got := topicRecords(t, cluster); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// everything asks for all that a registry shows, one answer a line.
func everything(t *testing.T, base string) string {
	t.Helper()
	var lines []string
	for _, path := range []string{
		"/schemas", "/schemas?deleted=true", "/subjects?deletedOnly=true", "/config", "/mode",
		"/config/s", "/mode/s", "/mode/import", "/subjects/s/versions?deleted=true",
		"/schemas/ids/704", "/schemas/ids/704/versions?deleted=true", "/schemas/ids/100001", "/schemas/ids/100002", "/schemas/ids/100003",
	} {
		_, body := call(t, http.MethodGet, base+path, "")
		lines = append(lines, path+" "+body)
	}
	return strings.Join(lines, "\n")
}

func TestStateSurvivesRestartAndCompaction(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	cfg := registry.Config{Login: login(cluster)}
	first, base := open(t, cfg)
	converse(t, base, []exchange{
		{`PUT /mode/import {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		{`POST /subjects/import/versions ` + post(one, `"id":704`, `"version":704`, metadata), `{"id":704,"version":704}`},
		{`POST /subjects/s/versions ` + post(one), `{"id":704,"version":1}`},
		{`POST /subjects/s/versions ` + post(two), `{"id":100001,"version":2}`},
		{`PUT /config/s {"compatibility":"FULL"}`, `{"compatibility":"FULL"}`},
		{`PUT /config/s {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		{`POST /subjects/s/versions ` + post(mustY), `{"id":100002,"version":3}`},
		{`DELETE /subjects/s/versions/2`, `2`},
		{`POST /subjects/gone/versions ` + post(`"long"`), `{"id":100003,"version":1}`},
		{`DELETE /subjects/gone`, `[1]`},
		{`POST /subjects/purged/versions ` + post(`"int"`), `{"id":100004,"version":1}`},
		{`DELETE /subjects/purged`, `[1]`},
		{`DELETE /subjects/purged?permanent=true`, `[1]`},
		{`PUT /mode {"mode":"READONLY"}`, `{"mode":"READONLY"}`},
	}...)
	want := everything(t, base)
	first.Close()

	before := len(topicRecords(t, cluster))
	second, base := open(t, cfg)
	if got := everything(t, base); got != want {
		t.Errorf("after a restart\n got %s\nwant %s", got, want)
	}
	second.Close()

	cluster.Compact()
	if after := len(topicRecords(t, cluster)); after >= before {
		t.Fatalf("compaction left %d of %d records", after, before)
	}
	_, base = open(t, cfg)
	if got := everything(t, base); got != want {
		t.Errorf("after compaction\n got %s\nwant %s", got, want)
	}
	converse(t, base,
		exchange{`PUT /mode {"mode":"READWRITE"}`, `{"mode":"READWRITE"}`},
		exchange{`POST /subjects/s/versions ` + post(`"bytes"`), `{"id":100004,"version":4}`},
	)
}

// TestTopicOfAnotherImplementation replays what Confluent's registry writes and
// this one never would, and what it cannot understand.
func TestTopicOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	schema := `{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`
	produce(t, cluster,
		`{"keytype":"CONFIG","subject":null,"magic":0}`, `{"subject":null,"compatibilityLevel":"NONE"}`,
		`{"keytype":"CONFIG","subject":"aliased","magic":0}`, `{"subject":"aliased","alias":"s"}`,
		schema, `{"subject":"s","version":1,"id":7,"md5":"q83v","schemaType":"AVRO","references":[],"metadata":{"tags":{"x":["PII"]}},"ruleSet":{"domainRules":[]},"schema":"\"long\"","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"proto","version":1,"magic":1}`, `{"subject":"proto","version":1,"id":200000,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";","deleted":false}`,
		`{"keytype":"SCHEMA","subject":"orphan","version":1,"magic":1}`, `{"subject":"orphan","version":1,"id":8,"references":[{"name":"a.R","subject":"nobody","version":1}],"schema":"{\"type\":\"array\",\"items\":\"a.R\"}","deleted":false}`,
		`{"keytype":"CONTEXT","tenant":"default","context":"c","magic":0}`, `{"tenant":"default","context":"c"}`,
		`{"keytype":"MODE","subject":"override","magic":0}`, `{"subject":"override","mode":"READONLY_OVERRIDE"}`,
		`{"keytype":"SCHEMA","subject":"","version":0,"magic":1}`, `{}`,
		`{"keytype":"SCHEMA","subject":"broken","version":1,"magic":1}`, `{"schema":`,
		`not JSON`, `not JSON`,
		`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}`, ``,
		`{"keytype":"CLEAR_SUBJECT","magic":0}`, ``,
	)
	before := topicRecords(t, cluster)
	_, base := open(t, registry.Config{Login: login(cluster)})
	converse(t, base, []exchange{
		{`GET /config`, `{"compatibilityLevel":"NONE"}`},
		{`GET /config/aliased`, `404 40408`},
		{`GET /subjects`, `["orphan","proto","s"]`},
		{`GET /subjects/s/versions/1`, `{"subject":"s","version":1,"id":7,"metadata":{"tags":{"x":["PII"]}},"ruleSet":{"domainRules":[]},"schema":"\"long\""}`},
		{`GET /schemas/ids/200000`, `{"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";"}`},
		{`GET /mode/override`, `{"mode":"READONLY_OVERRIDE"}`},
		{`POST /subjects/override/versions ` + post(one), `422 42205`},
		{`PUT /config/override {"compatibility":"NONE"}`, `422 42205`},
		{`POST /subjects/proto/versions ` + post(one), `{"id":200001,"version":2}`},
		{`POST /subjects/t/versions ` + post(`{"type":"long"}`), `{"id":7,"version":1}`},
		{`DELETE /subjects/s/versions/1`, `1`},
	}...)
	after := topicRecords(t, cluster)
	if len(after) < len(before) || !slices.Equal(after[:len(before)], before) {
		t.Errorf("records that were there have changed:\n%s", strings.Join(after, "\n"))
	}
	// Rewriting keeps what only the other implementation needs.
	want := schema + ` = {"subject":"s","version":1,"id":7,"md5":"q83v","schemaType":"AVRO","metadata":{"tags":{"x":["PII"]}},"ruleSet":{"domainRules":[]},"schema":"\"long\"","deleted":true}`
	if last := after[len(after)-1]; last != want {
		t.Errorf("soft deletion wrote\n%s\nwant\n%s", last, want)
	}
}

// TestAsThePhalanxUser has exactly the rights that the registry has at the
// observatory's sites (alert-stream-broker chart, user alert-schema-registry).
func TestAsThePhalanxUser(t *testing.T) {
	t.Parallel()
	acl := func(op kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: registry.DefaultTopic,
			Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true,
		}
	}
	cluster := startKafka(t, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser("SCRAM-SHA-512", "admin", "admin-password"),
		kfake.User("SCRAM-SHA-512", "alert-schema-registry", "registry-password",
			acl(kmsg.ACLOperationRead), acl(kmsg.ACLOperationWrite), acl(kmsg.ACLOperationDescribeConfigs),
			kfake.ACL{Resource: kmsg.ACLResourceTypeGroup, Name: "schema-registry", Pattern: kmsg.ACLResourcePatternTypePrefixed, Operation: kmsg.ACLOperationAll, Allow: true}),
		kfake.User("SCRAM-SHA-512", "nobody", "nobody-password"),
	)
	as := func(user, password string) registry.Config {
		return registry.Config{Login: kafka.Login{Bootstrap: cluster.ListenAddrs(), User: user, Password: password}}
	}
	for range 2 { // one leads, the other one passes on
		_, base := enter(t, as("alert-schema-registry", "registry-password"))
		converse(t, base, exchange{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`})
	}

	for _, cfg := range []registry.Config{as("nobody", "nobody-password"), as("alert-schema-registry", "wrong")} {
		r, err := registry.Open(testContext(t), cfg)
		var topic *registry.TopicError
		if !errors.As(err, &topic) {
			t.Errorf("user %s: got %v, want a TopicError", cfg.Login.User, err)
		}
		if r != nil {
			r.Close()
		}
	}
}

func TestATopicThatCannotHoldTheState(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	for name, partitions := range map[string]int32{"two-partitions": 2, "deleting": 1} {
		policy := map[string]string{"two-partitions": "compact", "deleting": "delete"}[name]
		if err := cluster.CreateTopic(name, partitions, map[string]string{"cleanup.policy": policy}); err != nil {
			t.Fatal(err)
		}
	}
	for topic, reason := range map[string]string{
		"two-partitions": "2 partitions",
		"deleting":       `cleanup.policy "delete"`,
		"missing":        "does not exist",
	} {
		_, err := registry.Open(testContext(t), registry.Config{Login: login(cluster), Topic: topic})
		var refused *registry.TopicError
		if !errors.As(err, &refused) || refused.Topic != topic || !strings.Contains(refused.Reason, reason) {
			t.Errorf("topic %s: got %v, want reason %q", topic, err, reason)
		}
		if topic == "missing" && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	some := kafka.Login{Bootstrap: []string{"127.0.0.1:1"}}
	for name, cfg := range map[string]registry.Config{
		"no bootstrap":   {},
		"bad first id":   {Login: some, FirstID: -1},
		"no such level":  {Login: some, Compatibility: "SOMETIMES"},
		"nobody listens": {Login: some},
	} {
		ctx, cancel := context.WithCancel(testContext(t))
		if name == "nobody listens" {
			cancel()
		}
		if r, err := registry.Open(ctx, cfg); err == nil {
			r.Close()
			t.Errorf("%s: no error", name)
		}
		cancel()
	}
}

func TestConfigured(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	if err := cluster.CreateTopic("elsewhere", 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	_, base := open(t, registry.Config{Login: login(cluster), Topic: "elsewhere", FirstID: 5, Compatibility: "none"})
	converse(t, base,
		exchange{`GET /config`, `{"compatibilityLevel":"NONE"}`},
		exchange{`POST /subjects/s/versions ` + post(one), `{"id":5,"version":1}`},
		exchange{`POST /subjects/s/versions ` + post(mustY), `{"id":6,"version":2}`},
	)
	if records := topicRecords(t, cluster); len(records) != 0 {
		t.Errorf("the default topic got %v", records)
	}
}

func TestAClosedRegistryRefusesWrites(t *testing.T) {
	t.Parallel()
	r, base := open(t, registry.Config{Login: login(startKafka(t))})
	r.Close()
	r.Close() // again, as a deferred call would
	converse(t, base,
		exchange{`GET /subjects`, `[]`},
		exchange{`POST /subjects/s/versions ` + post(one), `500 50001`},
	)
}

// TestConcurrentWritersAgree posts few schemas from many sides at once: equal
// content must end under one id and one version.
func TestConcurrentWritersAgree(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	schemas := []string{`"long"`, `"int"`, `"string"`, `"bytes"`}
	answers := make([][]string, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			for _, schema := range schemas {
				_, body, err := send(t, http.MethodPost, base+"/subjects/"+schema[1:2]+"/versions", post(schema))
				if err != nil {
					t.Error(err)
				}
				answers[i] = append(answers[i], body)
			}
		})
	}
	group.Wait()
	for _, got := range answers[1:] {
		if !slices.Equal(got, answers[0]) {
			t.Errorf("writers disagree: %v and %v", got, answers[0])
		}
	}
	for _, schema := range schemas {
		converse(t, base, exchange{`GET /subjects/` + schema[1:2] + `/versions`, `[1]`})
	}
}

// TestAWriteWaitsOutABrokersRestart posts while no broker is there.
func TestAWriteWaitsOutABrokersRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(opts ...kfake.Opt) *kfake.Cluster {
		cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.DataDir(dir))...)
		if err != nil {
			t.Fatal(err)
		}
		return cluster
	}
	first := start()
	if err := first.CreateTopic(registry.DefaultTopic, 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	_, portText, err := net.SplitHostPort(first.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	_, base := open(t, registry.Config{Login: login(first)})
	converse(t, base, exchange{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`})

	first.Close()
	answer := make(chan string, 1)
	go func() {
		_, body, err := send(t, http.MethodPost, base+"/subjects/s/versions", post(two))
		if err != nil {
			t.Error(err)
		}
		answer <- body
	}()
	// Reading needs no broker.
	converse(t, base, exchange{`GET /schemas/ids/100001/schema`, one})
	second := start(kfake.Ports(port))
	defer second.Close()
	if got, want := <-answer, `{"id":100002,"version":2}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	converse(t, base, exchange{`GET /subjects/s/versions`, `[1,2]`})
}
