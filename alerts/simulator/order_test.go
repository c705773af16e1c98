package simulator

import (
	"strings"
	"testing"
	"time"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	p, err := NewPlayer(PlayConfig{Source: "a", Destination: "b"})
	if err != nil {
		t.Fatal(err)
	}
	p.update(func(s *Status) { s.Playing = true })
	for _, step := range []struct{ verb, said string }{
		{OrderResume, "not paused; the next visit is due at "},
		{OrderPause, "paused; the visit under way is played to its end"},
		{OrderPause, "paused already, since "},
		{OrderResume, "plays again, after a pause of 7s; visits keep the grid that they had"},
	} {
		o, known := p.Order(step.verb)
		if said := o.Said(step.verb, o.Was.Since.Add(7*time.Second)); !known || !strings.HasPrefix(said, step.said) || o.Is.Paused != (step.verb == OrderPause) {
			t.Errorf("%s: %t, %q, %+v", step.verb, known, said, o)
		}
	}
	p.update(func(s *Status) { s.Playing, s.Visits = false, 3 })
	if o, _ := p.Order(OrderPause); o.Said(OrderPause, time.Now()) != "paused after 3 visits" {
		t.Error(o.Said(OrderPause, time.Now()))
	}
	if _, known := p.Order("fly"); known {
		t.Error("it flies")
	}
}
