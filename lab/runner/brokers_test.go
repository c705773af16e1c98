package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
)

// steered notes what is done to the brokers of a fake lab; broker 13 cannot be
// killed.
type steered struct{ lab *fakeLab }

func (s steered) KillBroker(_ context.Context, id int32) error {
	if id == 13 {
		return errors.New("there is no broker 13")
	}
	s.lab.note(fmt.Sprint("kill ", id))
	return nil
}

func (s steered) RestartBroker(_ context.Context, id int32) error {
	s.lab.note(fmt.Sprint("restart ", id))
	return nil
}

func (s steered) RestartBrokers(context.Context) error {
	s.lab.note("restart all")
	return nil
}

// reviving is brokers that come back by themselves.
type reviving struct{ steered }

func (r reviving) AwaitBroker(_ context.Context, id int32) error {
	r.lab.note(fmt.Sprint("await ", id))
	return nil
}

// Brokers gives no control before there are brokers.
func (l *fakeLab) Brokers() endpoints.BrokerControl {
	l.broker.mu.Lock()
	defer l.broker.mu.Unlock()
	switch {
	case !l.broker.there:
		return nil
	case l.revives.Load():
		return reviving{steered{l}}
	}
	return steered{l}
}

// Who asks from afar knows whether brokers come back by themselves.
func TestReviver(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if err := client.Up(ctx, describe("local"), silent); err != nil {
		t.Fatal(err)
	}
	control, err := client.BrokerControl(ctx)
	if _, revives := control.(endpoints.Reviver); err != nil || revives {
		t.Errorf("%T, %v", control, err)
	}
	s.lab.revives.Store(true)
	control, err = client.BrokerControl(ctx)
	reviver, revives := control.(endpoints.Reviver)
	if err != nil || !revives {
		t.Fatalf("%T, %v", control, err)
	}
	s.lab.doings()
	if err := errors.Join(control.KillBroker(ctx, 2), reviver.AwaitBroker(ctx, 2)); err != nil {
		t.Error(err)
	}
	sameLines(t, "done", s.lab.doings(), "kill 2", "await 2")
	s.lab.revives.Store(false)
	if err := reviver.AwaitBroker(ctx, 2); err == nil {
		t.Error("brokers come back that nobody brings back")
	}
}

func TestBrokerControl(t *testing.T) {
	t.Parallel()
	s := serve(t, newDir(t))
	client, ctx := s.dial(t), patience(t)
	if control, err := client.BrokerControl(ctx); err != nil || control != nil {
		t.Errorf("of a lab that was never up: %v, %v", control, err)
	}
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	s.lab.doings()
	control, err := client.BrokerControl(ctx)
	if err != nil || control == nil {
		t.Fatalf("%v, %v", control, err)
	}
	if err := errors.Join(control.KillBroker(ctx, 2), control.RestartBroker(ctx, 2), control.RestartBrokers(ctx)); err != nil {
		t.Error(err)
	}
	sameLines(t, "done", s.lab.doings(), "kill 2", "restart 2", "restart all")
	var f *fault.Fault
	if err := control.KillBroker(ctx, 13); !errors.As(err, &f) || f.What != "there is no broker 13" {
		t.Errorf("got %v", err)
	}

	// Not while the lab is being changed.
	g := newGate()
	s.lab.topics.set(g.wait)
	ended := make(chan error, 1)
	go func() { ended <- client.Up(ctx, describe("other"), func(event.Event) {}) }()
	<-g.reached
	if err := control.KillBroker(ctx, 2); !errors.As(err, &f) || f.What != "the lab is being changed already" || !strings.HasPrefix(f.Next, "alertlab attach") {
		t.Errorf("during a walk: %v", err)
	}
	close(g.open)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := control.KillBroker(ctx, 3); err != nil {
		t.Error(err)
	}
}
