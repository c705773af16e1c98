package versions_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/lab/versions"
	"github.com/alertlab/alertlab/profiles"
)

func TestSolve(t *testing.T) {
	t.Parallel()
	table := versions.Table(charts.Others())
	for _, tc := range []struct {
		kafka, kubernetes string
		want              string // Kafka, Strimzi, API, chart of the registry operator
		refused           []string
	}{
		{"", "", "4.3.1 1.2.0 v1 2.1.3", nil},
		{"4.2.0", "1.35", "4.2.0 1.2.0 v1 2.1.3", nil},
		{"4.2.0", "1.30", "4.2.0 1.2.0 v1 2.1.3", nil},
		{"4.1.0", "1.35", "4.1.0 1.0.1 v1 2.1.3", nil},
		{"3.6.0", "1.31", "3.6.0 0.38.0 v1beta2 2.1.3", nil},
		{"4.0.0", "1.35", "", []string{"no Strimzi runs Kafka 4.0.0 on Kubernetes 1.35", "Strimzi 1.2.0 runs Kafka 4.2.0, 4.2.1, 4.3.0, 4.3.1", "what runs there is Kafka 4.1.0, 4.1.1, 4.1.2, 4.2.0, 4.2.1, 4.3.0, 4.3.1"}},
		{"2.8.1", "1.35", "", []string{"Strimzi 0.26.0 runs on Kubernetes 1.16 to 1.24"}},
		{"4.2.0", "1.29", "", []string{"Strimzi 1.2.0 runs on Kubernetes from 1.30", "what runs there is Kafka 3.5.0, 3.5.1, 3.6.0"}},
	} {
		got, err := table.Solve(versions.Question{Kafka: tc.kafka, Kubernetes: tc.kubernetes})
		var none *versions.NoneError
		if tc.want == "" {
			if !errors.As(err, &none) {
				t.Errorf("Kafka %s on %s: %+v, %v", tc.kafka, tc.kubernetes, got, err)
				continue
			}
			for _, part := range tc.refused {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Kafka %s on %s: %v, without %q", tc.kafka, tc.kubernetes, err, part)
				}
			}
			continue
		}
		if text := strings.Join([]string{got.Kafka, got.Strimzi, got.API, got.RegistryOperator.Chart}, " "); err != nil || text != tc.want {
			t.Errorf("Kafka %q on %q: %s, %v, want %s", tc.kafka, tc.kubernetes, text, err, tc.want)
		}
	}
}

// Every shipped profile can be run by what is published, and says what its source had.
func TestProfiles(t *testing.T) {
	t.Parallel()
	table := versions.Table(charts.Others())
	want := map[string][]string{
		"idfint": {"strimzi: 0.26.0 -> 1.2.0, because Strimzi 0.26.0 runs on Kubernetes 1.16 to 1.24, not on 1.35",
			"strimzi-registry-operator: chart 1.1.0 -> 2.1.3, because it is the newest that knows the API v1 of Strimzi 1.2.0"},
		"usdfdev": {"strimzi: 0.51.0 -> 1.2.0, because Strimzi 0.51.0 runs Kafka 4.1.0, 4.1.1, 4.2.0, not the source's 4.0.0",
			"strimzi-registry-operator: chart 2.1.0 -> 2.1.3, because it is the newest that knows the API v1 of Strimzi 1.2.0"},
	}
	for _, info := range profiles.List() {
		p, err := profiles.Load(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		q := versions.Question{Kafka: p.Kafka.Version, Kubernetes: "1.35"}
		a, err := table.Solve(q)
		if err != nil {
			t.Errorf("%s: %v", info.Name, err)
			continue
		}
		if got := table.Conceded(info.Name, q, a); !slices.Equal(got, want[info.Name]) {
			t.Errorf("%s:\n%s", info.Name, strings.Join(got, "\n"))
		}
	}
}

func TestCharts(t *testing.T) {
	t.Parallel()
	table := versions.Table(charts.Others())
	a, err := table.Solve(versions.Question{Kafka: "4.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"strimzi-kafka-operator": "1.0.1", "strimzi-registry-operator": "2.1.3", "ingress-nginx": "4.15.1"} {
		if c, err := table.Chart(name, a); err != nil || c.Version != want || c.Repository == "" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if c, err := table.Chart("ingress-nginx", a); err != nil || strings.Join(c.References(), " ") != "registry.k8s.io/ingress-nginx/controller:v1.15.1" {
		t.Errorf("%v, %v", c.References(), err)
	}
	if _, err := table.Chart("zookeeper", a); !errors.Is(err, versions.ErrUnknown) {
		t.Errorf("a chart that nobody publishes: %v", err)
	}
	if ref, err := table.Image("minio"); err != nil || !strings.HasPrefix(ref, "quay.io/minio/minio:") {
		t.Errorf("%s, %v", ref, err)
	}
	if _, err := table.Image("zookeeper"); !errors.Is(err, versions.ErrUnknown) {
		t.Errorf("an image that nobody publishes: %v", err)
	}
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{"docker.io/rancher/k3s:v1.33.5-k3s1": "1.33", "rig.local/node:v1.35.4": "1.35", "kindest/node:v1.34.0@sha256:00": "1.34", "node:latest": ""} {
		if got := versions.Kubernetes(image); got != want {
			t.Errorf("%s runs %q, want %q", image, got, want)
		}
	}
}
