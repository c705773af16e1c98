// Package kafkaui is kafbat's user interface of Kafka, by upstream's chart. It logs in as
// the superuser at the external listener, as the sites' operators do.
package kafkaui

import (
	"strconv"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Chart is the name of upstream's chart, and what its Deployment is called here.
const Chart = "kafka-ui"

// trusted is where the authority of the external listener lies in the pod.
const trusted = "/etc/kafka-external-ca-cert"

// Want describes it.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	const cpu, memory = "50m", "384Mi"
	r := component.Release{Name: Chart, Namespace: component.Namespace, Pods: "app.kubernetes.io/name=kafka-ui",
		Workloads: []component.Workload{{Name: Chart, Replicas: 1, CPU: cpu, Memory: memory}}}.From(lab.Upstream(Chart))
	protocol, trusts := "SASL_PLAINTEXT", []any{}
	if certmanager.Wanted(p) {
		protocol = "SASL_SSL"
		trusts = append(trusts,
			map[string]any{"name": "KAFKA_CLUSTERS_0_PROPERTIES_SSL_TRUSTSTORE_TYPE", "value": "PEM"},
			map[string]any{"name": "KAFKA_CLUSTERS_0_PROPERTIES_SSL_TRUSTSTORE_LOCATION", "value": trusted + "/ca.crt"})
	}
	r.Values = map[string]any{
		"fullnameOverride": Chart,
		"env": append([]any{
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
		}, trusts...),
		"podLabels": map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab"},
		"service":   map[string]any{"type": "NodePort", "nodePort": nodeports.KafkaUI},
		"resources": map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"memory": "640Mi"}},
	}
	r.Outputs = map[string]string{"port": strconv.Itoa(nodeports.KafkaUI)}
	if certmanager.Wanted(p) {
		const volume = "authority"
		r.Values["volumes"] = []any{map[string]any{"name": volume, "secret": map[string]any{
			"secretName": "${certificates.external}", "items": []any{map[string]any{"key": "ca.crt", "path": "ca.crt"}}}}}
		r.Values["volumeMounts"] = []any{map[string]any{"name": volume, "mountPath": trusted, "readOnly": true}}
	}
	return r.Want("user interface of Kafka, kafbat's chart "+r.Version, component.Meets("it runs", 5*time.Minute))
}

// Watched gives what the gates watch.
func Watched() map[string]component.Objects { return upstream.Available(Chart) }
