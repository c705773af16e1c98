// Package ingress is the way in by host names: ingress-nginx by upstream's chart, and the
// rules for the registry's read-only front and the alert database.
package ingress

import (
	"fmt"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/internal/kube"
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

// What is known by a name of its own, each below the lab's domain: the registry's front,
// the alert database and Argo CD.
const (
	registryHost = "alert-schemas."
	dataHost     = "data."
	argoHost     = "argocd."
	dataPath     = "/alertdb"
)

// Outputs of Want: URLs at the port of a node, for who gives the name the node's address.
const (
	RegistryURL = "registry"
	AlertDBURL  = "alertdb"
	ArgoCDURL   = "argocd"
)

// GateCertificates opens when the certificate of every host was issued.
const GateCertificates = "certificates-ready"

// Want describes the rules, each with a certificate of the lab's issuer.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	domain := lab.Domain()
	at := func(host string) string { return fmt.Sprintf("https://%s%s:%d", host, domain, nodeports.HTTPS) }
	r := component.Release{Name: "ingresses", Namespace: component.Namespace, Chart: "ingresses",
		Values: map[string]any{"lab": lab.Name, "class": "nginx", "issuer": certmanager.Issuer(p),
			"registry": map[string]any{"host": registryHost + domain}, "alertDatabase": map[string]any{"host": dataHost + domain, "path": dataPath}},
		Outputs: map[string]string{RegistryURL: at(registryHost), AlertDBURL: at(dataHost) + dataPath}}
	title := "registry at " + registryHost + domain + ", alert database at " + dataHost + domain + dataPath
	if lab.ArgoCD {
		r.Values["argocd"] = map[string]any{"host": argoHost + domain}
		r.Outputs[ArgoCDURL] = at(argoHost)
		title += ", Argo CD at " + argoHost + domain
	}
	return r.Want(title+", over TLS", plan.Gate{Name: GateCertificates, What: "the certificate of every host is issued", Deadline: 2 * time.Minute})
}

// Watched gives what the gates of Want watch. Certificates are called as the Ingresses.
func Watched() map[string]component.Objects {
	return map[string]component.Objects{GateCertificates: func(r component.Release) []kube.Expected {
		out := []kube.Expected{certmanager.Issued(r.Namespace, "alert-schema-registry-tls"), certmanager.Issued(r.Namespace, "alert-database-tls")}
		if r.Values["argocd"] != nil {
			out = append(out, certmanager.Issued(argocd.Namespace, "argocd-ingress-tls"))
		}
		return out
	}}
}
