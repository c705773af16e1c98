package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
)

// enter opens a registry that is a member of a group, and gives its address.
func enter(t testing.TB, cfg registry.Config) (*registry.Registry, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	cfg.Advertise = "http://" + server.Listener.Addr().String()
	r, err := registry.Open(testContext(t), cfg)
	if err != nil {
		server.Listener.Close()
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	server.Config.Handler = r.Handler()
	server.Start()
	t.Cleanup(server.Close)
	if err := r.WaitForLeader(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return r, cfg.Advertise
}

// withHeader appends a raw record that names a reign.
func withHeader(t testing.TB, cluster *kfake.Cluster, header, key, value string) {
	t.Helper()
	client, err := kafka.NewClient(login(cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := &kgo.Record{Topic: registry.DefaultTopic, Key: []byte(key), Headers: []kgo.RecordHeader{{Key: "alertlab-reign", Value: []byte(header)}}}
	if value != "" {
		record.Value = []byte(value)
	}
	if err := client.ProduceSync(testContext(t), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// until waits for what comes by itself, within the test's patience.
func until(t testing.TB, what string, yes func() bool) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s never came", what)
		case <-tick.C:
		}
	}
}

// TestOneLeads has two registries on one topic: either takes a write, one writes.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	first, base := enter(t, registry.Config{Login: login(cluster)})
	_, other := enter(t, registry.Config{Login: login(cluster)})
	for i, at := range []string{base, other, base, other} {
		converse(t, at, exchange{
			fmt.Sprintf(`POST /subjects/s%d/versions `, i) + post(fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i+1)),
			fmt.Sprintf(`{"id":%d,"version":1}`, 100001+i),
		})
	}
	converse(t, other,
		exchange{`PUT /config {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		exchange{`PUT /mode/s {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		exchange{`DELETE /mode/s`, `{"mode":"IMPORT"}`},
		exchange{`DELETE /config`, `{"compatibilityLevel":"NONE"}`},
		exchange{`DELETE /subjects/s0/versions/1`, `1`},
		exchange{`DELETE /subjects/s0?permanent=true`, `[1]`},
		// An error of the leader's is handed on as it is.
		exchange{`DELETE /subjects/nobody`, `404 40401`},
		exchange{`POST /subjects/s/versions {`, `400 400`},
	)

	// A request that was forwarded is not forwarded again.
	req, err := http.NewRequestWithContext(testContext(t), http.MethodDelete, other+"/subjects/s1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forward", "true")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("a forwarded request to a follower: %s", resp.Status)
	}

	// The leader goes, the other one goes on.
	first.Close()
	until(t, "another leader", func() bool {
		status, _ := call(t, http.MethodPost, other+"/subjects/s/versions", post(one))
		return status == http.StatusOK
	})
	converse(t, other, exchange{`GET /subjects/s/versions/1`, fmt.Sprintf(`{"subject":"s","version":1,"id":100005,"schema":%q}`, one)})
	// The one that is closed passes nothing on.
	converse(t, base, exchange{`POST /subjects/s/versions ` + post(two), `500 50001`})
}

// TestLateRecordsDoNotCount writes what a leader would that was frozen and goes on
// after another one took over: every kind of record.
func TestLateRecordsDoNotCount(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	_, base := enter(t, registry.Config{Login: login(cluster)})
	converse(t, base, []exchange{
		{`PUT /config/s {"compatibility":"NONE"}`, `{"compatibility":"NONE"}`},
		{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`},
		{`POST /subjects/s/versions ` + post(two), `{"id":100002,"version":2}`},
		{`POST /subjects/s/versions ` + post(mustY), `{"id":100003,"version":3}`},
		{`DELETE /subjects/s/versions/2`, `2`},
		{`POST /subjects/gone/versions ` + post(one), `{"id":100001,"version":1}`},
		{`DELETE /subjects/gone`, `[1]`},
		{`PUT /mode/import {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
	}...)
	want := everything(t, base)
	late := [][2]string{
		{`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"subject":"s","version":1,"id":100009,"schema":"\"long\"","deleted":false}`},
		{`{"keytype":"SCHEMA","subject":"s","version":3,"magic":1}`, ``},
		{`{"keytype":"SCHEMA","subject":"new","version":1,"magic":1}`, `{"subject":"new","version":1,"id":100010,"schema":"\"long\"","deleted":false}`},
		{`{"keytype":"CONFIG","subject":"s","magic":0}`, ``},
		{`{"keytype":"CONFIG","magic":0}`, `{"compatibilityLevel":"FULL"}`},
		{`{"keytype":"MODE","subject":"import","magic":0}`, `{"subject":"import","mode":"READWRITE"}`},
		{`{"keytype":"MODE","magic":0}`, `{"mode":"READONLY"}`},
		{`{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}`, `{"subject":"s","version":3}`},
		{`{"keytype":"CLEAR_SUBJECT","subject":"gone","magic":0}`, `{"subject":"gone"}`},
		{`{"keytype":"CLEAR_SUBJECT","magic":0}`, `{}`},
		{`{"keytype":"NOOP","magic":0}`, ``},
		{`{"keytype": "ODD"}`, `{}`},
	}
	for i, record := range late {
		withHeader(t, cluster, []string{"1 somebody", "nonsense"}[i%2], record[0], record[1])
	}
	// Each key is written again: the last record of none is the late one.
	spoilt := func() bool {
		last := make(map[string]string)
		for _, record := range topicRecords(t, cluster) {
			key, value, _ := strings.Cut(record, " = ")
			last[key] = strings.TrimPrefix(value, "(tombstone)")
		}
		return slices.ContainsFunc(late[:len(late)-2], func(record [2]string) bool { return last[record[0]] == record[1] })
	}
	until(t, "the records that mend the topic", func() bool { return !spoilt() })
	if got := everything(t, base); got != want {
		t.Errorf("late records counted\n got %s\nwant %s", got, want)
	}
	_, again := open(t, registry.Config{Login: login(cluster)})
	if got := everything(t, again); got != want {
		t.Errorf("a registry that reads the topic anew\n got %s\nwant %s", got, want)
	}
	cluster.Compact()
	_, compacted := open(t, registry.Config{Login: login(cluster)})
	if got := everything(t, compacted); got != want {
		t.Errorf("after compaction\n got %s\nwant %s", got, want)
	}
}

// TestTwoLeadersCannotCorrupt lets two registries believe that they lead, by
// giving them different groups: each takes the reign from the other while both
// are written to. What they answer must be in the topic, and all must agree.
func TestTwoLeadersCannotCorrupt(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	_, a := enter(t, registry.Config{Login: login(cluster), Group: "one", Compatibility: "none"})
	_, b := enter(t, registry.Config{Login: login(cluster), Group: "two", Compatibility: "none"})
	const each = 4
	var mu sync.Mutex
	ids := make(map[string]string) // schema, answer
	var group sync.WaitGroup
	for n, base := range []string{a, b} {
		group.Go(func() {
			for i := range each {
				schema := fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, 1+2*i+n)
				status, body, err := send(t, http.MethodPost, base+"/subjects/s/versions", post(schema))
				if err != nil {
					t.Error(err)
				}
				if status == http.StatusOK {
					mu.Lock()
					ids[schema] = body
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if len(ids) < each {
		t.Errorf("only %d of %d writes were taken", len(ids), 2*each)
	}
	seen := make(map[string]bool)
	for schema, answer := range ids {
		if seen[answer] {
			t.Errorf("two schemas got %s", answer)
		}
		seen[answer] = true
		var id, version int
		if _, err := fmt.Sscanf(answer, `{"id":%d,"version":%d}`, &id, &version); err != nil {
			t.Fatal(answer, err)
		}
		_, fresh := call(t, http.MethodGet, fmt.Sprintf("%s/subjects/s/versions/%d/schema", a, version), "")
		until(t, schema, func() bool {
			_, fresh = call(t, http.MethodGet, fmt.Sprintf("%s/subjects/s/versions/%d/schema", b, version), "")
			return fresh == schema
		})
	}
	_, c := open(t, registry.Config{Login: login(cluster), Compatibility: "none"})
	want := everything(t, c)
	for _, base := range []string{a, b} {
		until(t, "agreement", func() bool { return everything(t, base) == want })
	}
}

func TestAddressesThatNobodyCouldForwardTo(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"registry:8081", "ftp://registry:8081", "http://registry", "http://:8081", "http://registry:8081/path", "http://registry:0", "http://u:p@registry:1", "http://[::1"} {
		_, err := registry.Open(testContext(t), registry.Config{Login: kafka.Login{Bootstrap: []string{"127.0.0.1:1"}}, Advertise: address})
		if err == nil || !strings.Contains(err.Error(), "the address told to other registries") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestTheTopicIsMade begins where nothing is.
func TestTheTopicIsMade(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	var group sync.WaitGroup
	for range 2 { // at once, as replicas of a deployment
		group.Go(func() {
			r, err := registry.Open(testContext(t), registry.Config{Login: login(cluster), Create: true})
			if err != nil {
				t.Error(err)
				return
			}
			r.Close()
		})
	}
	group.Wait()
	info := cluster.TopicInfo(registry.DefaultTopic)
	if info == nil || len(cluster.PartitionInfos(registry.DefaultTopic)) != 1 || info.Configs["cleanup.policy"] == nil || *info.Configs["cleanup.policy"] != "compact" {
		t.Errorf("the topic is %+v", info)
	}
}

// TestReignsAfterCompaction compacts away the records that reigns began with, which
// have no values: who reads the topic then does not know of these reigns, and those
// that read it before must still believe whoever leads next.
func TestReignsAfterCompaction(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t)
	_, reader := open(t, registry.Config{Login: login(cluster)})
	for range 3 { // each leads for a while, and writes nothing
		r, _ := enter(t, registry.Config{Login: login(cluster)})
		until(t, "a reign", func() bool { return reigns(t, cluster) > 0 })
		r.Close()
	}
	for range 2 { // the last record is never compacted away
		open(t, registry.Config{Login: login(cluster)})
	}
	cluster.Compact()
	if n := reigns(t, cluster); n > 0 {
		t.Fatalf("%d records name a reign after compaction", n)
	}
	_, leader := enter(t, registry.Config{Login: login(cluster)})
	converse(t, leader, exchange{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`})
	until(t, "the schema", func() bool {
		status, _ := call(t, http.MethodGet, reader+"/subjects/s/versions/1", "")
		return status == http.StatusOK
	})
}

// reigns counts the records that name a reign.
func reigns(t testing.TB, cluster *kfake.Cluster) int {
	t.Helper()
	n := 0
	for _, record := range rawRecords(t, cluster) {
		if slices.ContainsFunc(record.Headers, func(h kgo.RecordHeader) bool { return h.Key == "alertlab-reign" }) {
			n++
		}
	}
	return n
}
