package ingress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/alertlab/alertlab/component"
)

// Answers asks, from outside, for every host of a release of Want's under an authority: a
// controller takes certificates up a while after they were issued. at gives where the
// controller of a cluster's own is reached, and authority the lab's, as PEM.
func Answers(authority func() ([]byte, error), at func(context.Context, component.Release) (string, error)) component.Probe {
	return func(ctx context.Context, r component.Release) (bool, string, error) {
		pem, err := authority()
		if err != nil {
			return false, "", err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return false, "", fmt.Errorf("the lab's authority has no certificate")
		}
		address := r.Outputs[Address]
		if node, own := r.Outputs[Node]; own {
			if address, err = AtNode(node); err != nil {
				return false, "", err
			}
		} else if address == "" {
			if address, err = at(ctx, r); err != nil || address == "" {
				return false, "its controller has not said where it is reached", nil
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}
		defer transport.CloseIdleConnections()
		for output, path := range map[string]string{RegistryURL: "/subjects", AlertDBURL: "/v1/health", ArgoCDURL: "/healthz"} {
			if r.Outputs[output] == "" {
				continue
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Outputs[output]+path, nil)
			if err != nil {
				return false, "", err
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				return false, request.URL.String() + " at " + address + ": " + err.Error(), nil
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return false, request.URL.String() + " at " + address + " answers " + response.Status, nil
			}
		}
		return true, "", nil
	}
}
