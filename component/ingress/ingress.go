// Package ingress is the way in by host names: ingress-nginx by upstream's chart, and the
// rules for the registry's read-only front and the alert database.
package ingress

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is upstream's own name for it.
const Namespace = "ingress-nginx"

// Chart is the name of upstream's chart.
const Chart = "ingress-nginx"

// WantController describes the controller. Its webhook, which would need jobs with an
// image of their own, is left out: our rules are tested.
func WantController(_ *profiles.Profile, lab component.Lab) plan.Want {
	const cpu, memory = "50m", "96Mi"
	r := component.Release{Name: "ingress-nginx", Namespace: Namespace, Pods: "app.kubernetes.io/name=ingress-nginx",
		Workloads: []component.Workload{{Name: deployment, Replicas: 1, CPU: cpu, Memory: memory}}}.From(lab.Upstream(Chart))
	r.Values = map[string]any{
		"commonLabels": map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab"},
		"controller": map[string]any{
			"admissionWebhooks": map[string]any{"enabled": false},
			// By its tag, which a bundle knows; the chart would name a digest.
			"image":                map[string]any{"digest": "", "pullPolicy": "IfNotPresent"},
			"ingressClassResource": map[string]any{"name": "nginx", "default": true},
			"service":              map[string]any{"type": "NodePort", "nodePorts": map[string]any{"http": nodeports.HTTP, "https": nodeports.HTTPS}},
			"resources":            map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"memory": "512Mi"}},
		},
	}
	return r.Want("Ingress controller of class nginx, ingress-nginx "+r.Version, component.Meets("the controller runs", 3*time.Minute))
}

// deployment is what upstream's chart calls the controller.
const deployment = "ingress-nginx-controller"

// Controller gives what the gates of WantController watch.
func Controller() map[string]component.Objects { return upstream.Available(deployment) }

// Want describes the rules.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	domain := lab.Domain()
	r := component.Release{Name: "ingresses", Namespace: component.Namespace, Chart: "ingresses", Values: map[string]any{"lab": lab.Name, "class": "nginx",
		"registry": map[string]any{"host": "alert-schemas." + domain}, "alertDatabase": map[string]any{"host": "data." + domain}}}
	return r.Want("registry at alert-schemas." + domain + ", alert database at data." + domain + "/alertdb")
}
