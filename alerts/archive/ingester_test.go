package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/alerts/registry"
)

func TestIngest(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"lsst-alerts-v7.4": 3, "lsst-alerts-v9.0": 1})
	const n = 100
	sent := map[int64][]byte{}
	for i := range int64(n) {
		id := 281323062375219200 + i
		sent[id] = wire(schemaID, id, noise(uint64(i), 1000))
		topic, partition := "lsst-alerts-v7.4", int32(i%4)
		if partition == 3 {
			topic, partition = "lsst-alerts-v9.0", 0
		}
		r.send(topic, partition, sent[id])
	}

	var mu sync.Mutex
	told := map[int64]int{}
	f := &faulty{Writer: r.objects}
	cfg := r.config("lsst-alerts-v7.4", "lsst-alerts-v9.0")
	cfg.Objects = f
	cfg.OnStored = func(s archive.Stored) {
		mu.Lock()
		defer mu.Unlock()
		told[s.ID]++
		if s.SchemaID != schemaID || s.WireBytes != len(sent[s.ID]) || s.ObjectBytes <= 0 {
			t.Errorf("told of %+v", s)
		}
	}
	in := run(t, cfg)
	s := in.until("all stored", func(s archive.Stats) bool { return s.Stored == n })
	if !s.Ready || s.DeadLetters != 0 || sent[s.LastStoredID] == nil {
		t.Errorf("statistics: %+v", s)
	}
	in.stop()

	for id, want := range sent {
		if got := r.alert(id); !bytes.Equal(got, want) {
			t.Errorf("alert %d: %d bytes, not the %d that were sent", id, len(got), len(want))
		}
		if told[id] != 1 {
			t.Errorf("told %d times of %d", told[id], id)
		}
	}
	schema, err := r.objects.Bytes(timeout(t), buckets.Schemas, "v2/schemas/704.json")
	must(t, err)
	if string(schema) != schemaText {
		t.Errorf("schema stored as %s", schema)
	}
	if first := f.order[0]; first != "v2/schemas/704.json" {
		t.Errorf("stored first: %s", first)
	}
	want := map[string]map[int32]int64{"lsst-alerts-v7.4": {0: 25, 1: 25, 2: 25}, "lsst-alerts-v9.0": {0: 25}}
	if got := r.committed(archive.DefaultGroup); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("committed %v, want %v", got, want)
	}
	if got := in.Stats().Committed; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statistics say committed %v, want %v", got, want)
	}
}

// TestPublishedSchemas: ids of both schema families, from synthetic visits.
func TestPublishedSchemas(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	sent := map[int64][]byte{}
	for n, text := range []string{"4.0", "7.4", "10.0"} {
		version, err := packet.ParseVersion(text)
		must(t, err)
		schema, err := packet.Published(version)
		must(t, err)
		r.registry.set(func(g *fakeRegistry) { g.schemas[schema.ID()] = schema.Canonical() })
		visit, err := packet.NewVisit(packet.VisitConfig{Schema: schema, Alerts: 5, Seed: 1, Visit: int64(n + 1), MidpointMjdTai: 60000})
		must(t, err)
		for i := range visit.Len() {
			body, err := visit.Body(i)
			must(t, err)
			head, err := schema.Head(body)
			must(t, err)
			sent[head.ID] = packet.Frame(uint32(schema.ID()), body)
			r.send("alerts", 0, sent[head.ID])
		}
	}
	in := run(t, r.config("alerts"))
	in.until("all stored", func(s archive.Stats) bool { return s.Stored == 15 })
	for id, want := range sent {
		if got := r.alert(id); !bytes.Equal(got, want) {
			t.Errorf("alert %d is not what was sent", id)
		}
	}
	for _, id := range []int64{400, 704, 1000} {
		if _, err := r.objects.Stat(timeout(t), buckets.Schemas, archive.SchemaKey(id)); err != nil {
			t.Error(err)
		}
	}
}

// TestLastVersionWins: versions of one id are published one after another, as
// the observatory's samples are, among other alerts and with many workers.
func TestLastVersionWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 2})
	const versions = 100
	for _, p := range []int32{0, 1} {
		var values [][]byte
		for v := range versions {
			// Sizes vary, so that a later version is often the quicker one.
			size := 10 + 20_000*((versions-v)%5)
			values = append(values, wire(schemaID, 1231321321+int64(p), noise(uint64(v), size)), wire(schemaID, int64(v), nil))
		}
		values = append(values, wire(schemaID, 1231321321+int64(p), []byte("the last")))
		r.send("alerts", p, values...)
	}
	in := run(t, r.config("alerts"))
	in.until("all stored", func(s archive.Stats) bool { return s.Stored == 2*(2*versions+1) })
	for id := int64(1231321321); id < 1231321323; id++ {
		if got, want := r.alert(id), wire(schemaID, id, []byte("the last")); !bytes.Equal(got, want) {
			t.Errorf("alert %d holds an earlier version of %d bytes", id, len(got))
		}
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	r.registry.set(func(g *fakeRegistry) { g.schemas[7] = `{"type": "record"}` })
	r.registry.set(func(g *fakeRegistry) { g.schemas[8] = `{"type": "record", "name": "x", "fields": []}` })
	whole := wire(schemaID, 1, nil)
	bad := []struct {
		value  []byte
		reason string
	}{
		{nil, "confluent wire format: 0 bytes, the header takes 5"},
		{[]byte{0, 0, 0, 1}, "confluent wire format: 4 bytes, the header takes 5"},
		{[]byte(`{"json": true}`), "0x7b"},
		{append([]byte{1}, whole[1:]...), "confluent wire format: first byte is 0x01, not 0x00"},
		{whole[:packet.HeaderSize], "avro datum, field alertId, byte 0: unexpected EOF"},
		{whole[:packet.HeaderSize+2], "avro datum, field diaSource.midpointMjdTai, byte 2: unexpected EOF"},
		{wire(404, 1, nil), "schema id unknown to the registry"},
		{wire(7, 1, nil), "schema 7"},
		{wire(8, 1, nil), "alertId"},
	}
	var values [][]byte
	for _, b := range bad {
		values = append(values, b.value)
	}
	r.send("alerts", 0, append(values, wire(schemaID, 77, []byte("good")))...)

	cfg := r.config("alerts")
	cfg.UnknownSchemaWait = 300 * time.Millisecond
	in := run(t, cfg)
	s := in.until("the good alert", func(s archive.Stats) bool { return s.Stored == 1 })
	if s.DeadLetters != int64(len(bad)) || !s.Ready {
		t.Errorf("statistics: %+v", s)
	}
	in.stop()
	for i, b := range bad {
		key := archive.DeadLetterKey("alerts", 0, int64(i))
		raw, err := r.objects.Bytes(timeout(t), buckets.Alerts, key+".bin")
		must(t, err)
		if !bytes.Equal(raw, b.value) {
			t.Errorf("dead letter %d holds % x, want % x", i, raw, b.value)
		}
		text, err := r.objects.Bytes(timeout(t), buckets.Alerts, key+".json")
		must(t, err)
		var letter archive.DeadLetter
		must(t, json.Unmarshal(text, &letter))
		if letter.Topic != "alerts" || letter.Partition != 0 || letter.Offset != int64(i) ||
			letter.Bytes != len(b.value) || letter.Reason == "" || !strings.Contains(letter.Reason, b.reason) ||
			(letter.SchemaID != nil) != (len(b.value) >= packet.HeaderSize && b.value[0] == 0) {
			t.Errorf("dead letter %d: %s", i, text)
		}
	}
	if got := r.committed(archive.DefaultGroup)["alerts"][0]; got != int64(len(values)+1) {
		t.Errorf("committed %d, want %d", got, len(values)+1)
	}
}

// TestDeadLetterThatCannotBeWritten: the partition waits, nothing after the
// message is committed.
func TestDeadLetterThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	f := &faulty{Writer: r.objects}
	f.set(func(key string) bool {
		return strings.HasSuffix(key, ".json") && strings.HasPrefix(key, archive.DeadLetterPrefix)
	})
	r.send("alerts", 0, wire(schemaID, 1, nil), []byte("bad"), wire(schemaID, 2, nil))
	cfg := r.config("alerts")
	cfg.Objects = f
	in := run(t, cfg)
	s := in.until("trouble", func(s archive.Stats) bool { return s.Waiting == 1 && s.Committed["alerts"][0] == 1 })
	if s.Ready || !errors.Is(s.LastError, errRefused) || s.DeadLetters != 0 {
		t.Errorf("statistics: %+v", s)
	}
	in.stop()
	if got := r.committed(archive.DefaultGroup)["alerts"][0]; got != 1 {
		t.Errorf("committed %d, want 1", got)
	}

	f.set(nil)
	in = run(t, cfg)
	in.until("recovery", func(s archive.Stats) bool { return s.Committed["alerts"][0] == 3 })
	if s := in.Stats(); !s.Ready || s.DeadLetters != 1 || s.Stored != 1 {
		t.Errorf("statistics: %+v", s)
	}
}

// TestStoreOutage: the store process is killed and comes back.
func TestStoreOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 2})
	cfg := r.config("alerts")
	cfg.MaxInFlight = 1 << 20
	in := run(t, cfg)
	r.send("alerts", 0, wire(schemaID, 1, nil))
	in.until("the first alert", func(s archive.Stats) bool { return s.Stored == 1 })

	store, err := os.FindProcess(r.child.PID())
	must(t, err)
	must(t, store.Kill())
	<-r.child.Done()
	const n = 300
	for i := range int64(n) {
		r.send("alerts", int32(i%2), wire(schemaID, 100+i, noise(uint64(i), 10_000)))
	}
	s := in.until("trouble", func(s archive.Stats) bool { return s.Waiting > 0 && s.InFlightBytes >= 1<<18 })
	if s.Ready || s.LastError == nil {
		t.Errorf("statistics during the outage: %+v", s)
	}
	// One poll of 32 records may overshoot.
	if limit := int64(1<<20 + 32*(10_000+1000)); s.InFlightBytes > limit {
		t.Errorf("%d bytes in flight, limit %d", s.InFlightBytes, limit)
	}
	r.startStore()
	in.until("recovery", func(s archive.Stats) bool { return s.Stored == n+1 && s.Ready })
	in.stop()
	if got, want := fmt.Sprint(r.committed(archive.DefaultGroup)["alerts"]), "map[0:151 1:150]"; got != want {
		t.Errorf("committed %s, want %s", got, want)
	}
	if s := in.Stats(); s.InFlightBytes != 0 {
		t.Errorf("%d bytes in flight after the end", s.InFlightBytes)
	}
}

// TestStoreThatFails: a store that answers 5xx, 429, with a refusal, or breaks off, is
// asked again until it takes the alert; everything is stored once and committed.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	target, err := url.Parse(r.child.Endpoint())
	must(t, err)
	pass := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // it is signed
	}}
	const cut = 0
	failures := []int{500, 502, 503, 504, 429, 403, cut}
	var mu sync.Mutex
	var asked = map[string]int{} // by path
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		n := asked[req.URL.Path]
		asked[req.URL.Path]++
		mu.Unlock()
		// Each alert meets one of the failures, once.
		if strings.Contains(req.URL.Path, "/v2/alerts/") && n == 0 {
			id, _ := strconv.Atoi(strings.TrimSuffix(path.Base(req.URL.Path), ".avro.gz"))
			status := failures[id]
			if status == cut {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.Copy(io.Discard, req.Body)
			w.WriteHeader(status)
			return
		}
		pass.ServeHTTP(w, req)
	}))
	defer failing.Close()
	objects := objectstore.NewClient(objectstore.ClientConfig{Endpoint: failing.URL, AccessKey: accessKey, SecretKey: secretKey})
	defer objects.Close()
	cfg := r.config("alerts")
	cfg.Objects = objects
	var values [][]byte
	for id := range int64(len(failures)) {
		values = append(values, wire(schemaID, id, noise(uint64(id), 1000)))
	}
	r.send("alerts", 0, values...)
	in := run(t, cfg)
	n := int64(len(failures))
	s := in.until("all stored", func(s archive.Stats) bool { return s.Stored == n && s.Committed["alerts"][0] == n })
	if s.Retries["store alert"] != n || s.DeadLetters != 0 || s.LastError == nil {
		t.Errorf("statistics: %+v", s)
	}
	for id, want := range values {
		if !bytes.Equal(r.alert(int64(id)), want) {
			t.Errorf("alert %d is not what was sent", id)
		}
	}
}

// TestRegistryOutage: one partition waits for a schema, the other goes on.
func TestRegistryOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 2})
	cfg := r.config("alerts")
	cfg.MaxInFlight = 256 << 10
	in := run(t, cfg)
	r.send("alerts", 0, wire(schemaID, 1, nil))
	in.until("the first alert", func(s archive.Stats) bool { return s.Stored == 1 })

	r.registry.set(func(g *fakeRegistry) { g.down = true; g.schemas[900] = schemaText })
	for i := range int64(50) {
		r.send("alerts", 1, wire(900, 1000+i, noise(uint64(i), 10_000)))
	}
	in.until("trouble", func(s archive.Stats) bool { return s.Waiting == 1 })
	for i := range int64(100) {
		r.send("alerts", 0, wire(schemaID, 2000+i, noise(uint64(i), 10_000)))
	}
	s := in.until("the other partition", func(s archive.Stats) bool { return s.Stored == 101 })
	if s.Ready || s.LastError == nil {
		t.Errorf("statistics during the outage: %+v", s)
	}
	r.registry.set(func(g *fakeRegistry) { g.down = false })
	in.until("recovery", func(s archive.Stats) bool { return s.Stored == 151 && s.Ready })
}

// TestSchemaComesLate: the registry is empty while schemas are synchronised.
func TestSchemaComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	r.send("alerts", 0, wire(900, 1, nil), wire(900, 2, nil))
	in := run(t, r.config("alerts"))
	in.until("a second question", func(s archive.Stats) bool {
		r.registry.mu.Lock()
		defer r.registry.mu.Unlock()
		return r.registry.asked >= 2
	})
	if s := in.Stats(); !errors.Is(s.LastError, archive.ErrUnknownSchema) || s.Ready {
		t.Errorf("statistics: %+v", s)
	}
	r.registry.set(func(g *fakeRegistry) { g.schemas[900] = schemaText })
	s := in.until("both alerts", func(s archive.Stats) bool { return s.Stored == 2 })
	if s.DeadLetters != 0 {
		t.Errorf("%d dead letters", s.DeadLetters)
	}
}

// TestDrain: when Run ends, what is being stored is finished and committed,
// and nothing else is.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 1})
	var values [][]byte
	for i := range int64(200) {
		values = append(values, wire(schemaID, i, nil))
	}
	r.send("alerts", 0, values...)
	gate := make(chan struct{})
	blocked := make(chan struct{}, 1000)
	f := &faulty{Writer: r.objects}
	f.set(func(key string) bool {
		if strings.HasPrefix(key, "v2/alerts/") {
			blocked <- struct{}{}
			<-gate
		}
		return false
	})
	cfg := r.config("alerts")
	cfg.Objects, cfg.Workers, cfg.CommitInterval = f, 8, time.Hour
	in := run(t, cfg)
	for range 8 {
		<-blocked
	}
	in.cancel()
	close(gate)
	in.stop()
	stored := in.Stats().Stored
	committed := max(r.committed(archive.DefaultGroup)["alerts"][0], 0)
	// The first record is among those that were being stored, and nothing but the
	// end can have committed it.
	if stored < 8 || committed > stored || committed < 1 {
		t.Errorf("%d stored, committed up to %d", stored, committed)
	}
	r.checkCommitted(map[int32][]int64{0: idsOf(200)})
}

func idsOf(n int64) (ids []int64) {
	for i := range n {
		ids = append(ids, i)
	}
	return ids
}

// TestRebalance: a second ingester comes and goes while alerts flow.
func TestRebalance(t *testing.T) {
	t.Parallel()
	const partitions, perPartition = 6, 150
	r := newRig(t, map[string]int32{"alerts": partitions})
	first := run(t, r.config("alerts"))
	ids := map[int32][]int64{}
	send := func(from, to int64) {
		for p := range int32(partitions) {
			var values [][]byte
			for i := from; i < to; i++ {
				id := int64(p)*1_000_000 + i
				ids[p] = append(ids[p], id)
				values = append(values, wire(schemaID, id, noise(uint64(id), 500)))
			}
			r.send("alerts", p, values...)
		}
	}
	send(0, 50)
	second := run(t, r.config("alerts"))
	second.until("a share of the partitions", func(s archive.Stats) bool { return s.Ready })
	send(50, 100)
	second.until("alerts of its own", func(s archive.Stats) bool { return s.Stored > 0 })
	second.stop()
	send(100, perPartition)
	eventually(t, func() bool {
		for p := range int32(partitions) {
			if r.committed(archive.DefaultGroup)["alerts"][p] != perPartition {
				return false
			}
		}
		return true
	}, func() string {
		return fmt.Sprintf("everything committed; last seen %v, %+v", r.committed(archive.DefaultGroup), first.Stats())
	})
	first.stop()
	r.checkCommitted(ids)
}

// TestLagAfterRebalance: what another ingester has committed in the meantime counts
// when a partition comes back.
func TestLagAfterRebalance(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 2})
	first := run(t, r.config("alerts"))
	send := func(id int64) {
		for p := range int32(2) {
			r.send("alerts", p, wire(schemaID, id+int64(p), nil))
		}
	}
	all := func(s archive.Stats, want int64) bool {
		return s.Committed["alerts"][0] == want && s.Committed["alerts"][1] == want
	}
	send(10)
	first.until("the first alerts committed", func(s archive.Stats) bool { return all(s, 1) })
	second := run(t, r.config("alerts"))
	second.until("a share of the partitions", func(s archive.Stats) bool { return s.Ready })
	send(20)
	second.until("an alert of its own", func(s archive.Stats) bool { return s.Stored == 1 })
	second.stop()
	var lag map[string]map[int32]int64
	eventually(t, func() bool {
		var err error
		lag, err = first.Lag(timeout(t))
		must(t, err)
		return len(lag["alerts"]) == 2 && lag["alerts"][0]+lag["alerts"][1] == 0
	}, func() string { return fmt.Sprintf("no lag; last seen %v, %+v", lag, first.Stats()) })
	if s := first.Stats(); !all(s, 2) {
		t.Errorf("committed: %v", s.Committed)
	}
}

// checkCommitted checks that each alert before the committed offset of its
// partition has its object; ids are in offset order.
func (r *rig) checkCommitted(ids map[int32][]int64) {
	r.t.Helper()
	have := map[string]bool{}
	for o, err := range r.objects.List(timeout(r.t), buckets.Alerts, "v2/alerts/") {
		must(r.t, err)
		have[o.Key] = true
	}
	for p, at := range r.committed(archive.DefaultGroup)["alerts"] {
		for offset := range max(at, 0) {
			if key := archive.AlertKey(ids[p][offset]); !have[key] {
				r.t.Errorf("partition %d is committed up to %d, but offset %d has no object", p, at, offset)
			}
		}
	}
}

func TestRegistrySource(t *testing.T) {
	t.Parallel()
	g := newRegistry(t)
	source, err := registry.NewClient(g.URL)
	must(t, err)
	if text, err := source.SchemaByID(timeout(t), schemaID); err != nil || text != schemaText {
		t.Errorf("known id: %q, %v", text, err)
	}
	if _, err := source.SchemaByID(timeout(t), 1); !errors.Is(err, archive.ErrUnknownSchema) {
		t.Errorf("unknown id: %v", err)
	}
	// Neither a proxy's 404 nor an outage says that there is no such schema.
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	source, err = registry.NewClient(proxy.URL)
	must(t, err)
	if _, err := source.SchemaByID(timeout(t), 1); err == nil || errors.Is(err, archive.ErrUnknownSchema) {
		t.Errorf("someone else's 404: %v", err)
	}
	proxy.Close()
	if _, err := source.SchemaByID(timeout(t), 1); err == nil || errors.Is(err, archive.ErrUnknownSchema) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestTopicComesLate: the ingester may be up before its topics are.
func TestTopicComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"other": 1})
	in := run(t, r.config("other", "alerts"))
	in.until("membership", func(s archive.Stats) bool { return s.Ready })
	_, err := kadm.NewClient(r.produce).CreateTopic(timeout(t), 1, 1, nil, "alerts")
	must(t, err)
	r.send("alerts", 0, wire(schemaID, 1, nil))
	in.until("the alert", func(s archive.Stats) bool { return s.Stored == 1 })
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	good := archive.IngesterConfig{
		Topics: []string{"t"}, Objects: &faulty{}, Buckets: buckets, Schemas: &registry.Client{},
	}
	if _, err := archive.NewIngester(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*archive.IngesterConfig){
		"no topics":  func(c *archive.IngesterConfig) { c.Topics = nil },
		"no store":   func(c *archive.IngesterConfig) { c.Objects = nil },
		"no bucket":  func(c *archive.IngesterConfig) { c.Buckets.Schemas = "" },
		"gzip level": func(c *archive.IngesterConfig) { c.GzipLevel = 12 },
	} {
		cfg := good
		change(&cfg)
		if _, err := archive.NewIngester(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	in, err := archive.NewIngester(good)
	must(t, err)
	if err := in.Run(context.Background()); err == nil {
		t.Error("runs without a bootstrap address")
	}
	if err := in.Run(context.Background()); err == nil || !slices.Contains(strings.Fields(err.Error()), "twice") {
		t.Errorf("second Run: %v", err)
	}
}

// A bucket that is missing is warned of once, however many partitions wait for it.
func TestMissingBucketIsSaidOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 8})
	cfg := r.config("alerts")
	cfg.Buckets = archive.Buckets{Alerts: "nowhere", Schemas: "nowhere"}
	var mu sync.Mutex
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))
	in := run(t, cfg)
	for i := range int32(8) {
		r.send("alerts", i, wire(schemaID, int64(100+i), nil))
	}
	in.until("all partitions to wait", func(s archive.Stats) bool { return s.Waiting == 8 })
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "no such bucket"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
