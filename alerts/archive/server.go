package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/alertlab/alertlab/alerts/objectstore"
)

// Reader is what the server needs of an object store; *objectstore.Client is
// one. A missing object or bucket is an error that matches
// objectstore.ErrNotFound.
type Reader interface {
	Get(ctx context.Context, bucket, key string) (*objectstore.Object, error)
	Stat(ctx context.Context, bucket, key string) (size int64, err error)
}

// Buckets names where alerts (and dead letters) and schemas lie. Both may be
// the same bucket: the keys do not collide.
type Buckets struct{ Alerts, Schemas string }

// OpenPaths are those that Kubernetes and Prometheus ask at the service itself, not
// through the ingress that asks for a token: nobody's alerts stand there.
func OpenPaths() []string { return []string{"/v1/health", "/v1/ready", "/metrics"} }

// ServerConfig configures NewServer.
type ServerConfig struct {
	Objects Reader
	Buckets Buckets
	// Log gets storage errors; nil discards.
	Log *slog.Logger
}

const (
	alertType  = "application/octet-stream"
	schemaType = "application/vnd.schemaregistry.v1+json"
)

// NewServer is the alert database's HTTP interface (alert_database_server v4):
//
//	GET /v1/health         200 OK, does not touch storage
//	GET /v1/ready          200 OK if the store answers for both buckets, else 503 (ours)
//	GET /v1/alerts/{id}    the stored bytes unchanged, that is gzip and without a Content-Encoding
//	GET /v1/schemas/{id}   the stored JSON unchanged
//	GET /metrics           Prometheus' text format (ours)
//
// HEAD works like GET. Errors are JSON {"detail": reason}: 400 for an id that
// is not a decimal int64, 404 for what is not there, 405 for other methods and
// 503 when the store failed (the reference: 500, without a reason).
func NewServer(cfg ServerConfig) http.Handler {
	s := &server{cfg: cfg}
	if s.cfg.Log == nil {
		s.cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := newServerMetrics()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/health", m.observed("health", readOnly(ok)))
	mux.HandleFunc("/v1/ready", m.observed("ready", readOnly(s.ready)))
	mux.HandleFunc("/v1/alerts/{id}", m.observed("alerts", readOnly(s.alert)))
	mux.HandleFunc("/v1/schemas/{id}", m.observed("schemas", readOnly(s.schema)))
	mux.HandleFunc("/metrics", readOnly(m.handler.ServeHTTP))
	mux.HandleFunc("/", m.observed("other", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "Not Found")
	}))
	return mux
}

type server struct{ cfg ServerConfig }

func readOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
			return
		}
		h(w, r)
	}
}

func fail(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(errorBody{detail})
	if err != nil {
		panic(err) // a struct of one string always marshals
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// errorBody is the shape of every error answer.
type errorBody struct {
	Detail string `json:"detail"`
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK")
}

// CheckBuckets asks for an object in each bucket that nobody writes: that it is
// missing proves a store that answers, our keys and the bucket.
func CheckBuckets(ctx context.Context, objects Reader, buckets Buckets) error {
	for _, bucket := range []string{buckets.Alerts, buckets.Schemas} {
		o, err := objects.Get(ctx, bucket, "v2/ready")
		if err == nil {
			o.Body.Close()
			continue
		}
		if !errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrNoBucket) {
			return err
		}
	}
	return nil
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if err := CheckBuckets(r.Context(), s.cfg.Objects, s.cfg.Buckets); err != nil {
		s.unavailable(w, r, err)
		return
	}
	ok(w, r)
}

func (s *server) alert(w http.ResponseWriter, r *http.Request) {
	s.object(w, r, s.cfg.Buckets.Alerts, AlertKeys, alertType, "alert not found")
}

func (s *server) schema(w http.ResponseWriter, r *http.Request) {
	s.object(w, r, s.cfg.Buckets.Schemas, SchemaKeys, schemaType, "schema not found")
}

// object answers with the first of the keys that the bucket holds.
func (s *server) object(w http.ResponseWriter, r *http.Request, bucket string, keys func(int64) []string, contentType, missing string) {
	id, canonical, err := parseID(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if !canonical {
		fail(w, http.StatusNotFound, missing)
		return
	}
	for _, key := range keys(id) {
		o, err := s.open(r, bucket, key)
		if errors.Is(err, objectstore.ErrNotFound) && !errors.Is(err, objectstore.ErrNoBucket) {
			continue
		}
		if err != nil {
			s.unavailable(w, r, err)
			return
		}
		defer o.Body.Close()
		w.Header().Set("Content-Type", contentType)
		if o.Size >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(o.Size, 10))
		}
		w.WriteHeader(http.StatusOK)
		if _, err := io.Copy(w, o.Body); err != nil && r.Context().Err() == nil {
			// The status is sent; only a broken connection still tells the
			// client that the body is not whole.
			s.cfg.Log.Error("alert database: object broke off", "bucket", bucket, "key", key, "error", err)
			panic(http.ErrAbortHandler)
		}
		return
	}
	fail(w, http.StatusNotFound, missing)
}

// open asks the store for the body only if the client wants it.
func (s *server) open(r *http.Request, bucket, key string) (*objectstore.Object, error) {
	if r.Method != http.MethodHead {
		return s.cfg.Objects.Get(r.Context(), bucket, key)
	}
	size, err := s.cfg.Objects.Stat(r.Context(), bucket, key)
	if err != nil {
		return nil, err
	}
	return &objectstore.Object{Body: http.NoBody, Size: size}, nil
}

func (s *server) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client is gone: there is neither an error nor a reader
	}
	s.cfg.Log.Error("alert database: storage failed", "path", r.URL.Path, "error", err)
	fail(w, http.StatusServiceUnavailable, "storage failed: "+err.Error())
}

// parseID reads a path parameter. Keys hold ids in canonical decimal, so an id
// with leading zeros is well formed but names nothing.
func parseID(text string) (id int64, canonical bool, err error) {
	if text == "" {
		return 0, false, errors.New("id is empty")
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false, fmt.Errorf("id %q is not a decimal number", text)
		}
	}
	id, err = strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("id %q does not fit 64 bits", text)
	}
	return id, len(text) == 1 || text[0] != '0', nil
}
