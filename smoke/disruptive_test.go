package smoke

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/endpoints"
)

// steerable is a cluster under control. Each of its methods can be replaced by one
// that does wrong.
type steerable struct {
	cfg broker.Config

	mu      sync.Mutex
	cluster *broker.Cluster

	kill, restart func(*broker.Cluster, int32) error
	between       func(broker.Config) // while all brokers are down
}

func (s *steerable) running() *broker.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}

func (s *steerable) KillBroker(_ context.Context, id int32) error {
	if s.kill != nil {
		return s.kill(s.running(), id)
	}
	return s.running().Kill(id)
}

func (s *steerable) RestartBroker(ctx context.Context, id int32) error {
	if s.restart != nil {
		return s.restart(s.running(), id)
	}
	return s.running().Restart(ctx, id)
}

func (s *steerable) RestartBrokers(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Bootstrap, s.cfg.Nodes = s.cluster.Bootstrap(), s.cluster.Nodes()
	if err := s.cluster.Close(); err != nil {
		return err
	}
	if s.between != nil {
		s.between(s.cfg)
	}
	cluster, err := broker.Start(ctx, s.cfg)
	if err != nil {
		return err
	}
	s.cluster = cluster
	return nil
}

// steered starts brokers with a stream of some visits, under control.
func steered(t *testing.T, brokers int32) (*steerable, Options) {
	t.Helper()
	ctx, o := testContext(t), card()
	s := &steerable{cfg: broker.Config{Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: super, Password: "secret-0",
		Settings: map[string]string{"auto.create.topics.enable": "false"}}}
	for id := range brokers {
		s.cfg.Nodes = append(s.cfg.Nodes, broker.Node{ID: id, Address: "127.0.0.1:0"})
	}
	var err error
	if s.cluster, err = broker.Start(ctx, s.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.running().Close(); err != nil {
			t.Error(err)
		}
	})
	o.Endpoints.Kafka = endpoints.Kafka{Bootstrap: s.cluster.Bootstrap(), Security: "SASL_PLAINTEXT", Mechanism: "SCRAM-SHA-512", StoredOnce: true}
	for _, n := range s.cluster.Nodes() {
		o.Endpoints.Kafka.Brokers = append(o.Endpoints.Kafka.Brokers, endpoints.Broker{ID: n.ID, Address: n.Address})
	}
	o.Endpoints.Handles.Brokers, o.Disruptive = s, true
	adm := kadm.NewClient(superClient(t, o))
	_, err = admin.EnsureTopics(ctx, adm, []admin.Topic{{Name: stream, Partitions: 4, Replicas: 1}})
	if err == nil {
		_, err = admin.EnsureUsers(ctx, adm, []admin.User{{Name: reader, Password: "secret-1", ACLs: admin.ReaderACLs(reader, []string{stream})},
			{Name: neighbor, Password: "secret-2", ACLs: admin.ReaderACLs(neighbor, []string{stream})}})
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		produce(t, o, kgo.StringRecord("one"), kgo.StringRecord("two"))
	}
	group := superClient(t, o, kgo.ConsumerGroup("somebody"), kgo.ConsumeTopics(stream), kgo.DisableAutoCommit())
	if recs := group.PollRecords(ctx, 10).Records(); len(recs) == 0 {
		t.Fatal("no record came")
	} else if err := group.CommitRecords(ctx, recs...); err != nil {
		t.Fatal(err)
	}
	group.Close()
	return s, o
}

func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	for _, brokers := range []int32{3, 1} {
		s, o := steered(t, brokers)
		r := check(t, o, "broker-killed")
		wantPassed(t, r, "killed under load", "all there byte for byte", "20 sampled records of "+stream+" unchanged",
			"each is stored once, so this proves that all is back after the restart, not that it survives the loss")
		if away := strings.Contains(string(r.Evidence), "(0 while it was away)"); away != (brokers == 1) {
			t.Errorf("%d brokers: %s", brokers, r.Evidence)
		}
		if living := s.running().Living(); len(living) != int(brokers) {
			t.Errorf("living are %v", living)
		}
		topics, err := kadm.NewClient(superClient(t, o)).ListTopics(testContext(t))
		if err != nil || len(topics.Names()) != 1 {
			t.Errorf("topics are %v, %v", topics.Names(), err)
		}
	}
}

// reviving is brokers that come back by themselves, perhaps before anybody has looked.
type reviving struct{ *steerable }

func (r reviving) KillBroker(ctx context.Context, id int32) error {
	return errors.Join(r.running().Kill(id), r.running().Restart(ctx, id))
}

func (r reviving) RestartBroker(context.Context, int32) error {
	return errors.New("a broker that came back is restarted")
}

func (r reviving) AwaitBroker(_ context.Context, id int32) error {
	if r.restart != nil {
		return r.restart(r.running(), id)
	}
	return nil
}

func TestBrokerThatComesBack(t *testing.T) {
	t.Parallel()
	s, o := steered(t, 3)
	o.Endpoints.Handles.Brokers = reviving{s}
	wantPassed(t, check(t, o, "broker-killed"), "killed under load", " while it came back), all there byte for byte")
	s.restart = func(*broker.Cluster, int32) error { return errors.New("its pod is pending") }
	wantFailed(t, check(t, o, "broker-killed"), "to come back", "its pod is pending")
}

func TestBrokerKilledFails(t *testing.T) {
	t.Parallel()
	s, o := steered(t, 3)
	t.Run("it does not die", func(t *testing.T) {
		s.kill = func(*broker.Cluster, int32) error { return nil }
		wantFailed(t, check(t, o, "broker-killed"), "nothing to answer at 127.0.0.1:", "an answer")
	})
	t.Run("it cannot be killed", func(t *testing.T) {
		s.kill = func(*broker.Cluster, int32) error { return errors.New("no such machine") }
		wantFailed(t, check(t, o, "broker-killed"), "killing broker", "no such machine")
	})
	t.Run("what was acknowledged is gone", func(t *testing.T) {
		s.kill = func(c *broker.Cluster, id int32) error {
			// Everything up to here is deleted, as with the only disk.
			adm := kadm.NewClient(superClient(t, o))
			ctx := testContext(t)
			ends, err := adm.ListEndOffsets(ctx)
			if err != nil {
				return err
			}
			all := ends.Offsets()
			delete(all, stream)
			if _, err := adm.DeleteRecords(ctx, all); err != nil {
				return err
			}
			return c.Kill(id)
		}
		r := check(t, o, "broker-killed")
		wantFailed(t, r, "acknowledged alerts to be there after the restart of broker", "missing and 0 with other bytes")
		if len(s.running().Living()) != 3 {
			t.Error("a broker is left dead")
		}
	})
	s.kill = nil
	t.Run("it does not come back", func(t *testing.T) {
		s.restart = func(*broker.Cluster, int32) error { return errors.New("no such machine") }
		r := check(t, o, "broker-killed")
		wantFailed(t, r, "to come back", "no such machine")
		if r.Next != "alertlab up" {
			t.Errorf("next %q", r.Next)
		}
	})
}

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	s, o := steered(t, 3)
	wantPassed(t, check(t, o, "restart-keeps-data"), "3 brokers restarted in ", "50 sampled records of "+stream+" unchanged",
		"offsets of 1 groups kept", "superuser "+super+" and reader "+reader+" log in")
	t.Run("records are gone", func(t *testing.T) {
		s.between = func(cfg broker.Config) {
			segments, err := filepath.Glob(filepath.Join(cfg.DataDir, "*", "*", "*"))
			if err != nil {
				t.Error(err)
			}
			for _, path := range segments {
				if strings.Contains(path, stream) {
					if err := os.RemoveAll(path); err != nil {
						t.Error(err)
					}
				}
			}
		}
		wantFailed(t, check(t, o, "restart-keeps-data"), stream)
	})
	s.between = nil
	t.Run("they do not come back", func(t *testing.T) {
		closed := s.running()
		s.between = func(cfg broker.Config) { s.cfg.Nodes = nil }
		r := check(t, o, "restart-keeps-data")
		wantFailed(t, r, "all brokers to come back")
		if r.Next != "alertlab up" {
			t.Errorf("next %q", r.Next)
		}
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDisruptiveChecksNeedControl(t *testing.T) {
	t.Parallel()
	o := card()
	o.Disruptive, o.Only = true, []string{"broker-killed", "restart-keeps-data"}
	r, err := Run(t.Context(), o)
	if err != nil || len(r.Results) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, res := range r.Results {
		if res.Status != Skipped || res.Reason != "the lab offers no broker control" {
			t.Errorf("%s: %s %q", res.Check, res.Status, res.Reason)
		}
	}
}
