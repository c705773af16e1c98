package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/alertlab/alertlab/alerts/archive"
)

func gzipped(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func TestServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	server := httptest.NewServer(archive.NewServer(archive.ServerConfig{Objects: r.objects, Buckets: buckets}))
	t.Cleanup(server.Close)

	newest, old := wire(704, 1231321321, noise(1, 50_000)), wire(300, 42, []byte("old"))
	stored := map[string][]byte{
		"v2/alerts/123132/1231321321.avro.gz": gzipped(t, newest),
		"v2/alerts/123132/1231321321.avro":    []byte("not this one"),
		"v2/alerts/41/41.avro":                old,
		"v1/alerts/42.avro.gz":                gzipped(t, old),
		"v1/alerts/43.avro":                   old,
	}
	for key, body := range stored {
		must(t, r.objects.Put(timeout(t), buckets.Alerts, key, body))
	}
	must(t, r.objects.Put(timeout(t), buckets.Schemas, "v2/schemas/704.json", []byte(schemaText)))
	must(t, r.objects.Put(timeout(t), buckets.Schemas, "v1/schemas/300.json", []byte(`"long"`)))

	const octets, schemaJSON, reason = "application/octet-stream", "application/vnd.schemaregistry.v1+json", "application/json"
	detail := func(text string) []byte { return []byte(`{"detail":"` + text + `"}`) }
	for _, tc := range []struct {
		method, path string
		status       int
		contentType  string
		body         []byte // nil: any
	}{
		{"GET", "/v1/health", 200, "text/plain; charset=utf-8", []byte("OK")},
		{"GET", "/v1/ready", 200, "text/plain; charset=utf-8", []byte("OK")},
		{"GET", "/v1/alerts/1231321321", 200, octets, stored["v2/alerts/123132/1231321321.avro.gz"]},
		{"GET", "/v1/alerts/41", 200, octets, old},
		{"GET", "/v1/alerts/42", 200, octets, stored["v1/alerts/42.avro.gz"]},
		{"GET", "/v1/alerts/43", 200, octets, old},
		{"GET", "/v1/alerts/44", 404, reason, detail("alert not found")},
		{"GET", "/v1/alerts/041", 404, reason, detail("alert not found")},
		{"GET", "/v1/alerts/abc", 400, reason, detail(`id \"abc\" is not a decimal number`)},
		{"GET", "/v1/alerts/-41", 400, reason, nil},
		{"GET", "/v1/alerts/9223372036854775808", 400, reason, detail(`id \"9223372036854775808\" does not fit 64 bits`)},
		{"GET", "/v1/alerts/..%2f..%2fx", 400, reason, nil},
		{"GET", "/v1/schemas/704", 200, schemaJSON, []byte(schemaText)},
		{"GET", "/v1/schemas/300", 200, schemaJSON, []byte(`"long"`)},
		{"GET", "/v1/schemas/705", 404, reason, detail("schema not found")},
		{"GET", "/v1/schemas/x", 400, reason, nil},
		{"POST", "/v1/alerts/41", 405, reason, detail("Method Not Allowed")},
		{"PUT", "/v1/alerts/41", 405, reason, nil},
		{"DELETE", "/v1/schemas/704", 405, reason, nil},
		{"POST", "/v1/health", 405, reason, nil},
		{"GET", "/v1/alerts", 404, reason, detail("Not Found")},
		{"GET", "/", 404, reason, detail("Not Found")},
	} {
		methods := []string{tc.method}
		if tc.method == "GET" {
			methods = append(methods, "HEAD")
		}
		for _, method := range methods {
			req, err := http.NewRequestWithContext(timeout(t), method, server.URL+tc.path, nil)
			must(t, err)
			req.Header.Set("Accept-Encoding", "gzip")
			resp, err := http.DefaultTransport.RoundTrip(req)
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			resp.Body.Close()
			want := tc.body
			if method == "HEAD" {
				if want != nil && resp.ContentLength != int64(len(want)) {
					t.Errorf("HEAD %s: Content-Length %d, want %d", tc.path, resp.ContentLength, len(want))
				}
				want = []byte{}
			}
			if resp.StatusCode != tc.status || resp.Header.Get("Content-Type") != tc.contentType || want != nil && !bytes.Equal(body, want) {
				t.Errorf("%s %s: %d %s, %d bytes %.100q; want %d %s %.100q", method, tc.path,
					resp.StatusCode, resp.Header.Get("Content-Type"), len(body), body, tc.status, tc.contentType, want)
			}
			if e := resp.Header.Get("Content-Encoding"); e != "" {
				t.Errorf("%s %s: Content-Encoding %s", method, tc.path, e)
			}
			if tc.status == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow %q", method, tc.path, resp.Header.Get("Allow"))
			}
		}
	}

	c := archive.Client{URL: server.URL + "/"}
	for id, want := range map[int64][]byte{1231321321: newest, 41: old, 42: old, 43: old} {
		got, err := c.Alert(timeout(t), id)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("client: alert %d is %d bytes, want %d", id, len(got), len(want))
		}
	}
	if schema, err := c.Schema(timeout(t), 704); err != nil || schema != schemaText {
		t.Errorf("client: schema %q, %v", schema, err)
	}
	if _, err := c.Alert(timeout(t), 44); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("client: missing alert: %v", err)
	}
	if _, err := c.Schema(timeout(t), 44); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("client: missing schema: %v", err)
	}
	var status *archive.StatusError
	if _, err := (archive.Client{URL: server.URL + "/elsewhere"}).Alert(timeout(t), 41); !errors.As(err, &status) || errors.Is(err, archive.ErrNotFound) {
		t.Errorf("client: wrong URL: %v", err)
	}

	r.stopStore()
	for _, path := range []string{"/v1/alerts/41", "/v1/schemas/704", "/v1/ready"} {
		resp, err := http.Get(server.URL + path)
		must(t, err)
		var e struct{ Detail string }
		must(t, json.NewDecoder(resp.Body).Decode(&e))
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || e.Detail == "" {
			t.Errorf("%s without a store: %d %q", path, resp.StatusCode, e.Detail)
		}
	}
	resp, err := http.Get(server.URL + "/v1/health")
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("health without a store: %d", resp.StatusCode)
	}
	if _, err := c.Alert(timeout(t), 41); !errors.As(err, &status) || status.Status != http.StatusServiceUnavailable || status.Detail == "" {
		t.Errorf("client without a store: %v", err)
	}
	r.startStore()
}

func TestServerWithoutItsBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	handler := archive.NewServer(archive.ServerConfig{Objects: r.objects, Buckets: archive.Buckets{Alerts: "alerts", Schemas: "nobody-made-this"}})
	for path, want := range map[string]int{"/v1/schemas/704": 503, "/v1/ready": 503, "/v1/alerts/1": 404} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}
