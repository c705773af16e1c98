package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	paper "github.com/alertlab/alertlab/lab/fit"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// withIngressOf describes a lab of the profile ci with an ingress.
func withIngressOf(t *testing.T, provider, stack, ingress string) state.Description {
	t.Helper()
	desc := on(t, provider, "ci")
	desc.Stack, desc.Cluster.Ingress = stack, ingress
	if stack != "alerts-light" {
		desc.Cluster.NodeImage = "docker.io/rancher/k3s:v1.33.5-k3s1"
	}
	return desc
}

// Labs with an ingress of each kind: the plan, what our chart makes of it, and what the
// controller's chart is given.
func TestIngressPlans(t *testing.T) {
	t.Parallel()
	argocd := withIngressOf(t, K3d, FullStack, "traefik")
	argocd.Cluster.Deployer = ArgoCD
	given := withIngressOf(t, Existing, "alerts-light", "class:web")
	given.Cluster.IngressAddress = "ingress.example.org:8443"
	for name, desc := range map[string]state.Description{
		"k3d-nginx":        withIngressOf(t, K3d, "alerts-light", "nginx"),
		"k3d-traefik":      withIngressOf(t, K3d, "alerts-light", "traefik"),
		"kind-strimzi":     withIngressOf(t, Kind, StrimziStack, "traefik"),
		"full-none":        withIngressOf(t, K3d, FullStack, "none"),
		"full-argocd":      argocd,
		"existing-nginx":   withIngressOf(t, Existing, "alerts-light", "nginx"),
		"existing-traefik": withIngressOf(t, Existing, "alerts-light", "traefik"),
		"existing-class":   withIngressOf(t, Existing, "alerts-light", "class:web"),
		"existing-given":   given,
	} {
		w := wanted(t, desc)
		fresh, _ := freshPlan(t, w)
		golden(t, filepath.Join("ingress", name+"-fresh.txt"), fresh.String())
		releases := map[string]json.RawMessage{}
		for _, key := range []string{"ingress-controller", "ingresses", "alert-database-server", "cert-manager"} {
			if input := inputOf(w, key); input != nil {
				in, err := plan.Resolve(input, unknown(w.Parts))
				if err != nil {
					t.Fatal(err)
				}
				releases[key] = in
			}
		}
		if controller := releases["ingress-controller"]; controller != nil {
			r, err := component.Read(controller)
			if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if r.Chart != "" {
				golden(t, filepath.Join("ingress", name+".values"), string(text))
			}
		}
		if name == "full-none" {
			if releases["ingresses"] != nil || releases["cert-manager"] != nil {
				t.Errorf("%s has an ingress", name)
			}
			continue
		}
		text, err := helm.Render(releases["ingresses"])
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("ingress", name+".yaml"), text)
		strictly(t, name, text)
		// The alert database answers below its path where nobody takes that off.
		server, err := helm.Render(releases["alert-database-server"])
		if err != nil {
			t.Fatal(err)
		}
		if below := strings.Contains(server, "--base-path=/alertdb"); below != strings.HasPrefix(desc.Cluster.Ingress, "class:") {
			t.Errorf("%s: the alert database answers below its path: %t", name, below)
		}
	}
}

// What is chosen decides on charts and images of others, and what a bundle has of another
// choice is left alone.
func TestIngressNeeds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		provider, stack, ingress, deployer string
		charts                             []string
	}{
		{K3d, "alerts-light", "", Helm, nil},
		{K3d, "alerts-light", "none", Helm, nil},
		{K3d, "alerts-light", "nginx", Helm, []string{"cert-manager:v1.18.2", "ingress-nginx:4.15.1"}},
		{Kind, "alerts-light", "traefik", Helm, []string{"cert-manager:v1.18.2", "traefik:41.3.0"}},
		{Existing, "alerts-light", "class:web", Helm, []string{"cert-manager:v1.18.2"}},
		{K3d, FullStack, "", Helm, []string{"cert-manager:v1.18.2", "ingress-nginx:4.15.1", "strimzi-kafka-operator:1.2.0", "strimzi-registry-operator:2.1.3", "kafka-ui:1.5.2"}},
		{K3d, FullStack, "traefik", Helm, []string{"cert-manager:v1.18.2", "traefik:41.3.0", "strimzi-kafka-operator:1.2.0", "strimzi-registry-operator:2.1.3", "kafka-ui:1.5.2"}},
		{K3d, FullStack, "none", Helm, []string{"strimzi-kafka-operator:1.2.0", "strimzi-registry-operator:2.1.3", "kafka-ui:1.5.2"}},
	} {
		need, err := NeededBy(withIngressOf(t, tc.provider, tc.stack, tc.ingress))
		if err != nil {
			t.Fatal(err)
		}
		if got := References(need.Charts); !slices.Equal(got, tc.charts) && len(got)+len(tc.charts) > 0 {
			t.Errorf("%s %s --ingress %q needs %q", tc.provider, tc.stack, tc.ingress, got)
		}
		has := slices.Contains(References(need.Images), "docker.io/library/traefik:v3.7.11")
		if want := tc.ingress == "traefik"; has != want {
			t.Errorf("%s %s --ingress %q needs Traefik's image: %t", tc.provider, tc.stack, tc.ingress, has)
		}
	}
}

// A controller's request counts on paper.
func TestIngressFits(t *testing.T) {
	t.Parallel()
	pods := func(ingress string) int64 {
		f, err := Fit(withIngressOf(t, K3d, "alerts-light", ingress), Room{Machine: paper.Machine{CPU: 4000, Memory: 8 * gib}})
		if err != nil || !f.Result.Fits() {
			t.Fatalf("%v, %q", err, f.Sentences())
		}
		return f.Result.CPU
	}
	if less := pods("traefik") - pods("none"); less != 50 {
		t.Errorf("Traefik asks for %dm", less)
	}
}

func TestIngressRefused(t *testing.T) {
	t.Parallel()
	address := func(desc state.Description, at string) state.Description {
		desc.Cluster.IngressAddress = at
		return desc
	}
	light := func(provider, ingress string) state.Description {
		return withIngressOf(t, provider, "alerts-light", ingress)
	}
	before := func(desc state.Description) *state.Description { return &desc }
	for name, tc := range map[string]struct {
		is     state.Description
		before *state.Description
		why    string
	}{
		"none":                   {is: light(K3d, "")},
		"traefik":                {is: light(K3d, "traefik")},
		"a class":                {is: light(Existing, "class:web.example.org")},
		"a word":                 {is: light(K3d, "haproxy"), why: `there is no ingress "haproxy": write nginx, traefik, none or class:NAME`},
		"no name":                {is: light(Existing, "class:"), why: `"" is no name of an ingress class`},
		"no class's name":        {is: light(Existing, "class:Web"), why: `"Web" is no name of an ingress class`},
		"a class of one's own":   {is: light(K3d, "class:web"), why: "a cluster that the lab makes has none"},
		"an address":             {is: address(light(Existing, "class:web"), "192.0.2.7")},
		"an address with a port": {is: address(light(Existing, "class:web"), "[2001:db8::7]:8443")},
		"a name":                 {is: address(light(Existing, "class:web"), "ingress.example.org")},
		"an address of ours":     {is: address(light(Existing, "traefik"), "192.0.2.7"), why: "--ingress-address is for a controller of the cluster's own"},
		"no address":             {is: address(light(Existing, "class:web"), "https://web"), why: `the ingress cannot be at "https://web"`},
		"no port":                {is: address(light(Existing, "class:web"), "web:99999"), why: `the ingress cannot be at "web:99999"`},
		"from none":              {is: light(K3d, "traefik"), before: before(light(K3d, ""))},
		"the same":               {is: light(K3d, "traefik"), before: before(light(K3d, "traefik"))},
		"to another":             {is: light(K3d, "nginx"), before: before(light(K3d, "traefik")), why: "lab default has the ingress traefik and cannot change to nginx"},
		"to another class":       {is: light(Existing, "class:b"), before: before(light(Existing, "class:a")), why: "lab default has the ingress class:a and cannot change to class:b"},
		"to none":                {is: withIngressOf(t, K3d, FullStack, "none"), before: before(withIngressOf(t, K3d, FullStack, "")), why: "lab default has the ingress nginx and cannot change to none"},
		"the stack's own, named": {is: withIngressOf(t, K3d, FullStack, "nginx"), before: before(withIngressOf(t, K3d, FullStack, ""))},
		"another address":        {is: address(light(Existing, "class:a"), "192.0.2.8"), before: before(light(Existing, "class:a"))},
	} {
		err := CheckIngress(tc.is, tc.before)
		switch {
		case tc.why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.why != "" && (fault.CodeOf(err) != fault.BadInput || !strings.Contains(fault.Text(err), tc.why) || !strings.Contains(fault.Text(err), "next: alertlab up")):
			t.Errorf("%s: %s", name, fault.Text(err))
		}
	}
}

// The card has where the hosts are reached: a port of the nodes, or where a controller of
// the cluster's own says.
func TestIngressOnCard(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ provider, ingress, address, says, registry string }{
		{K3d, "traefik", "172.18.0.2:30443", "", "https://alert-schemas.default.alertlab.test:30443"},
		{Existing, "class:web", "192.0.2.7:443", "192.0.2.7:443", "https://alert-schemas.default.alertlab.test"},
	} {
		desc := withIngressOf(t, tc.provider, "alerts-light", tc.ingress)
		l := open(t, desc)
		w := wanted(t, desc)
		outputs := map[string]map[string]string{"authority": {"ca": "PEM", "ca-file": "ca.pem"}, "addresses": {}, "kafka": {}, "schema-registry": {}, "registry-front": {}, "alert-database-server": {}, "object-store": {}}
		for _, name := range []string{"bootstrap", "broker.0", "alertdb", "registry", "registry-front", "object-store"} {
			outputs["addresses"][name] = "172.18.0.2:31000"
		}
		r, err := component.Read(inputOf(w, "ingresses"))
		if err != nil {
			t.Fatal(err)
		}
		if outputs["ingresses"] = r.Outputs; tc.says != "" {
			outputs["ingresses"]["address"] = tc.says
		}
		card, err := l.Endpoints(desc, outputs)
		if err != nil {
			t.Fatal(err)
		}
		want := endpoints.Ingress{Address: tc.address, CAFile: "ca.pem", CA: "PEM", RegistryURL: tc.registry, AlertDBURL: strings.Replace(tc.registry, "alert-schemas", "data", 1) + "/alertdb"}
		if card.Ingress != want {
			t.Errorf("%s: %+v, not %+v", tc.ingress, card.Ingress, want)
		}
	}
}

// What a guest brings for its ingress goes with it, and is told by its class.
func TestGuestIngress(t *testing.T) {
	t.Parallel()
	for ingress, want := range map[string][]string{"traefik": {"traefik", "cert-manager"}, "nginx": {"ingress-nginx", "cert-manager"}, "class:web": {"cert-manager"}, "none": nil} {
		desc := withIngressOf(t, Existing, "alerts-light", ingress)
		if got := homes(desc); !slices.Equal(got, want) {
			t.Errorf("%s: homes %q", ingress, got)
		}
		shared, err := sharedBy(wanted(t, desc).Parts)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(shared, func(s existing.Shared) bool { return s.Class != "" }); i >= 0 && (shared[i].Class != ingress || shared[i].Key != "ingress-controller") {
			t.Errorf("%s: %+v", ingress, shared[i])
		}
		if ports := ingressPorts(desc); len(ports) > 0 != (ingress == "traefik" || ingress == "nginx") {
			t.Errorf("%s: ports %v", ingress, ports)
		}
	}
}

// applied is a release that is as it should be.
type applied struct{ release }

func (applied) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{State: plan.Present, Why: "as it was applied"}, nil
}

func (applied) Apply(_ context.Context, order plan.Order) (map[string]string, error) {
	r, err := component.Read(order.Input)
	return r.Outputs, err
}

// Where a controller of the cluster's own is reached it says itself, unless somebody else
// does; one that does not say it ends the step with the way out.
func TestIngressSilent(t *testing.T) {
	t.Parallel()
	desc := withIngressOf(t, Existing, "alerts-light", "class:web")
	input := inputOf(wanted(t, desc), "ingresses")
	says, silent := "192.0.2.7:443", error(nil)
	part := addressed{applied{}, func(context.Context, component.Release) error { return silent }, func(context.Context, component.Release) (string, error) { return says, nil }}
	out, err := part.Apply(t.Context(), plan.Order{Input: input})
	if err != nil || out["address"] != says || out["registry"] != "https://alert-schemas.default.alertlab.test" {
		t.Errorf("%v, %v", out, err)
	}
	look := plan.Look{Last: input, Outputs: out}
	if o, err := part.Observe(t.Context(), look); err != nil || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	says = "192.0.2.8:443"
	if o, err := part.Observe(t.Context(), look); err != nil || o.Drift != "its hosts were reached at 192.0.2.7:443, and are at 192.0.2.8:443" {
		t.Errorf("%+v, %v", o, err)
	}
	silent = errors.New("its controller has not said where it is reached")
	if _, err := part.Apply(t.Context(), plan.Order{Input: input}); fault.CodeOf(err) != fault.StepFailed || !strings.Contains(fault.Text(err), "where the ingress class web is reached is not known") ||
		!strings.Contains(fault.Text(err), "next: alertlab up --ingress-address HOST:PORT") {
		t.Errorf("%v", err)
	}
	desc.Cluster.IngressAddress = "ingress.example.org:8443"
	input = inputOf(wanted(t, desc), "ingresses")
	out, err = part.Apply(t.Context(), plan.Order{Input: input})
	if err != nil || out["address"] != "ingress.example.org:8443" || out["alertdb"] != "https://data.default.alertlab.test:8443/alertdb" {
		t.Errorf("given: %v, %v", out, err)
	}
	if o, err := part.Observe(t.Context(), plan.Look{Last: input, Outputs: out}); err != nil || o.Drift != "" {
		t.Errorf("given: %+v, %v", o, err)
	}
}
