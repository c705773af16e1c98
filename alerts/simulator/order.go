package simulator

import (
	"fmt"
	"time"
)

// Orders that a player takes while it runs.
const (
	OrderPause  = "pause"
	OrderResume = "resume"
)

// Ordered is what an order met, and what came of it.
type Ordered struct {
	Was Status `json:"was"`
	Is  Status `json:"is"`
}

// Order carries out an order; false: it is none that a player knows.
func (p *Player) Order(verb string) (Ordered, bool) {
	was := p.Status()
	switch verb {
	case OrderPause:
		p.Pause()
	case OrderResume:
		p.Resume()
	default:
		return Ordered{}, false
	}
	return Ordered{was, p.Status()}, true
}

// Said says in a line what came of an order; times of day are those of this machine.
func (o Ordered) Said(verb string, now time.Time) string {
	clock := func(t time.Time) string { return t.Local().Format("15:04:05") }
	switch {
	case verb == OrderPause && o.Was.Paused:
		return "paused already, since " + clock(o.Was.Since)
	case verb == OrderPause && o.Is.Playing:
		return "paused; the visit under way is played to its end"
	case verb == OrderPause:
		return fmt.Sprintf("paused after %d visits", o.Is.Visits)
	case !o.Was.Paused:
		return "not paused; the next visit is due at " + clock(o.Was.Next)
	}
	return fmt.Sprintf("plays again, after a pause of %s; visits keep the grid that they had", now.Sub(o.Was.Since).Round(time.Second))
}
