package catalog

import (
	"context"
	"fmt"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/authority"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/component/kafka"
	"github.com/alertlab/alertlab/component/kafkacertificates"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/stacks"
)

// certificateEntries lists what encrypts the external listener and the ingress.
func certificateEntries() map[string]entry {
	wantAuthority := func(p *profiles.Profile, desc state.Description) plan.Want {
		return authority.Want(p, labOf(desc), announcedAs(desc))
	}
	ownAuthority := func(c *cluster) plan.Part {
		return authority.New(c.Dir.TLS(), func() (component.SecretsAPI, error) { return c.api() })
	}
	return map[string]entry{
		"authority/secrets": {want: wantAuthority, inCluster: ownAuthority, choose: withCertificates("secrets")},
		// As the full stack names them, which has an ingress of its own accord.
		"authority/ingress-secrets": {want: wantAuthority, inCluster: ownAuthority, choose: withCertificates("ingress-secrets")},
		"cert-manager/ingress-helm": {want: released(certmanager.Want), inCluster: byHelm("cert-manager", nil), choose: withCertificates("ingress-helm")},
		"certificates/ingress-helm": {want: released(certmanager.WantIssuer), inCluster: watched("certificates", certmanager.Watched()), choose: withCertificates("ingress-helm")},
		"kafka-certificates/secrets": {want: released(kafkacertificates.Want), inCluster: func(c *cluster) plan.Part {
			return kafkacertificates.New(c.Dir.TLS(), c.Secrets, func() (component.SecretsAPI, error) { return c.api() })
		}},
		"cert-manager/helm": {want: released(certmanager.Want), inCluster: byHelm("cert-manager", nil), choose: withCertificates("helm")},
		"certificates/helm": {want: released(certmanager.WantIssuer), inCluster: watched("certificates", certmanager.Watched()), choose: withCertificates("helm")},
		"kafka/apache-kafka": {want: released(kafka.Want), inCluster: func(c *cluster) plan.Part {
			probes := func(c *cluster) map[string]component.Probe { return kafka.Probes(c.Secrets) }
			return trusting{c.released("kafka", probes, nil), c.Secrets.Trust}
		}},
	}
}

// withCertificates leaves a component out where no listener is encrypted and no host of an
// ingress is to be certified.
func withCertificates(implementation string) func(*profiles.Profile, state.Description) string {
	return func(p *profiles.Profile, desc state.Description) string {
		if certified(p, desc) {
			return implementation
		}
		return ""
	}
}

// trusting is the brokers, which say how all logins of the lab reach them: under the
// authority that their listener has, or in plain text.
type trusting struct {
	release
	trust func(pem []byte) error
}

// Observe implements plan.Part. What was applied last counts, not what is wanted.
func (t trusting) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	var ca string
	if look.Last != nil {
		r, err := component.Read(look.Last)
		if err != nil {
			return plan.Observation{}, err
		}
		ca = r.Outputs["ca"]
	}
	if err := t.trust([]byte(ca)); err != nil {
		return plan.Observation{}, err
	}
	return t.release.Observe(ctx, look)
}

// Apply implements plan.Part.
func (t trusting) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	if err := t.trust([]byte(r.Outputs["ca"])); err != nil {
		return nil, err
	}
	return t.release.Apply(ctx, order)
}

// fitCertificates says why a lab's encryption finds nothing that makes its certificates,
// nil where it does or has none.
func fitCertificates(p *profiles.Profile, desc state.Description) error {
	if !certified(p, desc) {
		return nil
	}
	stack, err := stacks.Load(desc.Stack)
	if err != nil {
		return err
	}
	for _, c := range stack.On(desc.Provider) {
		if c.Name == "certificates" {
			return nil
		}
	}
	if !certmanager.Wanted(p) {
		return fmt.Errorf("the hosts of an ingress have certificates, and the stack %s has none on provider %s", desc.Stack, desc.Provider)
	}
	return fmt.Errorf("kafka.listener.tls is true, and the stack %s has no certificates on provider %s", desc.Stack, desc.Provider)
}
