// Package strimzi is the operator of Kafka, by upstream's chart, and the definitions of
// its custom resources, as a release of their own.
package strimzi

import (
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is the operator's at every site.
const Namespace = "strimzi"

// Chart is the name of upstream's chart.
const Chart = "strimzi-kafka-operator"

// Deployment is what upstream's chart calls the operator.
const Deployment = "strimzi-cluster-operator"

// KafkaImage is the image of brokers, controllers and the exporter for a profile.
func KafkaImage(p *profiles.Profile, lab component.Lab) string {
	a := upstream.Of(p, lab)
	return "quay.io/strimzi/kafka:" + a.Strimzi + "-kafka-" + a.Kafka
}

// WantDefinitions describes the definitions of Strimzi's custom resources.
func WantDefinitions(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "strimzi-crds", Namespace: Namespace, Definitions: component.DefinitionsOnly,
		Values: map[string]any{"lab": lab.Name}}.From(upstream.Operator(Chart, p, lab))
	return r.Want("definitions of Kafka, its node pools, topics and users, of Strimzi "+r.Version,
		component.Meets("the cluster serves them", time.Minute))
}

// Definitions gives what the gates of WantDefinitions watch.
func Definitions() map[string]component.Objects {
	return upstream.Established("kafkas.kafka.strimzi.io", "kafkanodepools.kafka.strimzi.io", "kafkatopics.kafka.strimzi.io", "kafkausers.kafka.strimzi.io", "strimzipodsets.core.strimzi.io")
}

// WantOperator describes the operator. It watches the application's namespace alone, and
// looks at everything anew every ten minutes, since on a small machine each look is felt.
func WantOperator(p *profiles.Profile, lab component.Lab) plan.Want {
	const cpu, memory = "100m", "256Mi"
	r := component.Release{Name: "strimzi", Namespace: Namespace, Definitions: component.DefinitionsElsewhere, Pods: "strimzi.io/kind=cluster-operator",
		Workloads: []component.Workload{{Name: Deployment, Replicas: 1, CPU: cpu, Memory: memory}}}.From(upstream.Operator(Chart, p, lab))
	labels := map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab", "app.kubernetes.io/instance": r.Name}
	const patience = 600000 // ms
	r.Values = map[string]any{
		"watchNamespaces": []any{component.Namespace},
		"labels":          labels, "deploymentLabels": labels,
		"fullReconciliationIntervalMs": patience, "operationTimeoutMs": patience,
		"image":        map[string]any{"imagePullPolicy": "IfNotPresent"},
		"extraEnvs":    []any{map[string]any{"name": "JAVA_OPTS", "value": "-Xms64m -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}},
		"resources":    map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"cpu": "2", "memory": "512Mi"}},
		"dashboards":   map[string]any{"enabled": false},
		"featureGates": "",
	}
	return r.Want("operator of Kafka, Strimzi "+r.Version+", for namespace "+component.Namespace,
		component.Meets("the operator runs", 3*time.Minute))
}

// Operator gives what the gates of WantOperator watch.
func Operator() map[string]component.Objects { return upstream.Available(Deployment) }

// Kubernetes says by which name a topic or user stands among the cluster's objects, and
// whether that is its own.
func Kubernetes(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
