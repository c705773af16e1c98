package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/kafka"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

const (
	serverArg   = "serve-as-child"
	ingesterArg = "ingest-as-child"
	accessKey   = "test-access"
	secretKey   = "test-secret"
	schemaID    = 704
)

var buckets = archive.Buckets{Alerts: "alerts", Schemas: "schema"}

// TestMain lets this binary play the object store, and an ingester that the
// crash test can kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		var role func(context.Context) error
		switch os.Args[1] {
		case serverArg:
			role = func(ctx context.Context) error { return gateway.ServeMain(ctx, os.Stdin, os.Stdout) }
		case ingesterArg:
			role = ingestAsChild
		}
		if role != nil {
			if err := role(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// schemaText is a small alert schema with a payload. Its spacing is not
// canonical, so that storing it unchanged shows.
const schemaText = `{"type": "record", "name": "alert", "namespace": "lsst.v7_4", "fields": [
 {"name": "alertId", "type": "long"},
 {"name": "diaSource", "type": {"type": "record", "name": "diaSource", "fields": [{"name": "midpointMjdTai", "type": "double"}]}},
 {"name": "cutout", "type": "bytes"}]}`

// wire is a Kafka value in schemaText.
func wire(schema uint32, id int64, payload []byte) []byte {
	body := binary.AppendVarint(nil, id)
	body = binary.LittleEndian.AppendUint64(body, math.Float64bits(60000))
	body = binary.AppendVarint(body, int64(len(payload)))
	return packet.Frame(schema, append(body, payload...))
}

// noise is what cutout images look like to a compressor.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	_, _ = rand.NewChaCha8(s).Read(b)
	return b
}

// rig is real peers: brokers, an object store process and a registry.
type rig struct {
	t        testing.TB
	brokers  *kfake.Cluster
	login    kafka.Login
	server   objectstore.Config
	child    *objectstore.Child
	objects  *objectstore.Client
	registry *fakeRegistry
	produce  *kgo.Client
}

func newRig(t testing.TB, topics map[string]int32, opts ...kfake.Opt) *rig {
	t.Helper()
	opts = append([]kfake.Opt{kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)
	for topic, partitions := range topics {
		opts = append(opts, kfake.SeedTopics(partitions, topic))
	}
	brokers, err := kfake.NewCluster(opts...)
	must(t, err)
	t.Cleanup(brokers.Close)
	r := &rig{
		t: t, brokers: brokers, login: kafka.Login{Bootstrap: brokers.ListenAddrs()}, registry: newRegistry(t),
		server: objectstore.Config{
			Args: []string{serverArg}, Root: t.TempDir(), Address: "127.0.0.1:0", AccessKey: accessKey, SecretKey: secretKey,
		},
	}
	r.startStore()
	t.Cleanup(r.stopStore)
	r.objects = store(r.child.Endpoint())
	t.Cleanup(r.objects.Close)
	must(t, r.objects.EnsureBucket(timeout(t), buckets.Alerts))
	must(t, r.objects.EnsureBucket(timeout(t), buckets.Schemas))
	r.produce, err = kafka.NewClient(r.login, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(t, err)
	t.Cleanup(r.produce.Close)
	return r
}

// startStore starts the object store, the second time where it was before.
func (r *rig) startStore() {
	r.t.Helper()
	child, err := objectstore.StartChild(timeout(r.t), r.server)
	must(r.t, err)
	r.child, r.server.Address = child, child.Address()
}

func (r *rig) stopStore() {
	r.t.Helper()
	must(r.t, r.child.Stop(timeout(r.t)))
}

func store(endpoint string) *objectstore.Client {
	// As a lab asks its store.
	return objectstore.NewClient(objectstore.ClientConfig{Endpoint: endpoint, AccessKey: accessKey, SecretKey: secretKey, Checksum: true})
}

func (r *rig) config(topics ...string) archive.IngesterConfig {
	schemas, err := registry.NewClient(r.registry.URL)
	must(r.t, err)
	return archive.IngesterConfig{
		Login: r.login, Topics: topics, Objects: r.objects, Buckets: buckets, Schemas: schemas,
		CommitInterval: 50 * time.Millisecond,
		// A member learns of a rebalance with its next heartbeat.
		KafkaOptions: []kgo.Opt{kgo.HeartbeatInterval(100 * time.Millisecond)},
	}
}

// send produces values to one partition, in this order.
func (r *rig) send(topic string, partition int32, values ...[]byte) {
	r.t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: v}
	}
	must(r.t, r.produce.ProduceSync(timeout(r.t), records...).FirstErr())
}

// running is an ingester at work.
type running struct {
	*archive.Ingester
	t      testing.TB
	cancel context.CancelFunc
	done   chan error
	once   sync.Once
}

func run(t testing.TB, cfg archive.IngesterConfig) *running {
	t.Helper()
	in, err := archive.NewIngester(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Ingester: in, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- in.Run(ctx) }()
	t.Cleanup(r.stop)
	return r
}

// stop ends the ingester and waits until it has drained.
func (r *running) stop() {
	r.once.Do(func() {
		r.cancel()
		select {
		case err := <-r.done:
			if err != nil {
				r.t.Errorf("Run: %v", err)
			}
		case <-timeout(r.t).Done():
			r.t.Errorf("Run did not end")
		}
	})
}

// until waits until the statistics are as wanted.
func (r *running) until(what string, ok func(archive.Stats) bool) archive.Stats {
	r.t.Helper()
	var s archive.Stats
	eventually(r.t, func() bool { s = r.Stats(); return ok(s) }, func() string {
		return fmt.Sprintf("%s; last seen: %+v", what, s)
	})
	return s
}

func eventually(t testing.TB, ok func() bool, what func() string) {
	t.Helper()
	ctx := timeout(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never came: %s", what())
		case <-tick.C:
		}
	}
}

// committed asks the brokers, not the ingester.
func (r *rig) committed(group string) map[string]map[int32]int64 {
	r.t.Helper()
	offsets, err := kadm.NewClient(r.produce).FetchOffsets(timeout(r.t), group)
	must(r.t, err)
	m := map[string]map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) {
		must(r.t, o.Err)
		if m[o.Topic] == nil {
			m[o.Topic] = map[int32]int64{}
		}
		m[o.Topic][o.Partition] = o.At
	})
	return m
}

func (r *rig) alert(id int64) []byte {
	r.t.Helper()
	b, err := r.objects.Bytes(timeout(r.t), buckets.Alerts, archive.AlertKey(id))
	must(r.t, err)
	return gunzip(r.t, b)
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	out, err := io.ReadAll(z)
	must(t, err)
	return out
}

// fakeRegistry is a small schema registry whose content and health a test sets.
type fakeRegistry struct {
	*httptest.Server
	mu      sync.Mutex
	schemas map[int]string
	down    bool
	asked   int
}

func newRegistry(t testing.TB) *fakeRegistry {
	r := &fakeRegistry{schemas: map[int]string{schemaID: schemaText}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *fakeRegistry) set(change func(*fakeRegistry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *fakeRegistry) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	id, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/schemas/ids/"))
	text, known := r.schemas[id]
	switch {
	case r.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case err != nil || !known:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error_code":40403,"message":"Schema not found"}`)
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"schema": text})
	}
}

var errRefused = errors.New("refused by the test")

// faulty is an object store that a test can make fail.
type faulty struct {
	archive.Writer
	mu     sync.Mutex
	refuse func(key string) bool
	order  []string // of keys whose Put succeeded
}

func (f *faulty) set(refuse func(key string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

func (f *faulty) Put(ctx context.Context, bucket, key string, body []byte) error {
	f.mu.Lock()
	refuse := f.refuse
	f.mu.Unlock()
	if refuse != nil && refuse(key) {
		return errRefused
	}
	err := f.Writer.Put(ctx, bucket, key, body)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.order = append(f.order, key)
	}
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
