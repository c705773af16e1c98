package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/registry"
)

// traffic counts the requests of a client.
type traffic struct{ count atomic.Int64 }

func (c *traffic) RoundTrip(req *http.Request) (*http.Response, error) {
	c.count.Add(1)
	return http.DefaultTransport.RoundTrip(req)
}

func client(t testing.TB, base string) (*sr.Client, *traffic) {
	t.Helper()
	seen := &traffic{}
	c, err := registry.NewClient(base, sr.HTTPClient(&http.Client{Transport: seen}))
	if err != nil {
		t.Fatal(err)
	}
	return c.API(), seen
}

func sync28(t testing.TB, c *sr.Client, want registry.SyncReport) {
	t.Helper()
	got, err := registry.Sync(testContext(t), c, alertEntries())
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

// readWrite checks that no subject was left in another mode.
func readWrite(t testing.TB, c *sr.Client) {
	t.Helper()
	ctx := sr.WithParams(testContext(t), sr.DefaultToGlobal)
	subjects, err := c.Subjects(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range c.Mode(ctx, append(subjects, "alert-packet")...) {
		if result.Err != nil || result.Mode != sr.ModeReadWrite {
			t.Errorf("subject %s is left in mode %s, %v", result.Subject, result.Mode, result.Err)
		}
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, seen := client(t, base)
	sync28(t, c, registry.SyncReport{Added: 28})
	readWrite(t, c)

	all, err := c.AllSchemas(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []registry.Entry
	for _, s := range all {
		got = append(got, registry.Entry{ID: s.ID, Version: s.Version, Subject: s.Subject, Schema: s.Schema.Schema})
		if want := fmt.Sprint(s.ID); s.SchemaMetadata == nil || s.SchemaMetadata.Properties["confluent:version"] != want {
			t.Errorf("%s %d: metadata %+v, want version %s", s.Subject, s.Version, s.SchemaMetadata, want)
		}
	}
	want := alertEntries()
	for _, entries := range [][]registry.Entry{got, want} {
		slices.SortFunc(entries, func(a, b registry.Entry) int {
			return strings.Compare(fmt.Sprintf("%s %09d", a.Subject, a.Version), fmt.Sprintf("%s %09d", b.Subject, b.Version))
		})
	}
	if !slices.Equal(got, want) {
		t.Errorf("the registry holds other entries than were synchronised")
	}

	before := seen.count.Load()
	sync28(t, c, registry.SyncReport{Present: 28})
	if n := seen.count.Load() - before; n != 1 {
		t.Errorf("finding everything present took %d requests", n)
	}
}

func TestSyncAddsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, _ := client(t, base)
	sync28(t, c, registry.SyncReport{Added: 28})
	if err := c.DeleteSchema(testContext(t), "alert-packet", 704, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		if _, err := c.DeleteSubject(testContext(t), "lsst-alerts-v9.0-value", how); err != nil {
			t.Fatal(err)
		}
	}
	sync28(t, c, registry.SyncReport{Present: 26, Added: 2})
	sync28(t, c, registry.SyncReport{Present: 28})
	readWrite(t, c)
}

// TestSyncAfterTheReference starts from what the observatory's program leaves:
// the main subject without metadata, and, if it was interrupted, in IMPORT.
func TestSyncAfterTheReference(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, _ := client(t, base)
	e := alertEntries()[0]
	converse(t, base,
		exchange{`PUT /mode/alert-packet {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		// The text is laid out in another way, as Confluent's would have it.
		exchange{`POST /subjects/alert-packet/versions ` + post(" "+e.Schema, `"id":300`, `"version":300`), `{"id":300,"version":300}`},
	)
	sync28(t, c, registry.SyncReport{Present: 1, Added: 27})
	readWrite(t, c)
}

func TestSyncRefusesWhatIsTaken(t *testing.T) {
	t.Parallel()
	wanted := registry.Entry{ID: 704, Version: 704, Subject: "alert-packet", Schema: one}
	other := registry.Entry{ID: 800, Version: 800, Subject: "alert-packet", Schema: two}
	for _, test := range []struct {
		name  string
		setup []exchange
		want  registry.ConflictError
	}{
		{"id", []exchange{
			{`PUT /mode/other {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
			{`POST /subjects/other/versions ` + post(mustY, `"id":704`), `{"id":704,"version":1}`},
		}, registry.ConflictError{Subject: "alert-packet", Version: 704, ID: 704, HeldBy: "other"}},
		{"version", []exchange{
			{`PUT /mode/alert-packet {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
			{`POST /subjects/alert-packet/versions ` + post(mustY, `"id":300`, `"version":704`), `{"id":300,"version":704}`},
		}, registry.ConflictError{Subject: "alert-packet", Version: 704, ID: 704, HeldID: 300}},
		{"content", []exchange{
			{`PUT /mode/alert-packet {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
			{`POST /subjects/alert-packet/versions ` + post(mustY, `"id":704`, `"version":704`), `{"id":704,"version":704}`},
		}, registry.ConflictError{Subject: "alert-packet", Version: 704, ID: 704, HeldID: 704}},
		{"id of a deleted schema", []exchange{
			{`PUT /mode/other {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
			{`POST /subjects/other/versions ` + post(mustY, `"id":704`), `{"id":704,"version":1}`},
			{`DELETE /subjects/other`, `[1]`},
		}, registry.ConflictError{Subject: "alert-packet", Version: 704, ID: 704}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			base := openNew(t)
			converse(t, base, test.setup...)
			c, _ := client(t, base)
			report, err := registry.Sync(testContext(t), c, []registry.Entry{other, wanted})
			var conflict *registry.ConflictError
			if !errors.As(err, &conflict) || *conflict != test.want {
				t.Fatalf("got %v, want %v", err, &test.want)
			}
			if test.want.HeldID != 0 || test.want.HeldBy != "" {
				// Seen in advance: nothing may have been changed.
				converse(t, base, exchange{`GET /schemas/ids/800`, `404 40403`})
			} else if report.Added != 1 {
				t.Errorf("got report %+v, want the one that was added", report)
			}
		})
	}
}

func TestSyncRefusesEntriesThatContradictEachOther(t *testing.T) {
	t.Parallel()
	c, _ := client(t, openNew(t))
	e := registry.Entry{ID: 704, Version: 704, Subject: "alert-packet", Schema: one}
	for name, entries := range map[string][]registry.Entry{
		"id":      {e, {ID: 704, Version: 1, Subject: "other", Schema: two}},
		"version": {e, {ID: 705, Version: 704, Subject: "alert-packet", Schema: two}},
		"empty":   {{ID: 704, Version: 704, Subject: "alert-packet"}},
		"no id":   {{Version: 704, Subject: "alert-packet", Schema: one}},
	} {
		if _, err := registry.Sync(testContext(t), c, entries); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if report, err := registry.Sync(testContext(t), c, []registry.Entry{e, e}); err != nil || report.Added != 1 {
		t.Errorf("the same entry twice: %+v, %v", report, err)
	}
}

// TestSyncThatFailsLeavesNoImportMode breaks the synchronisation in its middle:
// by a registry that fails, and by a caller that gives up.
func TestSyncThatFailsLeavesNoImportMode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"registry fails", "caller gives up"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			base := openNew(t)
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			var posts atomic.Int64
			proxy := forward(t, base, func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != http.MethodPost || posts.Add(1) != 5 {
					return true
				}
				if how == "caller gives up" {
					cancel()
				}
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = w.Write([]byte(`{"error_code":50001,"message":"the store is away"}`))
				return false
			})
			broken, _ := client(t, proxy)
			report, err := registry.Sync(ctx, broken, alertEntries())
			if err == nil || report.Added != 4 {
				t.Fatalf("got %+v, %v, want a failure after four", report, err)
			}
			sound, _ := client(t, base)
			readWrite(t, sound)
			sync28(t, sound, registry.SyncReport{Present: 4, Added: 24})
		})
	}
}

// TestSyncRestoresAgainAndAgain has a registry that fails where it hurts: when the
// mode is to be restored.
func TestSyncRestoresAgainAndAgain(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	var puts atomic.Int64
	proxy := forward(t, base, func(w http.ResponseWriter, req *http.Request) bool {
		if n := puts.Add(1); req.Method != http.MethodPut || n < 3 || n > 7 {
			return true
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return false
	})
	broken, _ := client(t, proxy)
	if _, err := registry.Sync(testContext(t), broken, alertEntries()[:1]); err != nil {
		t.Error(err)
	}
	sound, _ := client(t, base)
	readWrite(t, sound)
}

// TestSettle ends what a synchronisation left that was killed.
func TestSettle(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, _ := client(t, base)
	sync28(t, c, registry.SyncReport{Added: 28})
	converse(t, base,
		exchange{`PUT /mode/alert-packet?force=true {"mode":"IMPORT"}`, `{"mode":"IMPORT"}`},
		exchange{`PUT /mode/lsst-alerts-v9.0-value {"mode":"READONLY"}`, `{"mode":"READONLY"}`},
	)
	for _, want := range [][]string{{"alert-packet"}, nil} {
		got, err := registry.Settle(testContext(t), c, alertEntries())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("settled %v, %v, want %v", got, err, want)
		}
	}
	converse(t, base,
		exchange{`GET /mode/alert-packet`, `{"mode":"READWRITE"}`},
		exchange{`GET /mode/lsst-alerts-v9.0-value`, `{"mode":"READONLY"}`},
	)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	away, _ := client(t, gone.URL)
	if _, err := registry.Settle(testContext(t), away, alertEntries()); err == nil {
		t.Error("no registry, and no error")
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, _ := client(t, base)
	sync28(t, c, registry.SyncReport{Added: 28})
	e := alertEntries()[:2]
	converse(t, base, exchange{fmt.Sprintf(`DELETE /subjects/%s/versions/%d`, e[0].Subject, e[0].Version), fmt.Sprint(e[0].Version)})
	for range 2 {
		if err := registry.Remove(testContext(t), c, e...); err != nil {
			t.Fatal(err)
		}
	}
	converse(t, base, exchange{fmt.Sprintf(`GET /schemas/ids/%d`, e[0].ID), `404 40403`})
	sync28(t, c, registry.SyncReport{Present: 26, Added: 2})
}

// TestSyncKeepsSchemasReadable reads known ids between any two requests of a
// synchronisation.
func TestSyncKeepsSchemasReadable(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	sound, _ := client(t, base)
	if _, err := registry.Sync(testContext(t), sound, alertEntries()[:8]); err != nil {
		t.Fatal(err)
	}
	proxy := forward(t, base, func(http.ResponseWriter, *http.Request) bool {
		for _, e := range alertEntries()[:8:8] {
			if got, err := sound.SchemaTextByID(testContext(t), e.ID); err != nil || got != e.Schema {
				t.Errorf("schema %d cannot be read: %v", e.ID, err)
			}
		}
		return true
	})
	c, _ := client(t, proxy)
	sync28(t, c, registry.SyncReport{Present: 8, Added: 20})
}

// forward is a proxy that looks at every request first, and passes it on if look
// says so.
func forward(t testing.TB, base string, look func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !look(w, req) {
			return
		}
		out, err := http.NewRequestWithContext(req.Context(), req.Method, base+req.URL.RequestURI(), req.Body)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // a client that has gone away is part of the tests
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestSyncWithoutARegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c, _ := client(t, server.URL)
	if _, err := registry.Sync(testContext(t), c, alertEntries()); err == nil {
		t.Error("no error")
	}
}

func TestSyncOfManySchemas(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	c, _ := client(t, base)
	var entries []registry.Entry
	for i := range 501 {
		entries = append(entries, registry.Entry{
			ID: i + 1, Version: i + 1, Subject: "many",
			Schema: fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i+1),
		})
	}
	for _, want := range []registry.SyncReport{{Added: 501}, {Present: 501}} {
		if got, err := registry.Sync(testContext(t), c, entries); err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// BenchmarkRegister28 posts what the alert stream registers to a registry that
// holds nothing.
func BenchmarkRegister28(b *testing.B) {
	entries := alertEntries()
	for b.Loop() {
		b.StopTimer()
		base := openNew(b)
		c, _ := client(b, base)
		b.StartTimer()
		if _, err := registry.Sync(testContext(b), c, entries); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSyncPresent is the usual case: nothing to do.
func BenchmarkSyncPresent(b *testing.B) {
	c, _ := client(b, openNew(b))
	entries := alertEntries()
	for b.Loop() {
		if _, err := registry.Sync(testContext(b), c, entries); err != nil {
			b.Fatal(err)
		}
	}
}
