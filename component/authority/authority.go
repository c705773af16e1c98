// Package authority brings a lab's own certificate authority to a cluster, as the Secret
// of cert-manager's issuer.
package authority

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/internal/addresspool"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Lab string `json:"lab"`
	// Issuer is the Secret with its certificate and its key.
	Issuer string `json:"issuer"`
	// Namespace is where that Secret lies; "" is cert-manager's.
	Namespace string `json:"namespace,omitempty"`
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
		Title: fmt.Sprintf("the lab's own authority, for its names and private addresses only, as Secret %s", in.Issuer),
		Input: plan.Input(in), Outputs: []string{"ca", "ca-file"}, Behind: "cluster",
	}
}

// Open opens the authority that Want describes, for who needs it beside this component
// or before it, and makes it where there is none.
func Open(folder string, p *profiles.Profile, lab component.Lab, given string, options ...authority.Option) (*authority.Authority, error) {
	return open(folder, inputOf(p, lab, given), options...)
}

func inputOf(p *profiles.Profile, lab component.Lab, given string) input {
	in := input{Lab: lab.Name, Issuer: certmanager.Authority,
		Domains: []string{lab.Domain(), "localhost", "svc", "svc.cluster.local"}, Networks: slices.Clone(networks)}
	if lab.Guest {
		in.Namespace = component.Namespace
	}
	for _, h := range p.HostNames() {
		in.Domains = append(in.Domains, h.Name)
	}
	slices.Sort(in.Domains)
	in.Domains = slices.Compact(in.Domains)
	in.Networks = append(in.Networks, beyond(given)...)
	return in
}

// beyond are the networks of ranges that are not private: those of 256 addresses that
// their ends are in, but a single address, ADDRESS/32, alone: it may be a real system's, and
// its neighbours somebody else's.
func beyond(given string) []string {
	set, err := addresspool.ParseSet(given)
	if err != nil {
		return nil // none is given, or it was refused
	}
	bits := 24
	if strings.HasSuffix(given, "/32") {
		bits = 32
	}
	var out []string
	for _, r := range set {
		for _, a := range []netip.Addr{r.First, r.Last} {
			if prefix := netip.PrefixFrom(a, bits).Masked().String(); !a.IsPrivate() && !a.IsLoopback() && !slices.Contains(out, prefix) {
				out = append(out, prefix)
			}
		}
	}
	return out
}

// New makes the part. folder is where the lab keeps its authority, api gives the
// cluster's API.
func New(folder string, api func() (component.SecretsAPI, error)) plan.Part {
	return component.Secrets(api, func(text json.RawMessage) (component.Made, error) {
		var in input
		if err := json.Unmarshal(text, &in); err != nil {
			return component.Made{}, err
		}
		a, err := open(folder, in)
		if err != nil {
			return component.Made{}, err
		}
		cert, key, err := a.Pair()
		labels := map[string]string{kube.LabelLab: in.Lab, "app.kubernetes.io/part-of": "alertlab"}
		issuer := kube.Secret{Namespace: cmp.Or(in.Namespace, certmanager.Namespace), Name: in.Issuer, Type: "kubernetes.io/tls", Labels: labels, Data: map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": cert}}
		return component.Made{Secrets: []kube.Secret{issuer}, Outputs: map[string]string{"ca": string(a.PEM()), "ca-file": a.File()}, Why: "the Secret " + in.Issuer + " holds it"}, err
	}, nil)
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
