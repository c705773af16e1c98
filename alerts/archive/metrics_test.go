package archive_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"

	"github.com/alertlab/alertlab/alerts/archive"
)

// scrape reads /metrics as Prometheus does: value by name and labels, such as
// lag{partition=0,topic=alerts}; a histogram gives its count.
func scrape(t testing.TB, handler http.Handler) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", w.Code, w.Body)
	}
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(w.Body)
	must(t, err)
	values := map[string]float64{}
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.Counter != nil:
				values[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				values[key] = m.Gauge.GetValue()
			case m.Histogram != nil:
				values[key] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return values
}

func status(handler http.Handler, path string) int {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", path, nil))
	_, _ = io.Copy(io.Discard, w.Body)
	return w.Code
}

// TestIngesterMetrics: what Prometheus sees of an ingester that works, of one whose
// store is away, and what probes are told.
func TestIngesterMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]int32{"alerts": 2})
	objects := &faulty{Writer: r.objects}
	cfg := r.config("alerts")
	cfg.Objects = objects
	r.send("alerts", 0, wire(schemaID, 1, noise(1, 1000)), []byte("no alert"), wire(schemaID, 2, noise(2, 1000)))
	in := run(t, cfg)
	in.until("all stored and committed", func(s archive.Stats) bool { return s.Stored == 2 && s.Committed["alerts"][0] == 3 })
	handler := in.Handler()
	eventually(t, func() bool { return status(handler, "/v1/ready") == http.StatusOK }, func() string { return "ready" })
	seen := scrape(t, handler)
	for key, want := range map[string]float64{
		"alertdb_ingester_alerts_total":                               2,
		"alertdb_ingester_wire_bytes_total":                           2 * float64(len(wire(schemaID, 1, noise(1, 1000)))),
		"alertdb_ingester_dead_letters_total":                         1,
		"alertdb_ingester_in_flight_bytes":                            0,
		"alertdb_ingester_ready":                                      1,
		"alertdb_ingester_waiting":                                    0,
		"alertdb_ingester_committed_offset{partition=0,topic=alerts}": 3,
		"alertdb_ingester_lag{partition=0,topic=alerts}":              0,
		"alertdb_ingester_lag{partition=1,topic=alerts}":              0,
	} {
		if got, there := seen[key]; !there || got != want {
			t.Errorf("%s is %v (there: %v), want %v", key, got, there, want)
		}
	}
	for _, key := range []string{"alertdb_ingester_commits_total", "alertdb_ingester_object_bytes_total", "alertdb_ingester_last_stored_timestamp_seconds", "process_cpu_seconds_total", "go_goroutines"} {
		if seen[key] <= 0 {
			t.Errorf("%s is %v", key, seen[key])
		}
	}

	objects.set(func(string) bool { return true })
	r.send("alerts", 1, wire(schemaID, 3, nil), wire(schemaID, 4, nil))
	eventually(t, func() bool {
		s := scrape(t, handler)
		return s["alertdb_ingester_retries_total{operation=store alert}"] >= 1 && s["alertdb_ingester_lag{partition=1,topic=alerts}"] == 2 &&
			s["alertdb_ingester_ready"] == 0 && s["alertdb_ingester_waiting"] >= 1 && s["alertdb_ingester_in_flight_bytes"] > 0
	}, func() string { return "retries and lag while the store is away" })
	if got := status(handler, "/v1/ready"); got != http.StatusServiceUnavailable {
		t.Errorf("ready while the store is away: %d", got)
	}
	if got := status(handler, "/v1/health"); got != http.StatusOK {
		t.Errorf("health while the store is away: %d", got)
	}
	objects.set(nil)
	in.until("all stored", func(s archive.Stats) bool { return s.Stored == 4 && s.Ready })

	// The brokers go: what needs them is missing, the rest is there.
	r.brokers.Close()
	gone := scrape(t, handler)
	if _, there := gone["alertdb_ingester_lag{partition=0,topic=alerts}"]; there || gone["alertdb_ingester_alerts_total"] != 4 {
		t.Errorf("without brokers: lag there: %v, alerts %v", there, gone["alertdb_ingester_alerts_total"])
	}
	for path, want := range map[string]int{"/": 404, "/v1/alerts/1": 404} {
		if got := status(handler, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// TestServerMetrics: requests by what was asked for and code; each has its time.
func TestServerMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.objects.Put(timeout(t), buckets.Alerts, "v2/alerts/41/41.avro", []byte("x")))
	handler := archive.NewServer(archive.ServerConfig{Objects: r.objects, Buckets: buckets})
	before := scrape(t, handler)
	if n, there := before["alertdb_server_requests_total{code=200,route=alerts}"]; !there || n != 0 {
		t.Errorf("before the first request: %v, there: %v", n, there)
	}
	for _, path := range []string{"/v1/alerts/41", "/v1/alerts/41", "/v1/alerts/42", "/v1/alerts/x", "/v1/schemas/1", "/v1/health", "/v1/ready", "/nowhere"} {
		status(handler, path)
	}
	seen := scrape(t, handler)
	for key, want := range map[string]float64{
		"alertdb_server_requests_total{code=200,route=alerts}":   2,
		"alertdb_server_requests_total{code=404,route=alerts}":   1,
		"alertdb_server_requests_total{code=400,route=alerts}":   1,
		"alertdb_server_requests_total{code=404,route=schemas}":  1,
		"alertdb_server_requests_total{code=200,route=health}":   1,
		"alertdb_server_requests_total{code=200,route=ready}":    1,
		"alertdb_server_requests_total{code=404,route=other}":    1,
		"alertdb_server_request_duration_seconds{route=alerts}":  4,
		"alertdb_server_request_duration_seconds{route=schemas}": 1,
	} {
		if seen[key] != want {
			t.Errorf("%s is %v, want %v", key, seen[key], want)
		}
	}
}
