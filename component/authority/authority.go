// Package authority brings a lab's own certificate authority to a cluster: as the
// Secret of cert-manager's issuer, and as the Secret from which clients of Strimzi's
// clusters read what to trust. Its key goes from the lab's folder to the API server,
// and into no plan, value or record of Helm.
package authority

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Lab       string `json:"lab"`
	Namespace string `json:"namespace"` // of the application
	// Trust is the Secret with the authority's certificate, Issuer that with its key.
	Trust  string `json:"trust"`
	Issuer string `json:"issuer"`
	// Domains and Networks are all that the authority may sign for.
	Domains  []string `json:"domains"`
	Networks []string `json:"networks"`
}

// networks are those that no address of the world is in: of this host (RFC 1122),
// private (RFC 1918, RFC 4193), and shared by carriers (RFC 6598).
var networks = []string{"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"}

// Want describes the authority of a lab. given is the range of addresses that the user
// gives, if any.
func Want(p *profiles.Profile, lab component.Lab, given string) plan.Want {
	in := inputOf(p, lab, given)
	return plan.Want{
		Title: fmt.Sprintf("the lab's own authority, for its names and private addresses only, as Secrets %s and %s", in.Trust, in.Issuer),
		Input: plan.Input(in), Outputs: []string{"ca", "ca-file"}, Behind: "cluster",
	}
}

// Trust is the Secret with the authority's certificate. Where Kafka is an operator's, the
// name that it would have is that of the operator's own authority, which signs what runs
// in the cluster.
func Trust(p *profiles.Profile, lab component.Lab) string {
	if lab.Operators {
		return p.Kafka.Cluster + "-external-ca-cert"
	}
	return p.Kafka.Cluster + "-cluster-ca-cert"
}

// Open opens the authority that Want describes, for who needs it beside this component
// or before it, and makes it where there is none.
func Open(folder string, p *profiles.Profile, lab component.Lab, given string, options ...authority.Option) (*authority.Authority, error) {
	return open(folder, inputOf(p, lab, given), options...)
}

func inputOf(p *profiles.Profile, lab component.Lab, given string) input {
	in := input{Lab: lab.Name, Namespace: component.Namespace, Trust: Trust(p, lab), Issuer: certmanager.Authority,
		Domains: []string{lab.Domain(), "localhost", "svc", "svc.cluster.local"}, Networks: slices.Clone(networks)}
	for _, h := range p.HostNames() {
		in.Domains = append(in.Domains, h.Name)
	}
	slices.Sort(in.Domains)
	in.Domains = slices.Compact(in.Domains)
	in.Networks = append(in.Networks, beyond(given)...)
	return in
}

// beyond are the networks of a range that is not private: those of 256 addresses that
// its ends are in.
func beyond(given string) []string {
	r, err := addresspool.Parse(given)
	if err != nil {
		return nil // none is given, or it was refused
	}
	var out []string
	for _, a := range []netip.Addr{r.First, r.Last} {
		if prefix := netip.PrefixFrom(a, 24).Masked().String(); !a.IsPrivate() && !a.IsLoopback() && !slices.Contains(out, prefix) {
			out = append(out, prefix)
		}
	}
	return out
}

// API is what is asked of a cluster.
type API interface {
	ApplySecrets(ctx context.Context, secrets []kube.Secret) error
	Look(ctx context.Context, objects []kube.Expected) (string, error)
}

// New makes the part. folder is where the lab keeps its authority, open gives the
// cluster's API.
func New(folder string, open func() (API, error)) plan.Part { return &part{folder, open} }

type part struct {
	folder string
	open   func() (API, error)
}

func open(folder string, in input, options ...authority.Option) (*authority.Authority, error) {
	var nets []*net.IPNet
	for _, text := range in.Networks {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			return nil, err
		}
		nets = append(nets, n)
	}
	return authority.Open(folder, "alertlab "+in.Lab, append(options, authority.Only(in.Domains, nets))...)
}

func secrets(in input, a *authority.Authority) ([]kube.Secret, error) {
	cert, key, err := a.Pair()
	if err != nil {
		return nil, err
	}
	labels := map[string]string{"alertlab.dev/lab": in.Lab, "app.kubernetes.io/part-of": "alertlab"}
	return []kube.Secret{
		{Namespace: certmanager.Namespace, Name: in.Issuer, Type: "kubernetes.io/tls", Labels: labels, Data: map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": cert}},
		{Namespace: in.Namespace, Name: in.Trust, Labels: labels, Data: map[string][]byte{"ca.crt": cert}},
	}, nil
}

// Observe implements plan.Part.
func (p *part) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not brought it yet"}, nil
	}
	var in input
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	a, err := open(p.folder, in)
	if err != nil {
		return plan.Observation{}, err
	}
	all, err := secrets(in, a)
	if err != nil {
		return plan.Observation{}, err
	}
	api, err := p.open()
	if err != nil {
		return plan.Observation{}, err
	}
	var expected []kube.Expected
	for _, s := range all {
		expected = append(expected, kube.Expected{Ref: s.Ref(), Cond: kube.SecretHolds(s.Data)})
	}
	o := plan.Observation{State: plan.Present, Why: "the Secrets " + in.Trust + " and " + in.Issuer + " hold it"}
	o.Drift, err = api.Look(ctx, expected)
	return o, err
}

// Apply implements plan.Part.
func (p *part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	a, err := open(p.folder, in)
	if err != nil {
		return nil, err
	}
	all, err := secrets(in, a)
	if err != nil {
		return nil, err
	}
	api, err := p.open()
	if err != nil {
		return nil, err
	}
	return map[string]string{"ca": string(a.PEM()), "ca-file": a.File()}, api.ApplySecrets(ctx, all)
}
