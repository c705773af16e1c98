// Package schemaregistry is the built-in schema registry in a pod.
package schemaregistry

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Internal is where it answers inside the cluster, under the real Service's name.
const Internal = "http://alert-schema-registry." + component.Namespace + ".svc:8081"

// Want describes a profile's registry.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "schema-registry", Namespace: component.Namespace, Chart: "schema-registry",
		Outputs: map[string]string{"url": "http://${addresses.registry}", "url.internal": Internal},
		Values: lab.Values(map[string]any{
			"kafka": lab.Kafka(p, profiles.RegistryUser, component.ListenerTLS),
			"topic": p.Registry.Topic, "compatibility": p.Registry.Compatibility,
			"service": component.NodePort(nodeports.Registry),
		})}
	return r.Want("schema registry, its state in the topic "+p.Registry.Topic, component.Rollout(2*time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers GET /subjects", Deadline: 30 * time.Second})
}

// Probes gives the probes of the gates.
func Probes() map[string]component.Probe {
	return map[string]component.Probe{component.GateAnswers: component.Answers("url", "/subjects")}
}
