package lab_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/tui/internal/golden"
	"github.com/alertlab/alertlab/tui/kit"
	"github.com/alertlab/alertlab/tui/lab"
)

var now = time.Date(2026, 6, 1, 12, 30, 0, 0, time.UTC)

func state() lab.State {
	return lab.State{Started: now.Add(-5 * time.Minute), PID: 4711, Version: "v1.2.3", Stack: "alerts",
		Parts: []lab.Part{
			{Key: "kafka", State: "present", Seen: "broker 2 is killed", Amiss: "broker 2 is killed", Implementation: "kfake: 6 brokers, ids 0 to 5", Why: "alerts are published to it",
				Needs: []string{"addresses"}, Gates: []string{"every broker answers at its own address"}, Facts: []event.Fact{{Name: "bootstrap", Value: "127.0.0.10:9094"}, {Name: "brokers", Value: "5 of 6 live"}}},
			{Key: "kafka-topics", State: "unknown", Seen: "no broker answers"},
			{Key: "simulator", State: "present", Facts: []event.Fact{{Name: "published", Value: "400 alerts"}, {Name: "next visit", Value: "12:30:28"}}},
			{Key: "alert-database-server", State: "absent", Seen: "it does not run"},
		},
		Card: &endpoints.Endpoints{Lab: "mine", Profile: "local", Provider: "embedded", Kafka: endpoints.Kafka{Bootstrap: "127.0.0.10:9094", Security: "SASL_PLAINTEXT", Mechanism: "SCRAM-SHA-512",
			Brokers: []endpoints.Broker{{ID: 0, Address: "127.0.0.11:9094"}, {ID: 1, Address: "127.0.0.12:9094"}}}, Users: []endpoints.User{{Name: "antares", Role: endpoints.Reader, Topics: []string{"alerts-simulated"}}},
			Concessions: []string{"topics are stored once whatever their number of replicas says: a broker that is killed comes back with its data, the data is not elsewhere"}},
		Password: "alertlab env --user NAME",
		Changed:  []string{"ALERTLAB_SIMULATOR_ALERTS=200", "user bob was added"},
		Warnings: []string{"kafka: broker 2 is killed", "kafka-topics is unknown: no broker answers", "alert-database-server is absent: it does not run", "one more", "and another"}}
}

func pageOf(theme kit.Theme, width, height int, keys ...string) *lab.Page {
	p := lab.New(context.Background(), theme, func() time.Time { return now }, func(context.Context) (lab.State, error) { return state(), nil })
	p.SetSize(width, height)
	golden.Settle(p, p.Show())
	for _, k := range keys {
		p.Update(golden.Key(k))
	}
	return p
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for view, keys := range map[string][]string{"components": nil, "endpoints": {"e"}, "conceded": {"c"}, "detail": {"enter"}} {
		golden.Everywhere(t, view, func(theme kit.Theme) string { return pageOf(theme, 200, 56, keys...).View() })
		for _, size := range golden.Sizes {
			p := pageOf(golden.Theme(), size.Width, size.Height, keys...)
			golden.Frame(t, view+"-"+size.Name, size.Width, size.Height, p.View())
			if inner := p.Back(); inner != (keys != nil) {
				t.Errorf("%s: back said %v", view, inner)
			}
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	fail := errors.New("the runner went away")
	p := lab.New(context.Background(), golden.Theme(), func() time.Time { return now }, func(context.Context) (lab.State, error) { return lab.State{}, fail })
	p.SetSize(80, 20)
	if got := p.View(); !strings.Contains(got, "reading…") {
		t.Errorf("before the first look:\n%s", got)
	}
	golden.Settle(p, p.Show())
	if got := p.View(); !strings.Contains(got, "the runner went away") {
		t.Errorf("after a failure:\n%s", got)
	}
}
