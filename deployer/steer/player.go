package steer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/program"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// Release is the part of a release, by either deployer.
type Release interface {
	plan.Part
	plan.Waiter
	Attend(applied json.RawMessage)
	Activity() event.Activity
}

// Asker is a cluster as far as its pods are asked; see kube.Client.Ask.
type Asker interface {
	Ask(ctx context.Context, namespace, selector string, port int, method, path string) ([]byte, error)
}

// Player is the release of the simulator with its pod's orders and what it tells. A pause
// is the pod's, which stays as it is: no plan calls it a difference. It holds over a walk
// that makes the pod anew, as that of an embedded lab does; a pod that Kubernetes makes
// anew plays.
type Player struct {
	Release
	Open func() (Asker, error)
	// Facts says for people what a player does.
	Facts func(simulator.Status) []event.Fact

	mu     sync.Mutex
	asked  component.Release // as it was applied last; no name: never
	told   *simulator.Status // when it was looked at last; nil: it could not be asked
	paused bool              // as it was seen last
	hold   bool              // it was when the present walk came to it
}

// askTime bounds one question.
const askTime = 5 * time.Second

// Attend implements runner.Attender.
func (p *Player) Attend(applied json.RawMessage) {
	if r, err := component.Read(applied); err == nil {
		p.mu.Lock()
		p.asked = r
		p.mu.Unlock()
	}
	p.Release.Attend(applied)
}

// Observe implements plan.Part, and asks the player what it does.
func (p *Player) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	var told *simulator.Status
	if r, err := component.Read(look.Last); look.Last != nil && err == nil {
		var st simulator.Status
		if p.ask(ctx, r, http.MethodGet, program.PathPlayer, &st) == nil { // its pods say why it cannot be asked
			told = &st
		}
	}
	p.mu.Lock()
	if p.told = told; told != nil {
		p.paused = told.Paused
	}
	p.mu.Unlock()
	return p.Release.Observe(ctx, look)
}

// Apply implements plan.Part.
func (p *Player) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	p.mu.Lock()
	p.hold = p.paused
	p.mu.Unlock()
	return p.Release.Apply(ctx, order)
}

// Wait implements plan.Waiter. A player that was made anew by this walk goes on with the
// pause that there was.
func (p *Player) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	if err := p.Release.Wait(ctx, gate, order, seen); err != nil || gate.Name != component.GateRollout {
		return err
	}
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if !hold {
		return nil
	}
	r, err := component.Read(order.Input)
	if err != nil {
		return err
	}
	var done simulator.Ordered
	return p.ask(ctx, r, http.MethodPost, program.PathPlayer+"/"+simulator.OrderPause, &done)
}

// Control implements runner.Controllable.
func (p *Player) Control(ctx context.Context, verb string, _ ...string) (string, error) {
	if verb != simulator.OrderPause && verb != simulator.OrderResume {
		return "", fault.New(fault.BadInput, fmt.Sprintf("the simulator cannot %q", verb), "it knows "+simulator.OrderPause+" and "+simulator.OrderResume, "alertlab simulator --help")
	}
	p.mu.Lock()
	r := p.asked
	p.mu.Unlock()
	if r.Name == "" {
		return "", fault.New(fault.StepFailed, "the simulator does not run yet", "the lab's bring-up has not made it", "alertlab up")
	}
	var done simulator.Ordered
	if err := p.ask(ctx, r, http.MethodPost, program.PathPlayer+"/"+verb, &done); err != nil {
		return "", fault.Wrap(fault.StepFailed, "the simulator's pod took no order", err, "alertlab status")
	}
	p.mu.Lock()
	p.paused = done.Is.Paused
	p.mu.Unlock()
	return done.Said(verb, time.Now()), nil
}

// Activity gives the pods, and what the player said of itself when it was looked at last.
func (p *Player) Activity() event.Activity {
	a := p.Release.Activity()
	p.mu.Lock()
	told := p.told
	p.mu.Unlock()
	detail := map[string]any{}
	if told == nil || len(a.Detail) == 0 || json.Unmarshal(a.Detail, &detail) != nil {
		return a
	}
	// As an embedded simulator names it.
	maps.Copy(detail, map[string]any{"paused": told.Paused, "visits": told.Visits, "missed": told.Missed, "skipped": told.Skipped, "published": told.Acked})
	text, err := json.Marshal(detail)
	if err != nil {
		panic(err) // it was JSON
	}
	a.Detail, a.Facts = text, append(a.Facts, p.Facts(*told)...)
	return a
}

func (p *Player) ask(ctx context.Context, r component.Release, method, path string, answer any) error {
	target, err := p.Open()
	if err != nil {
		return err
	}
	bound, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	body, err := target.Ask(bound, r.Namespace, r.PodSelector(), program.HealthPort, method, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}
