package helm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/internal/kube"
)

const rendered = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, labels: {a: b}}
spec:
  template:
    spec:
      initContainers: [{name: i, image: "docker.io/library/busybox:1"}]
      containers:
      - name: operator
        image: quay.io/strimzi/operator:1.2.0
        env:
        - {name: STRIMZI_KAFKA_IMAGES, value: "4.2.0=quay.io/strimzi/kafka:1.2.0-kafka-4.2.0\n4.3.1=quay.io/strimzi/kafka:1.2.0-kafka-4.3.1"}
        - {name: URL, value: "https://example.org/path"}
        - {name: SECRET, valueFrom: {secretKeyRef: {name: s, key: k}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: two}
spec: {replicas: 2, template: {spec: {containers: []}}}
`

// What a chart of others renders tells whose it is, can be scaled back, takes its images
// from the site's registry, and leaves definitions for who knows of their objects.
func TestOwned(t *testing.T) {
	t.Parallel()
	out, err := owned{lab: "mine", brought: "operator", registry: "r.example:5000/site"}.Run(bytes.NewBufferString(rendered))
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for what, n := range map[string]int{
		kube.LabelLab + ": mine":         3,
		kube.LabelBrought + ": operator": 3,
		"helm.sh/resource-policy: keep":  1,
		"replicas: 1":                    1,
		"replicas: 2":                    1,
		"a: b":                           1,
		"image: r.example:5000/site/quay.io/strimzi/operator:1.2.0":         1,
		"image: r.example:5000/site/docker.io/library/busybox:1":            1,
		"4.2.0=r.example:5000/site/quay.io/strimzi/kafka:1.2.0-kafka-4.2.0": 1,
		"4.3.1=r.example:5000/site/quay.io/strimzi/kafka:1.2.0-kafka-4.3.1": 1,
		"https://example.org/path":                                          1,
	} {
		if got := strings.Count(text, what); got != n {
			t.Errorf("%q stands %d times, not %d, in\n%s", what, got, n, text)
		}
	}
	out, err = owned{lab: "mine"}.Run(bytes.NewBufferString(rendered))
	if err != nil || strings.Contains(out.String(), kube.LabelBrought) || !strings.Contains(out.String(), "image: quay.io/strimzi/operator:1.2.0") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := (owned{lab: "mine"}).Run(bytes.NewBufferString("kind: [")); err == nil {
		t.Error("what is no manifest was taken")
	}
}
