package archive_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
)

// asking is a store that holds nothing and notes what it is asked for.
type asking struct{ keys []string }

func (a *asking) Get(_ context.Context, bucket, key string) (*objectstore.Object, error) {
	a.keys = append(a.keys, key)
	return nil, &objectstore.NotFoundError{Bucket: bucket, Key: key}
}

func (a *asking) Stat(ctx context.Context, bucket, key string) (int64, error) {
	_, err := a.Get(ctx, bucket, key)
	return 0, err
}

// FuzzServerPath: whatever path is asked for, the server answers, never by its own
// fault; it asks the store for keys of its layout alone, each made of exactly the id in
// the path; and a path parameter that is no id is a 400 with a reason.
func FuzzServerPath(f *testing.F) {
	for _, path := range []string{
		"/v1/alerts/1231321321", "/v1/alerts/007", "/v1/alerts/9223372036854775808", "/v1/alerts/-1", "/v1/alerts/", "/v1/alerts",
		"/v1/alerts/..%2f..%2fschemas%2f704", "/v1/alerts/1/2", "/v1/alerts/%00", "/v1/alerts/%31", "/v1/alerts/１", "/v1/alerts/../schemas/704",
		"/v1/schemas/704", "/v1/schemas/704.json", "/v1/schemas/x?y=1", "/v1/ready", "/v1/health", "/metrics", "//", "/v1/alerts/1%0d%0aX-Y:%20z",
	} {
		f.Add(path, false)
	}
	f.Add("/v1/alerts/41", true)
	key := regexp.MustCompile(`^v[12]/(?:alerts/(?:\d{1,6}/)?(0|[1-9]\d*)\.avro(?:\.gz)?|schemas/(0|[1-9]\d*)\.json)$`)
	f.Fuzz(func(t *testing.T, path string, head bool) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || !strings.HasPrefix(path, "/") {
			return // net/http answers these before a handler sees them
		}
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		store := &asking{}
		w := httptest.NewRecorder()
		handler := archive.NewServer(archive.ServerConfig{Objects: store, Buckets: archive.Buckets{Alerts: "a", Schemas: "s"}})
		handler.ServeHTTP(w, (&http.Request{Method: method, URL: u, Host: "alertdb", RequestURI: path, Header: http.Header{}, Body: http.NoBody}).WithContext(t.Context()))
		switch w.Code {
		case http.StatusOK, http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		case http.StatusBadRequest:
			var reason struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &reason); err != nil || !strings.HasPrefix(reason.Detail, "id ") {
				t.Errorf("%q: 400 with %q", path, w.Body)
			}
		default:
			t.Errorf("%q: status %d", path, w.Code)
		}
		for _, asked := range store.keys {
			if u.Path == "/v1/ready" && asked == "v2/ready" {
				continue
			}
			m := key.FindStringSubmatch(asked)
			if m == nil {
				t.Errorf("%q: asked for %q", path, asked)
				continue
			}
			if id := m[1] + m[2]; !strings.HasSuffix(u.Path, "/"+id) || len(asked) > 100 {
				t.Errorf("%q: asked for %q", path, asked)
			}
		}
	})
}
