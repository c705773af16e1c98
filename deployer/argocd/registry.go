package argocd

import (
	"context"
	"os"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/component/chartregistry"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
)

// Registry is the part of the registry of charts: a release by Helm, since Argo CD can
// bring nothing before it is there, and the certificate that it shows.
type Registry struct {
	*helm.Part
	Lab string
	// API gives the cluster's.
	API func() (API, error)
	// Authority and CAFile are as Install's.
	Authority func() (*authority.Authority, error)
	CAFile    string
}

// Observe implements plan.Part.
func (p *Registry) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	o, err := p.Part.Observe(ctx, look)
	if err != nil || o.State != plan.Present || o.Drift != "" || look.Last == nil {
		return o, err
	}
	api, err := p.API()
	if err != nil {
		return o, err
	}
	ca, err := os.ReadFile(p.CAFile)
	if os.IsNotExist(err) {
		o.Drift = "the lab's certificate authority is not there"
		return o, nil
	}
	if err != nil {
		return o, err
	}
	o.Drift, err = stale(ctx, api, chartregistry.Secret, ca)
	return o, err
}

// Apply implements plan.Part.
func (p *Registry) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	ca, err := p.Authority()
	if err != nil {
		return nil, err
	}
	api, err := p.API()
	if err != nil {
		return nil, err
	}
	if err := putCertificate(ctx, api, ca, p.Lab, chartregistry.Secret, []string{argocd.RegistryHost}); err != nil {
		return nil, err
	}
	return p.Part.Apply(ctx, order)
}
