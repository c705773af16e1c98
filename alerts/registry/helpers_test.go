package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/registry"
)

// testContext has a deadline that only a hanging test reaches.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// startKafka runs a broker with the registry's topic, as a site has it.
func startKafka(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	if err := cluster.CreateTopic(registry.DefaultTopic, 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	return cluster
}

func login(cluster *kfake.Cluster) kafka.Login {
	return kafka.Login{Bootstrap: cluster.ListenAddrs()}
}

// open starts a registry and its HTTP server and gives the server's URL.
func open(t testing.TB, cfg registry.Config) (*registry.Registry, string) {
	t.Helper()
	r, err := registry.Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	server := httptest.NewServer(r.Handler())
	t.Cleanup(server.Close)
	return r, server.URL
}

// openNew is a registry on a broker of its own.
func openNew(t testing.TB) string {
	t.Helper()
	_, url := open(t, registry.Config{Login: login(startKafka(t))})
	return url
}

// send makes a request and gives status and body, which must be of the
// registry's media type. Unlike call it may be used in any goroutine.
func send(t testing.TB, method, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(testContext(t), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if media := resp.Header.Get("Content-Type"); media != registry.ContentType {
		t.Errorf("%s %s: content type %q", method, url, media)
	}
	return resp.StatusCode, string(got), err
}

// call is send for the test's own goroutine.
func call(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	status, got, err := send(t, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, got
}

// exchange is a request and what must come back. A want that is not JSON, and
// any error, is given as "status code": messages are for people.
type exchange struct {
	Request string // METHOD path [body]
	Want    string
}

// converse runs exchanges in their order.
func converse(t *testing.T, base string, exchanges ...exchange) {
	t.Helper()
	for _, x := range exchanges {
		method, rest, _ := strings.Cut(x.Request, " ")
		path, body, _ := strings.Cut(rest, " ")
		status, got := call(t, method, base+path, body)
		if status != http.StatusOK {
			var failure struct {
				Code    int    `json:"error_code"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal([]byte(got), &failure); err != nil || failure.Message == "" {
				t.Errorf("%s\nis no error form: %s", x.Request, got)
			}
			got = fmt.Sprint(status, " ", failure.Code)
		}
		if got != x.Want {
			t.Errorf("%s\n got %s\nwant %s", x.Request, got, x.Want)
		}
	}
}

// post makes a request body that registers a schema.
func post(schema string, more ...string) string {
	text, err := json.Marshal(schema)
	if err != nil {
		panic(err)
	}
	return "{" + strings.Join(append([]string{`"schema":` + string(text)}, more...), ",") + "}"
}

// topicRecords reads the registry's topic as any consumer would, one
// "key = value" for each record.
func topicRecords(t testing.TB, cluster *kfake.Cluster) []string {
	t.Helper()
	var out []string
	for _, record := range rawRecords(t, cluster) {
		value := "(tombstone)"
		if record.Value != nil {
			value = string(record.Value)
		}
		out = append(out, string(record.Key)+" = "+value)
	}
	return out
}

// rawRecords gives everything in the registry's topic.
func rawRecords(t testing.TB, cluster *kfake.Cluster) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	client, err := kafka.NewClient(login(cluster), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		registry.DefaultTopic: {0: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, registry.DefaultTopic)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(registry.DefaultTopic, 0)
	var out []*kgo.Record
	for next := int64(0); next < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, record := range fetches.Records() {
			out = append(out, record)
			next = record.Offset + 1
		}
	}
	return out
}

// produce appends a raw record to the registry's topic, as another
// implementation would.
func produce(t testing.TB, cluster *kfake.Cluster, keysAndValues ...string) {
	t.Helper()
	client, err := kafka.NewClient(login(cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := 0; i < len(keysAndValues); i += 2 {
		record := &kgo.Record{Topic: registry.DefaultTopic, Key: []byte(keysAndValues[i])}
		if value := keysAndValues[i+1]; value != "" {
			record.Value = []byte(value)
		}
		if err := client.ProduceSync(testContext(t), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// alertSchema is a schema of an alert's size and shape, in the form in which the
// alert stream registers it: a record of nullable fields with nested records.
func alertSchema(major, minor, fields int) string {
	var b bytes.Buffer
	namespace := fmt.Sprintf("lsst.v%d_%d", major, minor)
	columns := func(prefix string, n int) {
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"name":"%s%d","type":["null","double"]}`, prefix, i)
		}
	}
	fmt.Fprintf(&b, `{"name":"%s.alert","type":"record","fields":[{"name":"diaSourceId","type":"long"},`, namespace)
	fmt.Fprintf(&b, `{"name":"diaSource","type":{"name":"%s.diaSource","type":"record","fields":[`, namespace)
	columns("flux", fields)
	fmt.Fprintf(&b, `]}},{"name":"prvDiaSources","type":["null",{"type":"array","items":"%s.diaSource"}]},`, namespace)
	fmt.Fprintf(&b, `{"name":"diaObject","type":["null",{"name":"%s.diaObject","type":"record","fields":[`, namespace)
	columns("band", fields)
	b.WriteString(`]}]},{"name":"cutoutDifference","type":["null","bytes"]}]}`)
	return b.String()
}

// alertEntries is what the alert stream registers: every schema version as a
// version of alert-packet and as the only one of its topic's subject.
func alertEntries() []registry.Entry {
	var entries []registry.Entry
	for _, v := range [][3]int{
		{3, 0, 300}, {4, 0, 390}, {5, 0, 395}, {6, 0, 130}, {6, 1, 131}, {7, 0, 150}, {7, 1, 149},
		{7, 2, 151}, {7, 3, 152}, {7, 4, 154}, {8, 0, 122}, {9, 0, 124}, {10, 0, 150}, {11, 0, 148},
	} {
		id, text := v[0]*100+v[1], alertSchema(v[0], v[1], v[2])
		entries = append(entries,
			registry.Entry{ID: id, Version: id, Schema: text, Subject: "alert-packet"},
			registry.Entry{ID: id, Version: 1, Schema: text, Subject: fmt.Sprintf("lsst-alerts-v%d.%d-value", v[0], v[1])},
		)
	}
	return entries
}
