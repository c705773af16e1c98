// Package registryfront is the registry's read-only front in a pod: what the
// Ingress's rule is at the real site, behind any controller.
package registryfront

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Want describes the front; every profile has the same.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "registry-front", Namespace: component.Namespace, Chart: "registry-front",
		Outputs: map[string]string{"url": "http://${addresses.registry-front}"},
		Values: lab.Policed(map[string]any{"lab": lab.Name, "image": lab.Values(nil)["image"], "target": "${schema-registry.url.internal}",
			"service": component.NodePort(nodeports.Front)})}
	return r.Want("read-only front of the schema registry", component.Rollout(time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers GET /subjects", Deadline: 30 * time.Second})
}

// Probes gives the probes of the gates.
func Probes() map[string]component.Probe {
	return map[string]component.Probe{component.GateAnswers: component.Answers("url", "/subjects")}
}
