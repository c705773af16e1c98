// Package chartregistry is the registry from which Argo CD takes our charts: an OCI
// registry in a pod of our own image, which holds them all.
package chartregistry

import (
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Secret holds its certificate.
const Secret = "chart-registry-tls"

// Want describes the registry; every profile has the same.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "chart-registry", Namespace: argocd.Namespace, Chart: "chart-registry",
		Values: lab.Policed(map[string]any{"lab": lab.Name, "image": lab.Values(nil)["image"], "tlsSecret": Secret})}
	return r.Want("registry of this program's charts at "+argocd.RegistryHost, component.Rollout(2*time.Minute))
}
