// Package confluentregistry is Confluent's schema registry as the real sites run it: by
// strimzi-registry-operator, which makes a Deployment and a Service of a custom resource,
// and key stores of the Kafka user's certificate.
package confluentregistry

import (
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/schemaregistry"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is the operator's at the sites where it is an application of its own.
const Namespace = "strimzi-registry-operator"

const operator = "strimzi-registry-operator"

// OperatorImage is the image of the operator, Image Confluent's.
func OperatorImage(p *profiles.Profile, lab component.Lab) string {
	return "ghcr.io/lsst-sqre/strimzi-registry-operator:" + upstream.Of(p, lab).RegistryOperator.Version
}

// Image is Confluent's.
func Image() string { return upstream.Image("schema-registry") }

// WantDefinitions describes the definition of the operator's custom resource.
func WantDefinitions(p *profiles.Profile, lab component.Lab) plan.Want {
	r := upstream.Release("strimzi-registry-operator-crds", Namespace, operator, p, lab)
	r.Outside.Definitions = true
	r.Values = map[string]any{"lab": lab.Name}
	r.Conditions = []component.Condition{upstream.Established("strimzischemaregistries.roundtable.lsst.codes")}
	return r.Want("definition of StrimziSchemaRegistry, of chart "+r.Version, component.Meets("the cluster serves it", time.Minute))
}

// WantOperator describes the operator.
func WantOperator(p *profiles.Profile, lab component.Lab) plan.Want {
	// Its chart has no value for what it asks for: it asks for nothing.
	r := upstream.Release(operator, Namespace, operator, p, lab, component.Workload{Name: operator, Replicas: 1, CPU: "0", Memory: "0"})
	r.Values = map[string]any{"clusterName": p.Kafka.Cluster, "clusterNamespace": component.Namespace}
	r.Conditions = []component.Condition{upstream.Available(Namespace, operator)}
	r.Pods = "app=" + operator
	return r.Want(fmt.Sprintf("operator of the schema registry, strimzi-registry-operator %s", upstream.Of(p, lab).RegistryOperator.Version),
		component.Meets("the operator runs", 3*time.Minute))
}

// Want describes the registry.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	image, tag, _ := strings.Cut(Image(), ":")
	const name = "alert-schema-registry"
	r := component.Release{Name: "schema-registry", Namespace: component.Namespace, Chart: "strimzi-schema-registry",
		Outputs: map[string]string{"url": "http://${addresses.registry}", "url.internal": schemaregistry.Internal},
		Values: map[string]any{"lab": lab.Name, "cluster": p.Kafka.Cluster, "api": upstream.Of(p, lab).API, "name": name,
			"topic": p.Registry.Topic, "compatibility": strings.ToLower(p.Registry.Compatibility), "replicas": max(1, p.Registry.Replicas),
			"image": image, "tag": tag, "service": component.NodePort(nodeports.Registry)},
		Conditions: []component.Condition{upstream.Available(component.Namespace, name)}, Pods: "app=" + name}
	return r.Want("Confluent's schema registry "+tag+", its state in the topic "+p.Registry.Topic,
		component.Meets("the operator has made it, and it runs", 5*time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers GET /subjects", Deadline: 2 * time.Minute})
}
