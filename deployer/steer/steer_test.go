package steer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/alerts/simulator"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// brokers is a cluster with broker pods, which notes what is done to them.
type brokers struct {
	pods  []kube.Pod
	done  []string
	fails error
}

func (b *brokers) Pods(context.Context, string, string) ([]kube.Pod, error) { return b.pods, b.fails }

func (b *brokers) DeletePod(_ context.Context, namespace string, p kube.Pod, atOnce bool) error {
	b.done = append(b.done, fmt.Sprintf("delete %s/%s %s %t", namespace, p.Name, p.UID, atOnce))
	return nil
}

func (b *brokers) WaitReplaced(_ context.Context, _, selector string, gone map[string]string) error {
	text := "wait " + selector
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		text += " " + name + "/" + gone[name]
	}
	b.done = append(b.done, text)
	return b.fails
}

func TestBrokers(t *testing.T) {
	t.Parallel()
	asked := 0
	one, two := kube.Pod{Name: "c-kafka-6", UID: "u6", Ready: true}, kube.Pod{Name: "c-kafka-7", UID: "u7"}
	cluster := &brokers{pods: []kube.Pod{one, two, {Name: "c-kafka-66", UID: "u66", Ready: true}}}
	b := &steer.Brokers{Open: func() (steer.Pods, error) { return cluster, nil }, Set: func() (steer.Set, error) {
		return steer.Set{Namespace: "n", Selector: "s", Prefix: "c-kafka", IDs: []int32{6, 7, 8}, Answers: func(_ context.Context, id int32) error {
			if asked++; asked == 1 {
				return errors.New("not yet")
			}
			return nil
		}}, nil
	}}
	for name, tc := range map[string]struct {
		do   func(context.Context) error
		want string
	}{
		"kill":                      {func(ctx context.Context) error { return b.KillBroker(ctx, 6) }, "delete n/c-kafka-6 u6 true"},
		"kill what is dead":         {func(ctx context.Context) error { return b.KillBroker(ctx, 8) }, ""},
		"restart":                   {func(ctx context.Context) error { return b.RestartBroker(ctx, 6) }, "delete n/c-kafka-6 u6 false; wait s c-kafka-6/u6"},
		"restart what is not ready": {func(ctx context.Context) error { return b.RestartBroker(ctx, 7) }, "wait s c-kafka-7/"},
		"await":                     {func(ctx context.Context) error { return b.AwaitBroker(ctx, 6) }, "wait s c-kafka-6/"},
		"restart all": {func(ctx context.Context) error { return b.RestartBrokers(ctx) },
			"delete n/c-kafka-6 u6 false; delete n/c-kafka-7 u7 false; wait s c-kafka-6/u6 c-kafka-7/u7 c-kafka-8/"},
	} {
		cluster.done, asked = nil, 0
		if err := tc.do(t.Context()); err != nil || strings.Join(cluster.done, "; ") != tc.want {
			t.Errorf("%s: %q, %v", name, cluster.done, err)
		}
		if waits := strings.Contains(tc.want, "wait"); waits != (asked > 1) {
			t.Errorf("%s: asked %d times", name, asked)
		}
	}

	// A broker whose pod is ready and that does not answer is said to be so.
	silent := &steer.Brokers{Open: b.Open, Set: func() (steer.Set, error) {
		set, err := b.Set()
		set.Answers = func(context.Context, int32) error { return errors.New("connection refused") }
		return set, err
	}}
	bound, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := silent.AwaitBroker(bound, 6); err == nil || !strings.Contains(err.Error(), "broker 6 is ready, and it does not answer") || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
	cluster.fails = errors.New("the API is away")
	for _, do := range []func(context.Context, int32) error{b.KillBroker, b.RestartBroker, b.AwaitBroker} {
		if err := do(t.Context(), 6); !errors.Is(err, cluster.fails) {
			t.Error(err)
		}
	}
}

// release is a part that is what it is told.
type release struct{ applied int }

func (r *release) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{State: plan.Present}, nil
}

func (r *release) Apply(context.Context, plan.Order) (map[string]string, error) {
	r.applied++
	return nil, nil
}
func (r *release) Wait(context.Context, plan.Gate, plan.Order, func(string)) error { return nil }
func (r *release) Attend(json.RawMessage)                                          {}
func (r *release) Activity() event.Activity {
	return event.Activity{Detail: json.RawMessage(`{"pods":[{"name":"s-1"}]}`)}
}

// pod is the player's.
type pod struct {
	player *simulator.Player
	asked  []string
	away   bool
}

func (p *pod) Ask(_ context.Context, namespace, selector string, port int, method, path string) ([]byte, error) {
	p.asked = append(p.asked, fmt.Sprintf("%s %s:%d %s %s", namespace, selector, port, method, path))
	if p.away {
		return nil, kube.ErrNoPod
	}
	if method == http.MethodGet {
		return json.Marshal(p.player.Status())
	}
	done, _ := p.player.Order(path[strings.LastIndex(path, "/")+1:])
	return json.Marshal(done)
}

func newPlayer(t *testing.T) *simulator.Player {
	t.Helper()
	player, err := simulator.NewPlayer(simulator.PlayConfig{Source: "a", Destination: "b"})
	if err != nil {
		t.Fatal(err)
	}
	return player
}

func TestPlayer(t *testing.T) {
	t.Parallel()
	there := &pod{player: newPlayer(t)}
	p := &steer.Player{Release: &release{}, Open: func() (steer.Asker, error) { return there, nil },
		Facts: func(st simulator.Status) []event.Fact {
			return []event.Fact{{Name: "paused", Value: fmt.Sprint(st.Paused)}}
		}}
	input := plan.Input(component.Release{Name: "simulator", Namespace: "n"})
	var f *fault.Fault
	if _, err := p.Control(t.Context(), "pause"); !errors.As(err, &f) || f.What != "the simulator does not run yet" {
		t.Errorf("%v", err)
	}
	p.Attend(input)
	if _, err := p.Control(t.Context(), "fly"); !errors.As(err, &f) || f.Code != fault.BadInput || f.What != `the simulator cannot "fly"` {
		t.Errorf("%v", err)
	}
	if said, err := p.Control(t.Context(), "pause"); err != nil || said != "paused after 0 visits" || !there.player.Status().Paused {
		t.Errorf("%q, %v", said, err)
	}
	if want := "n app.kubernetes.io/instance=simulator:8090 POST /player/pause"; there.asked[0] != want {
		t.Errorf("asked %q", there.asked)
	}
	if said, err := p.Control(t.Context(), "pause"); err != nil || !strings.HasPrefix(said, "paused already, since ") {
		t.Errorf("%q, %v", said, err)
	}

	// What it does is told to people and programs.
	if _, err := p.Observe(t.Context(), plan.Look{Last: input}); err != nil {
		t.Fatal(err)
	}
	a := p.Activity()
	if len(a.Facts) != 1 || a.Facts[0].Value != "true" || !strings.Contains(string(a.Detail), `"paused":true,"pods":[{"name":"s-1"}]`) {
		t.Errorf("%+v, %s", a.Facts, a.Detail)
	}

	// A walk that makes the pod anew leaves it paused; a runner that never gave an order does too.
	rollout := plan.Gate{Name: component.GateRollout}
	walk := func() {
		t.Helper()
		if _, err := p.Apply(t.Context(), plan.Order{Input: input}); err != nil {
			t.Fatal(err)
		}
		there.player = newPlayer(t)
		// Somebody looks while the walk goes on.
		if _, err := p.Observe(t.Context(), plan.Look{Last: input}); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context(), rollout, plan.Order{Input: input}, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	if walk(); !there.player.Status().Paused {
		t.Error("it plays after a walk")
	}
	// One that Kubernetes made anew plays, and a walk does not pause it.
	there.player = newPlayer(t)
	if _, err := p.Observe(t.Context(), plan.Look{Last: input}); err != nil {
		t.Fatal(err)
	}
	if walk(); there.player.Status().Paused {
		t.Error("it is paused after a walk")
	}
	there.away = true
	if _, err := p.Control(t.Context(), "resume"); !errors.As(err, &f) || f.What != "the simulator's pod took no order" || !errors.Is(err, kube.ErrNoPod) {
		t.Errorf("%v", err)
	}
	if _, err := p.Observe(t.Context(), plan.Look{Last: input}); err != nil || p.Activity().Facts != nil {
		t.Errorf("%v, %+v", err, p.Activity())
	}
}
