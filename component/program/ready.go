package program

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/alertlab/alertlab/alerts/simulator"
)

// PathPlayer is where a player gives its simulator.Status as JSON to a GET; a POST of
// PathPlayer/VERB is an order, answered by a simulator.Ordered. HealthPort is the port.
const (
	PathPlayer = "/player"
	HealthPort = 8090
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

// play adds what a player tells, and the orders that it takes.
func (r *readiness) play(p *simulator.Player) {
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // whoever asked is gone
	}
	r.mux.HandleFunc("GET "+PathPlayer, func(w http.ResponseWriter, _ *http.Request) { answer(w, p.Status()) })
	r.mux.HandleFunc("POST "+PathPlayer+"/{verb}", func(w http.ResponseWriter, req *http.Request) {
		done, known := p.Order(req.PathValue("verb"))
		if !known {
			http.Error(w, "a player knows "+simulator.OrderPause+" and "+simulator.OrderResume, http.StatusNotFound)
			return
		}
		answer(w, done)
	})
}
