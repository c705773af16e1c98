package runner

import (
	"maps"
	"sync"
	"time"

	"github.com/alertlab/alertlab/lab/event"
)

// steptimes gathers how long the steps of a walk took. Events come from many
// goroutines.
type steptimes struct {
	mu   sync.Mutex
	took map[string]time.Duration
}

func (s *steptimes) see(e event.Event) {
	if e.Kind != event.Done || e.Elapsed <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.took == nil {
		s.took = map[string]time.Duration{}
	}
	s.took[e.Step] = time.Duration(e.Elapsed)
}

func (s *steptimes) all() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.took)
}
