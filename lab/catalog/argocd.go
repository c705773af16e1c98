package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	own "github.com/alertlab/alertlab/component/authority"
	"github.com/alertlab/alertlab/component/chartregistry"
	argo "github.com/alertlab/alertlab/deployer/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// The deployers.
const (
	Helm   = "helm"
	ArgoCD = "argocd"
)

// Deployers lists them, the default first.
func Deployers() []string { return []string{Helm, ArgoCD} }

// deployer is the one of a lab; "" of an embedded one, which needs none.
func deployer(desc state.Description) string {
	if desc.Provider == Embedded {
		return ""
	}
	return cmp.Or(desc.Cluster.Deployer, Helm)
}

// CheckDeployer says whether a lab on a provider can be deployed so; the error is a
// *fault.Error.
func CheckDeployer(deployer, provider string) error {
	if !slices.Contains(Deployers(), deployer) {
		return fault.New(fault.BadInput, fmt.Sprintf("there is no deployer %q", deployer), "components are deployed by "+strings.Join(Deployers(), " or "), "alertlab up --deployer "+Helm)
	}
	if deployer == ArgoCD && provider == Existing {
		return fault.New(fault.BadInput, "Argo CD deploys to clusters of k3d and kind only",
			"a cluster that is there may have one of its own, with definitions of the same names", "alertlab up --provider "+Existing+" --deployer "+Helm)
	}
	return nil
}

// argoImages lists the images that Argo CD's chart of a bundle runs.
func argoImages(file string, u charts.Upstream) ([]string, error) {
	c, err := helm.FromBundle(func() (string, error) { return file, nil })(context.Background(), u.Repository, u.Name, u.Version)
	if err != nil {
		return nil, err
	}
	return argo.Images(c, argocd.Values(u))
}

// argoEntries lists what Argo CD needs first, and the application of all others.
func argoEntries() map[string]entry {
	return map[string]entry{
		"argocd/argo-cd": {
			want:      func(_ *profiles.Profile, desc state.Description) plan.Want { return argocd.Want(labOf(desc)) },
			inCluster: func(c *cluster) plan.Part { return c.argoCD() }},
		"chart-registry/built-in-pod": {want: released(chartregistry.Want), inCluster: func(c *cluster) plan.Part {
			return &argo.Registry{Part: c.byHelm("chart-registry", nil), Lab: c.Dir.Lab(), API: c.clientset, Authority: c.authority, CAFile: c.caFile()}
		}},
		"applications/app-of-apps": {
			// What it is over is known when all others are: see byApplications.
			want:      func(_ *profiles.Profile, desc state.Description) plan.Want { return argo.Parent(desc.Name, nil) },
			inCluster: deployed("applications", nil)},
	}
}

// byApplications makes Applications of the releases of our charts among parts: each behind Argo CD
// and the registry of charts, and the application of applications behind them all.
func byApplications(lab string, parts []plan.Want) {
	var releases []component.Release
	var keys []string
	parent := -1
	for i, w := range parts {
		switch w.Key {
		case "argocd", "chart-registry":
			continue
		case "applications":
			parent = i
			continue
		}
		r, err := component.Read(w.Input)
		if err != nil || r.Chart == "" || r.Repository != "" {
			continue
		}
		w = argo.Want(w)
		w.Needs = append(slices.Clone(w.Needs), "argocd", "chart-registry")
		parts[i] = w
		releases, keys = append(releases, r), append(keys, w.Key)
	}
	if parent < 0 {
		return
	}
	w := argo.Parent(lab, releases)
	was := parts[parent]
	w.Key, w.Implementation, w.Why, w.Needs = was.Key, was.Implementation, was.Why, append(slices.Clone(was.Needs), keys...)
	parts[parent] = w
}

func (c *cluster) caFile() string { return authority.File(c.Dir.TLS()) }

// authority opens the lab's, one at a time: the first one makes it. It may sign for
// what component authority names, so that it stays the same whoever makes it.
func (c *cluster) authority() (*authority.Authority, error) {
	desc, err := c.Dir.Describe()
	if err != nil {
		return nil, err
	}
	p, _, err := profileOf(desc)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return own.Open(c.Dir.TLS(), p, labOf(desc), desc.Cluster.AddressPool, authority.Log(c.Log("argocd")))
}

func (c *cluster) clientset() (argo.API, error) {
	client, err := c.api()
	if err != nil {
		return nil, err
	}
	return client.Clientset, nil
}

func (c *cluster) argoPassword() (string, error) { return c.Secrets.Account(argocd.Account) }

func (c *cluster) session() *argo.Session {
	return &argo.Session{Cluster: c.api, CAFile: c.caFile(), Password: c.argoPassword}
}

// argoCD makes the part of Argo CD itself.
func (c *cluster) argoCD() plan.Part {
	log := c.Log("argocd")
	return &argo.Install{Lab: c.Dir.Lab(), Authority: c.authority, CAFile: c.caFile(), Password: c.argoPassword,
		Fetch: helm.FromBundle(c.bundle), Say: func(line string) { log.Info(line) },
		Answers: func(ctx context.Context) (bool, string, error) { return c.argo.Answers(ctx) },
		Open: func() (argo.Access, error) {
			client, err := c.api()
			if err != nil {
				return argo.Access{}, err
			}
			return argo.Access{Target: helm.Cluster{Client: client}, API: client.Clientset}, nil
		}}
}

// byArgoCD makes the part of a release as an Application; name is its log.
func (c *cluster) byArgoCD(name string, probes func(*cluster) map[string]component.Probe) *argo.Part {
	log := c.Log(name)
	p := &argo.Part{}
	p.Open = func() (argo.Target, error) {
		client, err := c.api()
		return argo.Cluster{Cluster: helm.Cluster{Client: client}, Session: c.argo}, err
	}
	p.Hear, p.Since = func(pod, line string) { log.Info(line, "pod", pod) }, lastWritten(c.Dir.Log(name))
	if probes != nil {
		p.Probes = probes(c)
	}
	return p
}
