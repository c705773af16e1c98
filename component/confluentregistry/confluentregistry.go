// Package confluentregistry is Confluent's schema registry as the real sites run it: by
// strimzi-registry-operator, which makes a Deployment and a Service of a custom resource,
// and key stores of the Kafka user's certificate.
package confluentregistry

import (
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

// Chart is the name of the operator's chart.
const Chart = "strimzi-registry-operator"

// Image is Confluent's.
func Image() string { return upstream.Image("schema-registry") }

// WantDefinitions describes the definition of the operator's custom resource.
func WantDefinitions(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "strimzi-registry-operator-crds", Namespace: Namespace, Definitions: component.DefinitionsOnly,
		Values: map[string]any{"lab": lab.Name}}.From(upstream.Operator(Chart, p, lab))
	return r.Want("definition of StrimziSchemaRegistry, of chart "+r.Version, component.Meets("the cluster serves it", time.Minute))
}

// Definitions gives what the gates of WantDefinitions watch.
func Definitions() map[string]component.Objects {
	return upstream.Established("strimzischemaregistries.roundtable.lsst.codes")
}

// deployment is what the operator's chart calls it.
const deployment = "strimzi-registry-operator"

// WantOperator describes the operator.
func WantOperator(p *profiles.Profile, lab component.Lab) plan.Want {
	u := upstream.Operator(Chart, p, lab)
	// Its chart has no value for what it asks for: it asks for nothing.
	r := component.Release{Name: deployment, Namespace: Namespace, Definitions: component.DefinitionsElsewhere, Pods: "app=" + deployment,
		Workloads: []component.Workload{{Name: deployment, Replicas: 1, CPU: "0", Memory: "0"}},
		Values:    map[string]any{"clusterName": p.Kafka.Cluster, "clusterNamespace": component.Namespace}}.From(u)
	return r.Want("operator of the schema registry, strimzi-registry-operator "+u.AppVersion,
		component.Meets("the operator runs", 3*time.Minute))
}

// Operator gives what the gates of WantOperator watch.
func Operator() map[string]component.Objects { return upstream.Available(deployment) }

// name is the custom resource's, and what the operator calls the Deployment that it makes.
const name = "alert-schema-registry"

// Pods chooses the registry's pods and their Deployment, which the operator labels so and
// not with the lab's.
const Pods = "app=" + name

// Want describes the registry.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	image, tag, _ := strings.Cut(Image(), ":")
	r := component.Release{Name: "schema-registry", Namespace: component.Namespace, Chart: "strimzi-schema-registry", Pods: Pods,
		Outputs: map[string]string{"url": "http://${addresses.registry}", "url.internal": schemaregistry.Internal},
		Values: map[string]any{"lab": lab.Name, "cluster": p.Kafka.Cluster, "api": upstream.Of(p, lab).API, "name": name,
			"topic": p.Registry.Topic, "compatibility": strings.ToLower(p.Registry.Compatibility), "replicas": max(1, p.Registry.Replicas),
			"image": image, "tag": tag, "service": component.NodePort(nodeports.Registry)}}
	return r.Want("Confluent's schema registry "+tag+", its state in the topic "+p.Registry.Topic,
		component.Meets("the operator has made it, and it runs", 5*time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers GET /subjects", Deadline: 2 * time.Minute})
}

// Watched gives what the gates of Want watch.
func Watched() map[string]component.Objects { return upstream.Available(name) }
