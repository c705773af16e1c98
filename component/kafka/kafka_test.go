package kafka_test

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/broker"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

func TestControllers(t *testing.T) {
	t.Parallel()
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	for brokers, want := range map[int]int{1: 1, 2: 1, 3: 3, 6: 3} {
		p.Kafka.Brokers.Count = brokers
		if got := kafka.Controllers(p); got != want {
			t.Errorf("%d brokers have %d controllers", brokers, got)
		}
	}
	if got := kafka.Image(p); got != "docker.io/apache/kafka:"+kafka.Tested {
		t.Error(got)
	}
	p.Kafka.Version = "4.2.0"
	if got := kafka.Image(p); got != "docker.io/apache/kafka:4.2.0" {
		t.Error(got)
	}
	lab := component.Lab{Name: "default"}
	if id := lab.ClusterID(); len(id) != 22 || strings.HasPrefix(id, "-") || id == (component.Lab{Name: "other"}).ClusterID() {
		t.Errorf("cluster id %s", id)
	}
}

// The gate opens when every address answers, and each broker announces its own.
func TestBrokersAnswer(t *testing.T) {
	t.Parallel()
	cluster, err := broker.Start(t.Context(), broker.Config{Nodes: []broker.Node{{ID: 6, Address: "127.0.0.1:0"}, {ID: 7, Address: "127.0.0.1:0"}},
		Bootstrap: "127.0.0.1:0", DataDir: t.TempDir(), Superuser: "kafka-admin", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	store := &secrets.Store{}
	store.Set(endpoints.Credentials{Kafka: map[string]string{"kafka-admin": "secret"}})
	probe := kafka.Probes(store)["brokers-answer"]
	nodes := cluster.Nodes()
	r := component.Release{Values: map[string]any{"superuser": "kafka-admin"},
		Outputs: map[string]string{"bootstrap": cluster.Bootstrap(), "bootstrap.internal": "nowhere:1", "broker.6": nodes[0].Address, "broker.7": nodes[1].Address}}
	if open, seen, err := probe(t.Context(), r); !open || err != nil {
		t.Errorf("%t, %s, %v", open, seen, err)
	}
	r.Outputs["broker.7"] = "127.0.0.1:1"
	if open, seen, err := probe(t.Context(), r); open || err != nil || !strings.HasPrefix(seen, "0 of 3 addresses answer") {
		t.Errorf("a broker that announces another address: %t, %s, %v", open, seen, err)
	}
	delete(r.Outputs, "broker.7")
	if open, seen, err := probe(t.Context(), r); open || err != nil || !strings.Contains(seen, "it knows the brokers") {
		t.Errorf("a broker too many: %t, %s, %v", open, seen, err)
	}
	if _, _, err := kafka.Probes(&secrets.Store{})["brokers-answer"](t.Context(), r); err == nil {
		t.Error("asked without a password")
	}
}
