package smoke_test

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/smoke"
)

// TestIngressHosts asks an ingress whose certificate is good for example.com, which nobody
// resolves.
func TestIngressHosts(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !map[string]bool{"example.com/subjects": true, "example.com/alertdb/v1/health": true}[strings.Split(r.Host, ":")[0]+r.URL.Path] {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	good := endpoints.Ingress{Address: server.Listener.Addr().String(), CA: ca, RegistryURL: "https://example.com:" + port, AlertDBURL: "https://example.com:" + port + "/alertdb"}
	i := -1
	all := smoke.All()
	for n, c := range all {
		if c.Name == "ingress-hosts" {
			i = n
		}
	}
	run := func(in endpoints.Ingress) (smoke.Evidence, error) {
		t.Helper()
		env, err := smoke.NewEnv(endpoints.Endpoints{Ingress: in}, endpoints.Credentials{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return all[i].Run(t.Context(), env)
	}
	if seen, err := run(good); err != nil || string(seen) != "example.com, example.com at "+good.Address {
		t.Errorf("%s, %v", seen, err)
	}
	for _, test := range []struct {
		change func(*endpoints.Ingress)
		seen   string
	}{
		{func(in *endpoints.Ingress) { in.ArgoCDURL = "https://argocd.elsewhere.test:" + port }, "Argo CD: Get \"https://argocd.elsewhere.test:"},
		{func(in *endpoints.Ingress) { in.AlertDBURL = "https://example.com:" + port }, "/v1/health answers 404 Not Found"},
	} {
		in := good
		test.change(&in)
		_, err := run(in)
		var f *smoke.Failure
		if !errors.As(err, &f) || !strings.Contains(f.Seen, test.seen) || strings.Contains(f.Seen, "the registry") {
			t.Errorf("%+v: %v", in, err)
		}
	}
	in := good
	in.CA = ""
	if _, err := run(in); err == nil || !strings.Contains(err.Error(), "no certificate of the authority") {
		t.Errorf("without an authority: %v", err)
	}
}
