// Package certmanager is cert-manager, its issuer under the name that the profile has,
// and the certificate of Kafka's external listener for bootstrap and every broker.
// What the issuer signs with is the lab's own authority, whatever the name promises.
package certmanager

import (
	"fmt"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// Namespace is cert-manager's own; Chart the name of upstream's chart; Authority the
// Secret with what the issuer signs with.
const (
	Namespace = "cert-manager"
	Chart     = "cert-manager"
	Authority = "alertlab-authority"
)

// External is the Certificate and the Secret of a profile's external listener, called
// as at the real sites.
func External(p *profiles.Profile) string { return p.Kafka.Cluster + "-external-tls" }

// Issuer is the ClusterIssuer that a profile names.
func Issuer(p *profiles.Profile) string {
	if p.Kafka.Listener.Issuer != "" {
		return p.Kafka.Listener.Issuer
	}
	return "alertlab"
}

// Wanted says whether a profile has certificates.
func Wanted(p *profiles.Profile) bool { return p.Kafka.Listener.TLS }

// Want describes cert-manager itself.
func Want(_ *profiles.Profile, lab component.Lab) plan.Want {
	u := lab.Upstream(Chart)
	r := component.Release{Name: Chart, Namespace: Namespace, Values: map[string]any{
		"crds": map[string]any{"enabled": true}, "startupapicheck": map[string]any{"enabled": false},
	}}.From(u)
	if lab.Guest { // what it makes as it runs goes with its namespace; else it is in kube-system, and stays
		r.Values["global"] = map[string]any{"leaderElection": map[string]any{"namespace": Namespace}}
	}
	return r.Want("cert-manager "+u.AppVersion, component.Rollout(3*time.Minute))
}

// Names are the host names that a profile's brokers are known by: the lab's own, and
// the profile's.
func Names(p *profiles.Profile, lab component.Lab) []string {
	names := []string{"bootstrap." + lab.Domain()}
	for i := range p.Kafka.Brokers.Count {
		names = append(names, fmt.Sprintf("broker-%d.%s", int(p.Kafka.Brokers.FirstID)+i, lab.Domain()))
	}
	for _, h := range p.HostNames() {
		if h.Of != profiles.RegistryHost {
			names = append(names, h.Name)
		}
	}
	return names
}

// KindIssuer is the kind of an issuer for its own namespace alone.
const KindIssuer = "Issuer"

// gateReady opens when every certificate was issued.
const gateReady = "certificates-ready"

// WantCertificates describes the issuer and the certificate.
func WantCertificates(p *profiles.Profile, lab component.Lab) plan.Want {
	addresses := []any{"${addresses.bootstrap}"}
	for i := range p.Kafka.Brokers.Count {
		addresses = append(addresses, fmt.Sprintf("${addresses.broker.%d}", int(p.Kafka.Brokers.FirstID)+i))
	}
	names := Names(p, lab)
	r := component.Release{Name: "certificates", Namespace: component.Namespace, Chart: "certificates", Values: map[string]any{
		"lab": lab.Name, "issuer": Issuer(p), "authority": Authority,
		"external": map[string]any{"name": External(p), "hosts": names, "addresses": addresses}},
		Outputs: map[string]string{"issuer": Issuer(p), "external": External(p)}}
	if lab.Guest { // a ClusterIssuer of the name may be somebody's, and so is cert-manager's namespace
		r.Values["issuerKind"] = KindIssuer
	}
	return r.Want(fmt.Sprintf("issuer %s, and the certificate %s for %d names and as many addresses as brokers have", Issuer(p), External(p), len(names)),
		plan.Gate{Name: gateReady, What: "the issuer is ready and the certificate is issued", Deadline: 2 * time.Minute})
}

// WantIssuer describes the issuer, and the certificate of the external listener where the
// profile encrypts it: others, such as those of an ingress, are their owners'.
func WantIssuer(p *profiles.Profile, lab component.Lab) plan.Want {
	if Wanted(p) {
		return WantCertificates(p, lab)
	}
	r := component.Release{Name: "certificates", Namespace: component.Namespace, Chart: "certificates",
		Values:  map[string]any{"lab": lab.Name, "issuer": Issuer(p), "authority": Authority},
		Outputs: map[string]string{"issuer": Issuer(p)}}
	if lab.Guest { // as above
		r.Values["issuerKind"] = KindIssuer
	}
	return r.Want("issuer "+Issuer(p), plan.Gate{Name: gateReady, What: "the issuer is ready", Deadline: 2 * time.Minute})
}

// Watched gives what the gates watch.
func Watched() map[string]component.Objects {
	return map[string]component.Objects{gateReady: func(r component.Release) []kube.Expected {
		issuer, _ := r.Values["issuer"].(string)
		external, _ := r.Values["external"].(map[string]any)
		name, _ := external["name"].(string)
		by := kube.Object("cert-manager.io/v1", "ClusterIssuer", "", issuer)
		if r.Values["issuerKind"] == KindIssuer {
			by = kube.Object("cert-manager.io/v1", KindIssuer, r.Namespace, issuer)
		}
		out := []kube.Expected{{Ref: by, Cond: kube.HasCondition("Ready", "True")}}
		if name != "" {
			out = append(out, Issued(r.Namespace, name))
		}
		return out
	}}
}

// Issued is a Certificate that should be issued.
func Issued(namespace, name string) kube.Expected {
	return kube.Expected{Ref: kube.Object("cert-manager.io/v1", "Certificate", namespace, name), Cond: kube.CertificateReady}
}
