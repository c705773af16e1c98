package smoke

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/alerts/packet"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fakeRegistry answers as a Confluent registry with one schema a version,
// and lets itself be written to.
type fakeRegistry struct {
	mu       sync.Mutex
	subjects map[string]map[int]registered // subject, version
	// unknown is the answer to ids that are not there.
	unknown func(http.ResponseWriter)
}

func newFakeRegistry() *fakeRegistry {
	return &fakeRegistry{subjects: map[string]map[int]registered{}, unknown: func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code":40403,"message":"Schema not found"}`)
	}}
}

func (f *fakeRegistry) add(subject string, version, id int, schema string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subjects[subject] == nil {
		f.subjects[subject] = map[int]registered{}
	}
	f.subjects[subject][version] = registered{Subject: subject, Version: version, ID: id, Schema: schema}
}

// fill adds published versions in both places.
func (f *fakeRegistry) fill(t *testing.T, versions ...string) {
	t.Helper()
	for _, text := range versions {
		v, err := packet.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := packet.Published(v)
		if err != nil {
			t.Fatal(err)
		}
		f.add("alert-packet", v.ID(), v.ID(), s.Canonical())
		f.add("lsst-alerts-v"+text+"-value", 1, v.ID(), s.Canonical())
	}
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	answer := func(v any) { json.NewEncoder(w).Encode(v) }
	switch {
	case r.Method == http.MethodPost && part[0] == "subjects" && len(part) == 3:
		f.subjects[part[1]] = map[int]registered{1: {Subject: part[1], Version: 1, ID: 100001}}
		answer(map[string]int{"id": 100001})
	case r.Method == http.MethodDelete && part[0] == "subjects":
		delete(f.subjects, part[1])
		answer([]int{1})
	case r.Method != http.MethodGet:
		answer(map[string]string{})
	case r.URL.Path == "/config":
		answer(map[string]string{"compatibilityLevel": "NONE"})
	case r.URL.Path == "/subjects":
		answer(slices.Sorted(maps.Keys(f.subjects)))
	case part[0] == "subjects" && f.subjects[part[1]] == nil:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code":40401,"message":"Subject not found"}`)
	case part[0] == "subjects" && len(part) == 3:
		answer(slices.Sorted(maps.Keys(f.subjects[part[1]])))
	case part[0] == "subjects" && part[3] == "latest":
		answer(f.subjects[part[1]][slices.Max(slices.Collect(maps.Keys(f.subjects[part[1]])))])
	case part[0] == "subjects":
		version, _ := strconv.Atoi(part[3])
		answer(f.subjects[part[1]][version])
	case part[0] == "schemas":
		id, _ := strconv.Atoi(part[2])
		for _, versions := range f.subjects {
			for _, s := range versions {
				if s.ID == id {
					answer(map[string]string{"schema": s.Schema})
					return
				}
			}
		}
		f.unknown(w)
	default:
		http.NotFound(w, r)
	}
}

// serve gives the address of a handler.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func readOnly(t *testing.T, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, front.ReadOnly(u))
}

func withRegistry(o Options, address string, versions ...string) Options {
	o.Endpoints.Registry = endpoints.Registry{URL: address, Subject: "alert-packet", Versions: versions}
	return o
}

func TestRegistryReadOnly(t *testing.T) {
	t.Parallel()
	reg := newFakeRegistry()
	reg.fill(t, "7.4", "11.0")
	behind := serve(t, reg)
	wantPassed(t, check(t, withRegistry(card(), readOnly(t, behind)), "registry-read-only"),
		"3 subjects", "versions 704 1100", "8 writes by POST, PUT, DELETE and PATCH refused (8 with 403)", "nothing changed")

	// No front at all: everything gets through, and is taken back.
	r := check(t, withRegistry(card(), behind), "registry-read-only")
	wantFailed(t, r, "403 or 405 for every write", "POST /subjects/alertlab-smoke-", "PUT /config/", "DELETE /subjects/", "PATCH /subjects/", "gave 200 OK")
	if got := len(reg.subjects); got != 3 {
		t.Errorf("%d subjects are left, want 3", got)
	}

	// One method is forgotten.
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		leaky := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != method {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			reg.ServeHTTP(w, r)
		}))
		o := withRegistry(card(), leaky)
		o.Endpoints.Registry.AdminURL = behind // what came through is taken back there
		r := check(t, o, "registry-read-only")
		wantFailed(t, r, method+" /", "gave 200 OK")
		if n := strings.Count(r.Seen, "gave"); n > 3 {
			t.Errorf("%s: %d writes were let through: %s", method, n, r.Seen)
		}
	}

	// A refusal is 403 or 405, not a redirection, an authentication or a failure.
	for _, status := range []int{http.StatusOK, http.StatusFound, http.StatusUnauthorized, http.StatusNotFound, http.StatusBadGateway} {
		odd := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				w.Header().Set("Location", "/subjects")
				w.WriteHeader(status)
				return
			}
			reg.ServeHTTP(w, r)
		}))
		wantFailed(t, check(t, withRegistry(card(), odd), "registry-read-only"), fmt.Sprintf("gave %d", status))
	}

	// It says 403 and does it all the same.
	liar := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			if r.Method == http.MethodPost {
				reg.add("added", 1, 100002, "")
			}
			w.WriteHeader(http.StatusForbidden)
			return
		}
		reg.ServeHTTP(w, r)
	}))
	wantFailed(t, check(t, withRegistry(card(), liar), "registry-read-only"), "to be the same", "before: 3 subjects", "after: 4 subjects")

	wantFailed(t, check(t, withRegistry(card(), serve(t, http.NotFoundHandler())), "registry-read-only"), "to answer GET", "404")
	wantFailed(t, check(t, withRegistry(card(), "http://"+closedAddress(t)), "registry-read-only"), "to answer GET", "connection refused")
}

func TestSchemaVersions(t *testing.T) {
	t.Parallel()
	published := func(text string) string {
		v, err := packet.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := packet.Published(v)
		if err != nil {
			t.Fatal(err)
		}
		return s.Canonical()
	}
	for name, c := range map[string]struct {
		change func(*fakeRegistry)
		words  []string
	}{
		"all there": {func(*fakeRegistry) {}, nil},
		"in another version of the subject": {func(f *fakeRegistry) {
			delete(f.subjects["alert-packet"], 704)
			f.add("alert-packet", 1, 704, published("7.4"))
		}, nil},
		"written otherwise": {func(f *fakeRegistry) {
			var tree any
			if err := json.Unmarshal([]byte(published("7.4")), &tree); err != nil {
				t.Fatal(err)
			}
			spread, _ := json.MarshalIndent(tree, "", "  ")
			f.add("alert-packet", 704, 704, string(spread))
		}, nil},
		"missing": {func(f *fakeRegistry) { delete(f.subjects["alert-packet"], 704) },
			[]string{"alert-packet has no id 704 (version 7.4)"}},
		"under a counted id": {func(f *fakeRegistry) { f.add("alert-packet", 704, 4, published("7.4")) },
			[]string{"alert-packet has no id 704"}},
		"no subject of its own": {func(f *fakeRegistry) { delete(f.subjects, "lsst-alerts-v11.0-value") },
			[]string{"no subject lsst-alerts-v11.0-value"}},
		"own subject has another id": {func(f *fakeRegistry) { f.add("lsst-alerts-v7.4-value", 1, 100001, published("7.4")) },
			[]string{"lsst-alerts-v7.4-value has id 100001, not 704"}},
		"ids swapped": {func(f *fakeRegistry) {
			f.add("alert-packet", 704, 704, published("11.0"))
			f.add("alert-packet", 1100, 1100, published("7.4"))
		}, []string{"alert-packet id 704: the schema there is of version 11.0, not 7.4", "id 1100"}},
		"another schema of this name": {func(f *fakeRegistry) {
			f.add("alert-packet", 704, 704, strings.Replace(published("7.4"), `"psfFlux"`, `"fluxPsf"`, 1))
		}, []string{"alert-packet id 704: the schema there is not the published 7.4"}},
		"no schema": {func(f *fakeRegistry) { f.add("lsst-alerts-v7.4-value", 1, 704, `{`) },
			[]string{"lsst-alerts-v7.4-value: avro schema"}},
		"empty": {func(f *fakeRegistry) { clear(f.subjects) },
			[]string{"alert-packet to hold every schema version", "40401"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := newFakeRegistry()
			reg.fill(t, "7.4", "10.0", "11.0")
			c.change(reg)
			r := check(t, withRegistry(card(), serve(t, reg), "7.4", "10.0", "11.0"), "schema-versions")
			if c.words == nil {
				wantPassed(t, r, "3 versions, ids 704 to 1100")
				return
			}
			wantFailed(t, r, c.words...)
			if r.Next != "alertlab up" {
				t.Errorf("next %q", r.Next)
			}
		})
	}

	r := check(t, withRegistry(card(), "http://nobody.invalid"), "schema-versions")
	if r.Status != Skipped || r.Reason != "the card lists no schema versions" {
		t.Errorf("%+v", r)
	}
}

// fakeAlertDB answers as the alert database does.
type fakeAlertDB struct {
	mu      sync.Mutex
	alerts  map[string][]byte // as stored
	missing func(http.ResponseWriter, string)
}

func newFakeAlertDB() *fakeAlertDB {
	return &fakeAlertDB{alerts: map[string][]byte{}, missing: func(w http.ResponseWriter, what string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"detail":"%s not found"}`, what)
	}}
}

func (f *fakeAlertDB) store(id string, object []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alerts[id] = object
}

func (f *fakeAlertDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id, ok := strings.CutPrefix(r.URL.Path, "/v1/alerts/"); ok {
		if object, ok := f.alerts[id]; ok {
			w.Write(object)
			return
		}
		f.missing(w, "alert")
		return
	}
	f.missing(w, "schema")
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	run := func(registry, db http.Handler) Result {
		o := withRegistry(card(), serve(t, registry))
		o.Endpoints.AlertDB.URL = serve(t, db) + "/"
		return check(t, o, "unknown-ids")
	}
	wantPassed(t, run(newFakeRegistry(), newFakeAlertDB()), "404 for alert 9", "schema 20", "in the registry")

	everything := newFakeAlertDB()
	everything.missing = func(w http.ResponseWriter, _ string) { io.WriteString(w, "{}") }
	wantFailed(t, run(newFakeRegistry(), everything), "in the alert database: 200 OK", "alert 9", "schema 2")

	broken := newFakeAlertDB()
	broken.missing = func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusInternalServerError) }
	wantFailed(t, run(newFakeRegistry(), broken), "500 Internal Server Error")

	all := newFakeRegistry()
	all.unknown = func(w http.ResponseWriter) { io.WriteString(w, `{"schema":"\"string\""}`) }
	wantFailed(t, run(all, newFakeAlertDB()), "in the registry: 200 OK")

	// What answers 404 to everything is not the service.
	wantFailed(t, run(http.NotFoundHandler(), newFakeAlertDB()), "in the registry: 404", "not the service's own answer")
	wantFailed(t, run(newFakeRegistry(), http.NotFoundHandler()), "alert database: 404", "not the service's own answer")

	o := withRegistry(card(), serve(t, newFakeRegistry()))
	o.Endpoints.AlertDB.URL = "http://" + closedAddress(t)
	wantFailed(t, check(t, o, "unknown-ids"), "connection refused")
}

// visitOf makes the framed alerts of a synthetic visit.
func visitOf(t *testing.T, version string, n, packetBytes int) (ids []int64, values [][]byte) {
	t.Helper()
	v, err := packet.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := packet.Published(v)
	if err != nil {
		t.Fatal(err)
	}
	visit, err := packet.NewVisit(packet.VisitConfig{
		Schema: schema, Alerts: n, PacketBytes: packetBytes, Seed: 1, Visit: 2026112100001, MidpointMjdTai: 61365.2,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		body, err := visit.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		head, err := schema.Head(body)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.ID)
		values = append(values, packet.Frame(uint32(v.ID()), body))
	}
	return ids, values
}

// recordsAt gives each value a time of its own from a moment on, a
// millisecond apart.
func recordsAt(at time.Time, values ...[]byte) (out []*kgo.Record) {
	for i, v := range values {
		out = append(out, &kgo.Record{Value: v, Timestamp: at.Add(time.Duration(i) * time.Millisecond)})
	}
	return out
}

func TestAlertDecodes(t *testing.T) {
	t.Parallel()
	_, values := visitOf(t, "11.0", 1, packet.DefaultPacketBytes)
	good := values[0]
	schema, err := packet.Published(packet.VersionFromID(1100))
	if err != nil {
		t.Fatal(err)
	}
	// changed is the alert with something else in it.
	changed := func(change func(packet.Alert)) []byte {
		a, err := schema.Decode(good[packet.HeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		change(a)
		body, err := schema.Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		return packet.Frame(1100, body)
	}
	_, shared := smallKafka(t, nil, nil)
	for name, c := range map[string]struct {
		value    []byte
		registry func(*fakeRegistry)
		words    []string
	}{
		"good":      {value: good},
		"bad magic": {value: append([]byte{1}, good[1:]...), words: []string{"Confluent wire format", "offset 0"}},
		"too short": {value: good[:4], words: []string{"Confluent wire format"}},
		"unknown schema": {value: packet.Frame(1, good[packet.HeaderSize:]),
			words: []string{"the registry to have schema 1,", "40403"}},
		"another version": {value: packet.Frame(704, good[packet.HeaderSize:]),
			words: []string{"to decode with schema 704"}},
		"cut off":    {value: good[:len(good)-100], words: []string{"to decode with schema 1100"}},
		"bytes over": {value: append(bytes.Clone(good), 0), words: []string{"to decode with schema 1100"}},
		"registry has another schema under the id": {value: good,
			registry: func(f *fakeRegistry) {
				s, _ := packet.Published(packet.VersionFromID(1000))
				f.add("alert-packet", 1100, 1100, strings.ReplaceAll(s.Canonical(), "v10_0", "v11_0"))
				delete(f.subjects, "lsst-alerts-v11.0-value")
			},
			words: []string{"to decode with schema 1100"}},
		"no id": {value: changed(func(a packet.Alert) { a["diaSourceId"] = int64(0) }), words: []string{"its id is 0"}},
		"no fluxes": {value: changed(func(a packet.Alert) {
			source := a["diaSource"].(map[string]any)
			for name := range source {
				if strings.HasSuffix(name, "Flux") {
					source[name] = nil
				}
			}
		}), words: []string{"its diaSource has no flux"}},
		"a cutout that is no image": {value: changed(func(a packet.Alert) { a["cutoutScience"] = []byte("\x89PNG....") }),
			words: []string{"cutoutScience begins with", "PNG"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ownTopic(t, shared)
			reg := newFakeRegistry()
			reg.fill(t, "7.4", "11.0")
			if c.registry != nil {
				c.registry(reg)
			}
			o = withRegistry(o, serve(t, reg))
			produce(t, o, &kgo.Record{Value: c.value})
			r := check(t, o, "alert-decodes")
			if c.words == nil {
				wantPassed(t, r, "schema 1100", "fluxes", "FITS cutouts Difference (", "Science (", "Template (")
				return
			}
			wantFailed(t, r, c.words...)
		})
	}
	t.Run("cutouts are not needed", func(t *testing.T) {
		t.Parallel()
		o := ownTopic(t, shared)
		reg := newFakeRegistry()
		reg.fill(t, "11.0")
		o = withRegistry(o, serve(t, reg))
		produce(t, o, &kgo.Record{Value: changed(func(a packet.Alert) {
			a["cutoutDifference"], a["cutoutScience"], a["cutoutTemplate"] = nil, nil, nil
		})})
		wantPassed(t, check(t, o, "alert-decodes"), "FITS cutouts none")
	})
}

func TestVisitCadence(t *testing.T) {
	t.Parallel()
	anyStream := append(groupGrant(reader), acl("topic", stream, "prefix", "Read", "Describe"))
	_, shared := smallKafka(t, map[string][]admin.ACL{reader: anyStream}, nil)
	some := [][]byte{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}
	// ago gives the bursts that began so many seconds ago.
	for name, c := range map[string]struct {
		ago   []float64
		words []string // of the evidence
	}{
		"two":                   {[]float64{60, 23}, []string{"37s apart", "0s off"}},
		"three":                 {[]float64{90, 53, 16}, []string{"37s apart"}},
		"just within":           {[]float64{60, 23.9}, []string{"36.1s apart", "900ms off"}},
		"odd one before is old": {[]float64{85, 60, 23}, []string{"37s apart"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ownTopic(t, shared)
			now := time.Now()
			for _, ago := range c.ago {
				produce(t, o, recordsAt(now.Add(-time.Duration(ago*float64(time.Second))), some...)...)
			}
			wantPassed(t, check(t, o, "visit-cadence"), c.words...)
			// Nobody but the superuser is needed for that.
			delete(o.Credentials.Kafka, super)
			wantPassed(t, check(t, o, "visit-cadence"), c.words...)
		})
	}
}

// player plays visits of a few records until the test ends.
func player(t *testing.T, o Options, every time.Duration) {
	t.Helper()
	cl := superClient(t, o, kgo.DefaultProduceTopic(o.Endpoints.Simulator.Topic))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			for range 4 {
				cl.Produce(t.Context(), kgo.StringRecord("alert"), nil)
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

func TestVisitCadenceWaits(t *testing.T) {
	t.Parallel()
	_, o := smallKafka(t, nil, nil)
	o.Endpoints.Simulator.Interval = endpoints.Duration(2 * time.Second)
	var waits []string
	o.Waiting = func(_, what string) { waits = append(waits, what) }
	player(t, o, 2*time.Second)
	wantPassed(t, check(t, o, "visit-cadence"), "interval 2s")
	if !slices.ContainsFunc(waits, func(w string) bool { return strings.HasPrefix(w, "a second visit on "+stream) }) {
		t.Errorf("waited for %q", waits)
	}
}

// Somebody plays beside the lab: its own visits are told apart by their producer.
func TestVisitCadenceOfSeveralProducers(t *testing.T) {
	t.Parallel()
	_, shared := smallKafka(t, nil, nil)
	for name, c := range map[string]struct {
		own, beside []float64 // seconds ago
		words       []string
	}{
		"once, in between":          {[]float64{60, 23}, []float64{12}, []string{"37s apart", "of 1 others"}},
		"once, into a visit":        {[]float64{60, 23}, []float64{22.5}, []string{"37s apart"}},
		"again and again, unevenly": {[]float64{60, 23}, []float64{80, 70, 52, 44, 31, 12}, []string{"37s apart", "of 1 others"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ownTopic(t, shared)
			o.Timeout = 30 * time.Second
			now := time.Now()
			topic := o.Endpoints.Simulator.Topic
			for _, ago := range [][]float64{c.own, c.beside} {
				// A client has one producer id as long as it lives.
				cl := superClient(t, o, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
				var recs []*kgo.Record
				for _, a := range ago {
					recs = append(recs, recordsAt(now.Add(-time.Duration(a*float64(time.Second))), []byte{1}, []byte{2}, []byte{3})...)
				}
				if err := cl.ProduceSync(testContext(t), recs...).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			wantPassed(t, check(t, o, "visit-cadence"), c.words...)
		})
	}
}

func TestVisitCadenceFails(t *testing.T) {
	t.Parallel()
	_, shared := smallKafka(t, nil, nil)
	anHourAgo := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	short := func(o *Options) {
		o.Timeout, o.Endpoints.Simulator.Interval = 300*time.Millisecond, endpoints.Duration(400*time.Millisecond)
	}
	for name, c := range map[string]struct {
		setup func(*testing.T, *Options)
		words []string
		next  string
	}{
		"two seconds off": {
			setup: func(t *testing.T, o *Options) {
				o.Endpoints.Simulator.Interval = endpoints.Duration(1500 * time.Millisecond)
				player(t, *o, 3500*time.Millisecond)
			},
			words: []string{"visits to start 1.5s apart, within 1s", "s and 3", "s apart"},
			next:  "alertlab logs simulator",
		},
		"nothing ever": {
			setup: func(_ *testing.T, o *Options) { short(o) },
			words: []string{"a visit every 400ms", "no record at all"},
		},
		"stopped": {
			setup: func(t *testing.T, o *Options) {
				short(o)
				// Not older than what retention may take away meanwhile.
				produce(t, *o, recordsAt(anHourAgo, []byte("old"))...)
			},
			words: []string{"no visit; the newest record is of " + anHourAgo.Format(time.RFC3339)},
		},
		"only one": {
			setup: func(t *testing.T, o *Options) { short(o); produce(t, *o, kgo.StringRecord("now")) },
			words: []string{"no visit after that of"},
		},
		"without pause": {
			setup: func(t *testing.T, o *Options) {
				short(o)
				now := time.Now()
				var recs []*kgo.Record
				for at := -4 * time.Second; at < 6*time.Second; at += 40 * time.Millisecond {
					recs = append(recs, &kgo.Record{Value: []byte("x"), Timestamp: now.Add(at)})
				}
				produce(t, *o, recs...)
			},
			words: []string{"records without a pause of 200ms between them"},
			next:  "alertlab logs simulator",
		},
		"no such topic": {
			setup: func(_ *testing.T, o *Options) { o.Endpoints.Simulator.Topic = "alerts-elsewhere" },
			words: []string{"alerts-elsewhere", "UNKNOWN_TOPIC_OR_PARTITION"},
			next:  "alertlab status",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ownTopic(t, shared)
			c.setup(t, &o)
			r := check(t, o, "visit-cadence")
			wantFailed(t, r, c.words...)
			if want := c.next; want == "" && r.Next != "alertlab status" || want != "" && r.Next != want {
				t.Errorf("next %q", r.Next)
			}
		})
	}
}

func TestAlertDatabaseBytes(t *testing.T) {
	t.Parallel()
	const n = 130
	ids, values := visitOf(t, "11.0", n, 10_000)
	_, shared := smallKafka(t, nil, nil)
	_, otherValues := visitOf(t, "7.4", 5, 10_000)
	for name, c := range map[string]struct {
		change  func(*fakeAlertDB)
		words   []string
		timeout time.Duration
	}{
		"all there": {change: func(*fakeAlertDB) {}},
		"one byte other": {change: func(f *fakeAlertDB) {
			for i, v := range values {
				wrong := bytes.Clone(v)
				wrong[17] ^= 1
				f.store(fmt.Sprint(ids[i]), gzipped(wrong))
			}
		}, words: []string{"100 did not", "the first difference is at byte 17"}},
		"without the header": {change: func(f *fakeAlertDB) {
			for i, v := range values {
				f.store(fmt.Sprint(ids[i]), gzipped(v[packet.HeaderSize:]))
			}
		}, words: []string{"100 did not", "the first difference is at byte"}},
		"longer": {change: func(f *fakeAlertDB) {
			for i, v := range values {
				f.store(fmt.Sprint(ids[i]), gzipped(append(bytes.Clone(v), 0)))
			}
		}, words: []string{"bytes stored", "the first difference is at byte"}},
		"not gzip": {change: func(f *fakeAlertDB) {
			for i, v := range values {
				f.store(fmt.Sprint(ids[i]), v)
			}
		}, words: []string{"is not gzip"}},
		"broken gzip": {change: func(f *fakeAlertDB) {
			for i, v := range values {
				z := gzipped(v)
				f.store(fmt.Sprint(ids[i]), z[:len(z)/2])
			}
		}, words: []string{"does not unpack"}},
		"empty": {change: func(f *fakeAlertDB) { clear(f.alerts) },
			words: []string{"100 did not", "of waiting for the ingester", "404 Not Found", "alert not found"}, timeout: 2 * time.Second},
		"storage fails": {change: func(f *fakeAlertDB) {
			clear(f.alerts)
			f.missing = func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusServiceUnavailable) }
		}, words: []string{"503 Service Unavailable"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, db := newFakeRegistry(), newFakeAlertDB()
			reg.fill(t, "7.4", "11.0")
			o := withRegistry(ownTopic(t, shared), serve(t, reg))
			o.Endpoints.AlertDB.URL = serve(t, db)
			o.Timeout = c.timeout
			if o.Timeout == 0 && c.words != nil { // half of it is patience with the ingester
				o.Timeout = 4 * time.Second
			}
			o.Endpoints.Simulator.Interval = endpoints.Duration(time.Hour)
			// The visit before, whose alerts the database does not have,
			// the visit itself, and the beginning of the next.
			start := time.Now().Add(-time.Hour)
			produce(t, o, recordsAt(start.Add(-time.Hour), otherValues...)...)
			produce(t, o, recordsAt(start, values...)...)
			produce(t, o, recordsAt(time.Now(), otherValues[:2]...)...)
			for i, v := range values {
				db.store(fmt.Sprint(ids[i]), gzipped(v))
			}
			c.change(db)
			r := check(t, o, "alert-database-bytes")
			if c.words == nil {
				wantPassed(t, r, "100 of the 130 alerts of the visit of "+clock(start), "seed 42", "MB equal", "no ingest lag seen")
				return
			}
			wantFailed(t, r, append(c.words, "100 of the 130 alerts", "seed 42")...)
		})
	}
}

// An id that is published again with other bytes is compared as it was published
// last; until that is archived, what is stored is the earlier one.
func TestAlertDatabaseOfIDsPublishedAgain(t *testing.T) {
	t.Parallel()
	ids, values := visitOf(t, "11.0", 5, 10_000)
	_, shared := smallKafka(t, nil, nil)
	other := bytes.Clone(values[0])
	other[len(other)-1] ^= 1 // in the last cutout
	for name, c := range map[string]struct {
		visits [][][]byte // the last is a visit that has only begun
		stored []byte
		late   []byte // what is stored once the check waits
		words  []string
	}{
		"stored as in the visit after": {visits: [][][]byte{values, {other}}, stored: other,
			words: []string{"1 were published again since"}},
		"stored as in the visit before": {visits: [][][]byte{{other}, values, values[1:2]}, stored: other, late: values[0],
			words: []string{"5 of the 5 alerts", "for the ingester"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, db := newFakeRegistry(), newFakeAlertDB()
			reg.fill(t, "11.0")
			o := withRegistry(ownTopic(t, shared), serve(t, reg))
			o.Endpoints.AlertDB.URL = serve(t, db)
			o.Endpoints.Simulator.Interval = endpoints.Duration(time.Hour)
			for i, visit := range c.visits {
				produce(t, o, recordsAt(time.Now().Add(-time.Duration(len(c.visits)-1-i)*time.Hour), visit...)...)
			}
			for i, v := range values {
				db.store(fmt.Sprint(ids[i]), gzipped(v))
			}
			db.store(fmt.Sprint(ids[0]), gzipped(c.stored))
			o.Waiting = func(_, what string) {
				if !strings.Contains(what, fmt.Sprint(ids[0])) || c.late == nil {
					t.Errorf("waits for %q", what)
				}
				db.store(fmt.Sprint(ids[0]), gzipped(c.late))
			}
			wantPassed(t, check(t, o, "alert-database-bytes"), c.words...)
		})
	}
}

func TestAlertDatabaseLagsBehind(t *testing.T) {
	t.Parallel()
	ids, values := visitOf(t, "11.0", 10, 10_000)
	_, o := smallKafka(t, nil, nil)
	reg, db := newFakeRegistry(), newFakeAlertDB()
	reg.fill(t, "11.0")
	o = withRegistry(o, serve(t, reg))
	o.Endpoints.AlertDB.URL = serve(t, db)
	produce(t, o, recordsAt(time.Now().Add(-20*time.Second), values...)...)
	for i, v := range values[:9] {
		db.store(fmt.Sprint(ids[i]), gzipped(v))
	}
	o.Waiting = func(_, what string) {
		if what != "the ingester to store alerts of the last complete visit" {
			t.Errorf("waits for %q", what)
		}
		db.store(fmt.Sprint(ids[9]), gzipped(values[9]))
	}
	wantPassed(t, check(t, o, "alert-database-bytes"), "10 of the 10 alerts", "waited 1", "ms for the ingester")
}

func TestAlertDatabaseWaitsForACompleteVisit(t *testing.T) {
	t.Parallel()
	ids, values := visitOf(t, "11.0", 4, 10_000)
	_, o := smallKafka(t, nil, nil)
	o.Endpoints.Simulator.Interval = endpoints.Duration(2 * time.Second)
	reg, db := newFakeRegistry(), newFakeAlertDB()
	reg.fill(t, "11.0")
	o = withRegistry(o, serve(t, reg))
	o.Endpoints.AlertDB.URL = serve(t, db)
	for i, v := range values {
		db.store(fmt.Sprint(ids[i]), gzipped(v))
	}
	cl, ctx := superClient(t, o, kgo.DefaultProduceTopic(o.Endpoints.Simulator.Topic)), testContext(t)
	o.Waiting = func(_, what string) {
		if what == "a first visit on "+stream {
			for _, v := range values {
				cl.Produce(ctx, &kgo.Record{Value: v}, nil)
			}
		} else if !strings.HasPrefix(what, "the end of the first visit on "+stream) {
			t.Errorf("waits for %q", what)
		}
	}
	wantPassed(t, check(t, o, "alert-database-bytes"), "4 of the 4 alerts")
}
