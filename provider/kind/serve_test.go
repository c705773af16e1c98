package kind

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// version is the head of the paths of the engine's API.
var version = regexp.MustCompile(`^/v[0-9.]+`)

// serve answers as an engine would, and makes DOCKER_HOST name it. A path without an
// answer is not found.
func serve(t *testing.T, answers map[string]func() string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		answer := answers[r.Method+" "+version.ReplaceAllString(r.URL.Path, "")]
		if answer == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if _, err := w.Write([]byte(answer())); err != nil {
			t.Log(err)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+strings.TrimPrefix(s.URL, "http://"))
}
