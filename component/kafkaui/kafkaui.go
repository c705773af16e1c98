// Package kafkaui is kafbat's user interface of Kafka, by upstream's chart. It logs in as
// the superuser at the external listener, as the sites' operators do.
package kafkaui

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// NodePort is the port of the nodes at which it answers.
const NodePort = 31282

// Want describes it.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	const cpu, memory = "50m", "384Mi"
	r := upstream.Release("kafka-ui", component.Namespace, "kafka-ui", p, lab, component.Workload{Name: "kafka-ui", Replicas: 1, CPU: cpu, Memory: memory})
	protocol := "SASL_PLAINTEXT"
	if p.Kafka.Listener.TLS {
		protocol = "SASL_SSL"
	}
	r.Values = map[string]any{
		"fullnameOverride": "kafka-ui",
		"env": []any{
			// The first: those behind it refer to it.
			map[string]any{"name": "KAFKA_PASSWORD", "valueFrom": map[string]any{
				"secretKeyRef": map[string]any{"name": component.Secret, "key": p.Kafka.Superuser + "-password"}}},
			map[string]any{"name": "KAFKA_CLUSTERS_0_NAME", "value": p.Kafka.Cluster},
			map[string]any{"name": "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS", "value": "${kafka.bootstrap}"},
			map[string]any{"name": "KAFKA_CLUSTERS_0_PROPERTIES_SECURITY_PROTOCOL", "value": protocol},
			map[string]any{"name": "KAFKA_CLUSTERS_0_PROPERTIES_SASL_MECHANISM", "value": "SCRAM-SHA-512"},
			map[string]any{"name": "KAFKA_CLUSTERS_0_PROPERTIES_SASL_JAAS_CONFIG",
				"value": `org.apache.kafka.common.security.scram.ScramLoginModule required username="` + p.Kafka.Superuser + `" password="$(KAFKA_PASSWORD)";`},
			map[string]any{"name": "KAFKA_CLUSTERS_0_SCHEMAREGISTRY", "value": "${schema-registry.url.internal}"},
			map[string]any{"name": "JAVA_OPTS", "value": "-Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"},
		},
		"podLabels": map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab"},
		"service":   map[string]any{"type": "NodePort", "nodePort": NodePort},
		"resources": map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"memory": "640Mi"}},
	}
	r.Outputs = map[string]string{"port": "31282"}
	r.Conditions = []component.Condition{upstream.Available(component.Namespace, "kafka-ui")}
	r.Pods = "app.kubernetes.io/name=kafka-ui"
	return r.Want("user interface of Kafka, kafbat's chart "+r.Version, component.Meets("it runs", 5*time.Minute))
}
