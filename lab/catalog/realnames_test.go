package catalog

import (
	"strings"
	"testing"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/profiles"
)

// The ingress answers to the profile's name of the registry beside the lab's own, with a
// certificate for both, and who asks the hosts file for that name gets there.
func TestRealNameOfRegistry(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"idfint": "alert-schemas-int.lsst.cloud", "local": ""} {
		p, err := profiles.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		lab := component.Lab{Name: "default", Ingress: "class:web", IngressAddress: "192.0.2.7:443", Guest: true}
		w := ingress.Want(p, lab)
		text, err := helm.Render(w.Input)
		if err != nil {
			t.Fatal(err)
		}
		names := "alert-schemas.default.alertlab.test"
		if want != "" {
			names += ", " + want
		}
		lines := []string{"dnsNames: [" + names + "]", "- {hosts: [" + names + "], secretName: alert-schema-registry-tls}"}
		if want != "" {
			lines = append(lines, "- host: "+want+"\n")
		}
		for _, line := range lines {
			if !strings.Contains(text, line) {
				t.Errorf("%s: no %q in\n%s", name, line, text)
			}
		}
	}
	desc := withIngressOf(t, Existing, "alerts-light", "class:web")
	desc.Overlay.SetHost("registry", "schemas.example.org")
	outputs := map[string]map[string]string{"ingresses": {"registry": "https://x", "address": "192.0.2.7:443"}, "registry-front": {"url": "http://172.18.0.2:31280"}}
	card, err := open(t, desc).Endpoints(desc, outputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(card.Hosts) != 1 || card.Hosts[0] != (endpoints.Host{Name: "schemas.example.org", Address: "192.0.2.7"}) {
		t.Errorf("%+v", card.Hosts)
	}
}
