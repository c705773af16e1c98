package charts_test

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/charts"
)

// The table says all that is wrong with it at once, and takes no key that it does not know.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	_, err := charts.Read([]byte(`registryOperator:
  - {version: 0.7.1, chart: "2", api: [v1]}
  - {version: 0.6.0, chart: "1", api: [v1]}
strimzi:
  - {version: 1.2.0, kafka: ["4.3.1", "4.2.0"], kubernetes: {from: "1.30"}, api: [v1]}
  - {version: 1.1.0, kafka: [], kubernetes: {from: "new"}, api: []}
charts:
  - {name: nothing, version: "1"}
`))
	if err == nil {
		t.Fatal("read")
	}
	for _, part := range []string{"1.1.0 stands behind 1.2.0", "strimzi[1]: it runs no Kafka", `"new" is no minor release`, "strimzi[0].kafka: the newest is the last", "0.6.0 stands behind 0.7.1", "charts[0]: it lacks"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("without %q:\n%v", part, err)
		}
	}
	if _, err := charts.Read([]byte("strimzis: []\n")); err == nil || !strings.Contains(err.Error(), "strimzis") {
		t.Errorf("a key that is not known: %v", err)
	}
}

func TestUpstreams(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ingress-nginx": "registry.k8s.io/ingress-nginx/controller:v1.15.1",
		"argo-cd":       "quay.io/argoproj/argocd:v2.14.21 public.ecr.aws/docker/library/redis:7.0.15-alpine",
	} {
		u, ok := charts.Pinned(name)
		if got := strings.Join(u.References(), " "); !ok || got != want {
			t.Errorf("%s: %t, %s", name, ok, got)
		}
	}
	if _, ok := charts.Pinned("zookeeper"); ok {
		t.Error("a chart that nobody publishes")
	}
	charts.Upstreams()[0].Name = "changed"
	if charts.Upstreams()[0].Name == "changed" {
		t.Error("who reads the table changes it")
	}
}
