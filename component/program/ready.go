package program

import (
	"net/http"
	"sync"
)

// readiness answers /health and /ready.
type readiness struct {
	mux *http.ServeMux

	mu  sync.Mutex
	ask func() (ready bool, seen string)
}

func newReadiness() *readiness {
	r := &readiness{mux: http.NewServeMux(), ask: func() (bool, string) { return false, "it starts" }}
	r.mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	r.mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		ask := r.ask
		r.mu.Unlock()
		if ok, seen := ask(); !ok {
			http.Error(w, seen, http.StatusServiceUnavailable)
		}
	})
	return r
}

// is sets who is asked from now on.
func (r *readiness) is(ask func() (ready bool, seen string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ask = ask
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }
