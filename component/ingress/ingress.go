// Package ingress is the way in by host names: ingress-nginx by upstream's chart, and the
// rules for the registry's read-only front and the alert database.
package ingress

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is upstream's own name for it.
const Namespace = "ingress-nginx"

// Ports of the nodes, which end as HTTP's and HTTPS's do.
const (
	HTTP  = 30080
	HTTPS = 30443
)

// Domain is below which a lab's host names are.
func Domain(lab string) string { return lab + ".alertlab.test" }

// WantController describes the controller. Its webhook, which would need jobs with an
// image of their own, is left out: our rules are tested.
func WantController(p *profiles.Profile, lab component.Lab) plan.Want {
	const cpu, memory = "50m", "96Mi"
	r := upstream.Release("ingress-nginx", Namespace, "ingress-nginx", p, lab, component.Workload{Name: "ingress-nginx-controller", Replicas: 1, CPU: cpu, Memory: memory})
	r.Values = map[string]any{
		"commonLabels": map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab"},
		"controller": map[string]any{
			"admissionWebhooks": map[string]any{"enabled": false},
			// By its tag, which a bundle knows; the chart would name a digest.
			"image":                map[string]any{"digest": "", "pullPolicy": "IfNotPresent"},
			"ingressClassResource": map[string]any{"name": "nginx", "default": true},
			"service":              map[string]any{"type": "NodePort", "nodePorts": map[string]any{"http": HTTP, "https": HTTPS}},
			"resources":            map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"memory": "512Mi"}},
		},
	}
	r.Conditions = []component.Condition{upstream.Available(Namespace, "ingress-nginx-controller")}
	r.Pods = "app.kubernetes.io/name=ingress-nginx"
	return r.Want("Ingress controller of class nginx, ingress-nginx "+r.Version, component.Meets("the controller runs", 3*time.Minute))
}

// Want describes the rules.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	domain := Domain(lab.Name)
	r := component.Release{Name: "ingresses", Namespace: component.Namespace, Chart: "ingresses", Values: map[string]any{"lab": lab.Name, "class": "nginx",
		"registry": map[string]any{"host": "alert-schemas." + domain}, "alertDatabase": map[string]any{"host": "data." + domain}}}
	return r.Want("registry at alert-schemas." + domain + ", alert database at data." + domain + "/alertdb")
}
