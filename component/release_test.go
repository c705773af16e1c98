package component_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/component"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/subjects" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	probe := component.Answers("url", "/subjects")
	r := component.Release{Outputs: map[string]string{"url": server.URL}}
	if open, seen, err := probe(t.Context(), r); open || err != nil || !strings.Contains(seen, "503") {
		t.Errorf("%t, %s, %v", open, seen, err)
	}
	status = http.StatusOK
	if open, _, err := probe(t.Context(), r); !open || err != nil {
		t.Errorf("%t, %v", open, err)
	}
	server.Close()
	if open, seen, err := probe(t.Context(), r); open || err != nil || seen == "" {
		t.Errorf("a server that is gone: %t, %s, %v", open, seen, err)
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	r := component.Release{Name: "x", Namespace: "n", Chart: "kafka", Outputs: map[string]string{"b": "${addresses.b}", "a": "1"}}
	w := r.Want("title", component.Rollout(time.Second))
	got, err := component.Read(w.Input)
	if err != nil || got.Version == "" || got.Selector() != "app.kubernetes.io/instance=x" || strings.Join(w.Outputs, " ") != "a b" || w.Behind != "cluster" {
		t.Errorf("%+v, %+v, %v", w, got, err)
	}
	if _, err := component.Read([]byte("[]")); err == nil {
		t.Error("read what is no release")
	}
}
