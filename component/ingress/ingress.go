// Package ingress is the way in by host names: an ingress controller by upstream's chart,
// ingress-nginx or Traefik, or none where the cluster has one; and the rules for the
// registry's read-only front, the alert database and Argo CD.
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

// The names of upstream's charts. Their namespaces are upstream's own names, too.
const (
	ChartNginx   = "ingress-nginx"
	ChartTraefik = "traefik"
)

// What a controller asks for.
const cpu, memory = "50m", "96Mi"

func resources() map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}, "limits": map[string]any{"memory": "512Mi"}}
}

func labels(lab component.Lab) map[string]any {
	return map[string]any{"alertlab.dev/lab": lab.Name, "app.kubernetes.io/part-of": "alertlab"}
}

// controllerClass is what an IngressClass of the lab's names as its controller. Where
// others have controllers too, neither may take the other's Ingresses.
func controllerClass(c Choice) string { return "alertlab.dev/" + string(c.Kind) }

// WantController describes the controller that the lab brings.
func WantController(_ *profiles.Profile, lab component.Lab) plan.Want {
	if Of(lab).Kind == Traefik {
		return wantTraefik(lab)
	}
	return wantNginx(lab)
}

func runs() plan.Gate { return component.Meets("the controller runs", 3*time.Minute) }

// wantNginx describes ingress-nginx. Its webhook, which would need jobs with an image of
// their own, is left out: our rules are tested.
func wantNginx(lab component.Lab) plan.Want {
	class := map[string]any{"name": string(Nginx), "default": true}
	if lab.Guest {
		class = map[string]any{"name": string(Nginx), "default": false, "controllerValue": controllerClass(Choice{Kind: Nginx})}
	}
	r := component.Release{Name: ChartNginx, Namespace: ChartNginx, Pods: "app.kubernetes.io/name=ingress-nginx",
		Workloads: []component.Workload{{Name: nginxDeployment, Replicas: 1, CPU: cpu, Memory: memory}}}.From(lab.Upstream(ChartNginx))
	r.Values = map[string]any{
		"commonLabels": labels(lab),
		"controller": map[string]any{
			"admissionWebhooks": map[string]any{"enabled": false},
			// By its tag, which a bundle knows; the chart would name a digest.
			"image":                map[string]any{"digest": "", "pullPolicy": "IfNotPresent"},
			"ingressClassResource": class,
			"service":              map[string]any{"type": "NodePort", "nodePorts": map[string]any{"http": nodeports.HTTP, "https": nodeports.HTTPS}},
			"resources":            resources(),
		},
	}
	return r.Want("Ingress controller of class nginx, ingress-nginx "+r.Version, runs())
}

// wantTraefik describes Traefik, which reads Ingresses with the annotations of
// ingress-nginx, and nothing else: none of its own resources, nor its definitions of them.
// Its chart's IngressClass is for another of its readers, so the class is of Want's chart.
func wantTraefik(lab component.Lab) plan.Want {
	off := func() map[string]any { return map[string]any{"enabled": false} }
	u := lab.Upstream(ChartTraefik)
	r := component.Release{Name: ChartTraefik, Namespace: ChartTraefik, Pods: "app.kubernetes.io/name=traefik", Definitions: component.DefinitionsElsewhere,
		Workloads: []component.Workload{{Name: traefikDeployment, Replicas: 1, CPU: cpu, Memory: memory}}}.From(u)
	r.Values = map[string]any{
		// As a bundle and a site's registry know it; upstream leaves library out.
		"image":        map[string]any{"registry": "docker.io", "repository": "library/traefik", "pullPolicy": "IfNotPresent"},
		"global":       map[string]any{"checkNewVersion": false, "sendAnonymousUsage": false},
		"deployment":   map[string]any{"podLabels": labels(lab)},
		"ingressClass": off(),
		"providers": map[string]any{"kubernetesCRD": off(), "kubernetesIngress": off(), "kubernetesIngressNGINX": map[string]any{
			"enabled": true, "ingressClass": string(Traefik), "controllerClass": controllerClass(Choice{Kind: Traefik}),
			// The address of a Service with ports of the nodes is of use to nobody outside.
			"publishService": off()}},
		"ports":     map[string]any{"web": map[string]any{"nodePort": nodeports.HTTP}, "websecure": map[string]any{"nodePort": nodeports.HTTPS}},
		"service":   map[string]any{"labels": labels(lab), "spec": map[string]any{"type": "NodePort"}},
		"resources": resources(),
	}
	return r.Want("Ingress controller of class traefik, Traefik "+u.AppVersion+", which reads ingress-nginx's annotations", runs())
}

// What upstream's charts call the controllers.
const (
	nginxDeployment   = "ingress-nginx-controller"
	traefikDeployment = "traefik"
)

// Controller gives what the gates of WantController watch.
func Controller() map[string]component.Objects {
	return upstream.Watches(func(r component.Release) []kube.Expected {
		name := nginxDeployment
		if r.Chart == ChartTraefik {
			name = traefikDeployment
		}
		return []kube.Expected{{Ref: kube.Object("apps/v1", "Deployment", r.Namespace, name), Cond: kube.Current("Available")}}
	})
}

// What is known by a name of its own, each below the lab's domain: the registry's front,
// the alert database and Argo CD.
const (
	registryHost = "alert-schemas."
	dataHost     = "data."
	argoHost     = "argocd."
)

// DataPath is below which the alert database is found at its host.
const DataPath = "/alertdb"

// Outputs of Want: URLs, for who gives the name the address of the controller; and that
// address, HOST:PORT, where it is not a port of the nodes.
const (
	RegistryURL = "registry"
	AlertDBURL  = "alertdb"
	ArgoCDURL   = "argocd"
	Address     = "address"
	Node        = "node" // an address of a node, with any port, of the lab's own controller
)

// GateCertificates opens when the certificate of every host was issued.
const GateCertificates = "certificates-ready"

// Want describes the rules, each with a certificate of the lab's issuer. Those of a
// controller that the lab brings have ingress-nginx's annotations, as at the sites. What
// a cluster's own controller understands is not known: its rules have none, and the alert
// database answers below its path itself.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	c, domain := Of(lab), lab.Domain()
	port := fmt.Sprintf(":%d", nodeports.HTTPS)
	if c.Kind == Theirs {
		_, port = endpoint(lab.IngressAddress)
	}
	at := func(host string) string { return "https://" + host + domain + port }
	r := component.Release{Name: "ingresses", Namespace: component.Namespace, Chart: "ingresses",
		Values: map[string]any{"lab": lab.Name, "class": c.Class, "issuer": certmanager.Issuer(p),
			"registry": map[string]any{"host": registryHost + domain}, "alertDatabase": map[string]any{"host": dataHost + domain, "path": DataPath}},
		Outputs: map[string]string{RegistryURL: at(registryHost), AlertDBURL: at(dataHost) + DataPath}}
	// Who has the profile's names in a hosts file asks for the registry by its own.
	if h := p.Registry.Host; h != "" && h != registryHost+domain {
		r.Values["registry"].(map[string]any)["names"] = []any{h}
	}
	title := "registry at " + registryHost + domain + ", alert database at " + dataHost + domain + DataPath
	if lab.ArgoCD {
		r.Values["argocd"] = map[string]any{"host": argoHost + domain}
		r.Outputs[ArgoCDURL] = at(argoHost)
		title += ", Argo CD at " + argoHost + domain
	}
	title += ", over TLS"
	if lab.Guest { // see certmanager.WantCertificates
		r.Values["issuerKind"] = certmanager.KindIssuer
	}
	switch c.Kind {
	case Traefik:
		r.Values["controller"], r.Values["default"] = controllerClass(c), !lab.Guest
		title += ", by Ingresses of the class traefik"
	case Theirs:
		r.Values["annotated"] = false
		r.Outputs[Address] = Endpoint(lab.IngressAddress)
		title += ", by Ingresses of the cluster's class " + c.Class
	}
	if c.Kind != Theirs {
		r.Outputs[Node] = "${addresses.alertdb}"
	}
	return r.Want(title, plan.Gate{Name: GateCertificates, What: "the certificate of every host is issued", Deadline: 2 * time.Minute},
		plan.Gate{Name: component.GateAnswers, What: "every host answers over TLS under the lab's authority", Deadline: time.Minute})
}

// Rules are the Ingresses of a release of Want's on a cluster that was there.
func Rules(r component.Release) []kube.Ref {
	return []kube.Ref{kube.Object("networking.k8s.io/v1", "Ingress", r.Namespace, "alert-schema-registry"), kube.Object("networking.k8s.io/v1", "Ingress", r.Namespace, "alert-database")}
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
