package smoke

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

func ingressHosts() Check {
	return Check{
		Name:     "ingress-hosts",
		Sentence: "every host of the ingress answers over TLS under the lab's authority",
		Needs:    []Need{NeedIngress()},
		Run:      runIngressHosts,
	}
}

// NeedIngress is met when the card gives the address of an ingress.
func NeedIngress() Need {
	return Need{Name: "ingress", Missing: func(e *Env) string {
		if e.Endpoints.Ingress.Address == "" {
			return "the card has no ingress"
		}
		return ""
	}}
}

// runIngressHosts dials the ingress itself for each of its names, so that nobody has to
// know them, and takes no other authority than the card's.
func runIngressHosts(ctx context.Context, e *Env) (Evidence, error) {
	in := e.Endpoints.Ingress
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(in.CA)) {
		return "", errors.New("the card has no certificate of the authority of the ingress")
	}
	client := newHTTPClient(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
	transport := client.Transport.(*http.Transport)
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, in.Address)
	}
	defer client.CloseIdleConnections()
	ask := []struct{ what, url string }{
		{"the registry", under(in.RegistryURL, "subjects")},
		{"the alert database", under(in.AlertDBURL, "v1", "health")},
	}
	if in.ArgoCDURL != "" {
		ask = append(ask, struct{ what, url string }{"Argo CD", under(in.ArgoCDURL, "healthz")})
	}
	var problems, names []string
	for _, a := range ask {
		if u, err := url.Parse(a.url); err == nil {
			names = append(names, u.Hostname())
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", a.what, err))
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			problems = append(problems, fmt.Sprintf("%s: %s answers %s", a.what, a.url, resp.Status))
		}
	}
	if len(problems) > 0 {
		return "", &Failure{Expected: "200 of every host at " + in.Address, Seen: strings.Join(problems, "; "), Next: "alertlab status"}
	}
	return evidence("%s at %s", strings.Join(names, ", "), in.Address), nil
}
