// Package argocd says what there should be of Argo CD itself, where it is the
// deployer, and names what everybody needs to know of it. How components become
// Applications is deployer/argocd's to know.
package argocd

import (
	"fmt"
	"time"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/lab/plan"
)

// Names in the cluster, as at the real sites.
const (
	Namespace = "argocd"
	// Name is the release, whose objects the chart calls argocd-server and so on.
	Name = "argocd"
	// Parent is the application of applications.
	Parent = "alert-stream-broker"
	// Admin is the built-in administrator; Account is its name among a lab's secrets.
	Admin, Account = "admin", "argocd"
	// Project is the one that Argo CD makes by itself.
	Project = "default"
	// Server is the API server of its own cluster, as Argo CD knows it.
	Server = "https://kubernetes.default.svc"
)

// Secrets and ConfigMaps that Argo CD looks for by fixed names.
const (
	Secret    = "argocd-secret"
	ServerTLS = "argocd-server-tls"
	TLSCerts  = "argocd-tls-certs-cm"
)

// Where charts come from: a host without a port, because argocd-tls-certs-cm names
// authorities by host.
const (
	RegistryHost = "chart-registry." + Namespace + ".svc"
	Repository   = RegistryHost + "/charts"
)

// Chart is the name of argo-helm's chart, whose row charts/upstream.yaml has.
const Chart = "argo-cd"

// Install is the input of Argo CD's step.
type Install struct {
	component.Release
	// Hosts are those of its certificate.
	Hosts []string `json:"hosts"`
}

// GateAnswers opens when its API takes the lab's login.
const GateAnswers = "answers"

// health is the health of an Application as the parent sees it: that of what it
// deploys. Argo CD has had none of its own since 1.8.
const health = `hs = {status = "Progressing", message = ""}
if obj.status ~= nil and obj.status.health ~= nil then
  hs.status = obj.status.health.status
  if obj.status.health.message ~= nil then
    hs.message = obj.status.health.message
  end
end
return hs
`

// redis is the version of Redis that is run beside the pinned chart: that of Argo CD's
// own manifests of 2.14.
const redis = "7.0.15-alpine"

// Values are those of the chart, which is u. There is no secret among them: who may log
// in stands in a Secret of its own.
func Values(u charts.Upstream) map[string]any {
	off := map[string]any{"enabled": false}
	values := map[string]any{
		"dex": off, "notifications": off, "applicationSet": map[string]any{"replicas": 0},
		"server": map[string]any{"service": map[string]any{"type": "NodePort", "nodePortHttp": nodeports.ArgoCD + 1, "nodePortHttps": nodeports.ArgoCD}},
		"configs": map[string]any{
			"secret": map[string]any{"createSecret": false},
			"cm": map[string]any{
				// Our charts have labels of their own, which Argo CD's would go over.
				"application.resourceTrackingMethod":                     "annotation",
				"resource.customizations.health.argoproj.io_Application": health,
			},
			"repositories": map[string]any{"alertlab": map[string]any{"name": "alertlab", "type": "helm", "url": Repository, "enableOCI": "true"}},
		},
	}
	if pin, ok := charts.Pinned(Chart); ok && u.Version == pin.Version {
		// The chart's own images are of an older version than this program's client.
		values["global"] = map[string]any{"image": map[string]any{"tag": pin.AppVersion}}
		values["redis"] = map[string]any{"image": map[string]any{"tag": redis}}
	}
	return values
}

// Want describes Argo CD.
func Want(lab component.Lab) plan.Want {
	u := lab.Upstream(Chart)
	in := Install{Hosts: []string{"argocd-server." + Namespace + ".svc", "localhost", "127.0.0.1", "${cluster.address}"},
		Release: component.Release{Name: Name, Namespace: Namespace, Values: Values(u),
			Outputs: map[string]string{"url": fmt.Sprintf("https://${cluster.address}:%d", nodeports.ArgoCD)}}.From(u)}
	return plan.Want{
		Title: fmt.Sprintf("Argo CD %s by the chart %s %s", u.AppVersion, Chart, u.Version),
		Input: plan.Input(in), Outputs: []string{"ca-file", "url"}, Behind: "cluster",
		Gates: []plan.Gate{component.Rollout(5 * time.Minute), {Name: GateAnswers, What: "its API takes the lab's login", Deadline: time.Minute}},
	}
}
