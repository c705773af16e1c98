package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
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

// ChartsOf says which charts of others a lab runs, and which images they are made of,
// as its bundle has them. Without a bundle it is upstream's chart, whose images the
// nodes pull.
func ChartsOf(deployer, file string) (map[string]state.Chart, error) {
	switch {
	case !slices.Contains(Deployers(), deployer):
		return nil, fault.New(fault.BadInput, fmt.Sprintf("there is no deployer %q", deployer), "components are deployed by "+strings.Join(Deployers(), " or "), "alertlab up --deployer "+Helm)
	case deployer != ArgoCD:
		return nil, nil
	case file == "":
		return map[string]state.Chart{argocd.Chart: {Version: argocd.UpstreamVersion}}, nil
	}
	b, err := bundle.Open(file)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the bundle cannot be used", err, "alertlab up --bundle FILE")
	}
	defer b.Close()
	version := ""
	for _, c := range b.Charts() { // sorted: the last one is the newest
		if c.Name == argocd.Chart {
			version = c.Version
		}
	}
	if version == "" {
		return nil, fault.New(fault.StepFailed, "the bundle lacks the chart "+argocd.Chart, file+" holds no chart of that name", "alertlab up --bundle FILE   # another one, or --deployer "+Helm)
	}
	archive, err := b.ChartArchive(argocd.Chart, version)
	if err != nil {
		return nil, err
	}
	images, err := argo.Images(archive, argocd.Values(true))
	if err := errors.Join(err, archive.Close()); err != nil {
		return nil, fault.Wrap(fault.BadInput, "the bundle cannot be used", fmt.Errorf("chart %s %s: %w", argocd.Chart, version, err), "alertlab up --bundle FILE")
	}
	return map[string]state.Chart{argocd.Chart: {Version: version, Images: images}}, nil
}

// chartImages lists the images of the charts of others that a lab runs.
func chartImages(desc state.Description) []string {
	var all []string
	for _, c := range desc.Cluster.Charts {
		all = append(all, c.Images...)
	}
	slices.Sort(all)
	return all
}

// argoEntries lists what Argo CD needs first, and the application of all others.
func argoEntries() map[string]entry {
	return map[string]entry{
		"argocd/argo-cd": {
			want: func(_ *profiles.Profile, desc state.Description) plan.Want {
				return argocd.Want(desc.Cluster.Charts[argocd.Chart].Version, desc.Cluster.Bundle)
			},
			inCluster: func(c *cluster) plan.Part { return c.argoCD() }},
		"chart-registry/built-in-pod": {want: released(chartregistry.Want), inCluster: func(c *cluster) plan.Part {
			helmPart := c.byHelm("chart-registry", nil)
			return &argo.Registry{Part: helm.Part{Open: helmPart.Open, Say: helmPart.Say, Hear: helmPart.Hear}, Lab: c.Dir.Lab(),
				API: c.clientset, Authority: c.authority, CAFile: c.caFile()}
		}},
		"applications/app-of-apps": {
			// What it is over is known when all others are: see byApplications.
			want:      func(_ *profiles.Profile, desc state.Description) plan.Want { return argo.Parent(desc.Name, nil) },
			inCluster: deployed("applications", nil)},
	}
}

// byApplications makes Applications of the releases among parts: each behind Argo CD
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
		if err != nil || r.Chart == "" {
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

// authority opens the lab's, one at a time: the first one makes it.
func (c *cluster) authority() (*authority.Authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return authority.Open(c.Dir.TLS(), "alertlab "+c.Dir.Lab(), authority.Log(c.Log("argocd")))
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
		Chart: argo.Chart, Say: func(line string) { log.Info(line) },
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
func (c *cluster) byArgoCD(name string, probes func(*cluster) map[string]component.Probe) plan.Part {
	log := c.Log(name)
	p := &argo.Part{Hear: func(pod, line string) { log.Info(line, "pod", pod) }, Open: func() (argo.Target, error) {
		client, err := c.api()
		return argo.Cluster{Cluster: helm.Cluster{Client: client}, Session: c.argo}, err
	}}
	if probes != nil {
		p.Probes = probes(c)
	}
	return p
}
