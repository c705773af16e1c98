package catalog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/charts"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/kafkacertificates"
	"github.com/alertlab/alertlab/component/metallb"
	"github.com/alertlab/alertlab/component/nodeports"
	argo "github.com/alertlab/alertlab/deployer/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// onK3d describes a lab of a shipped profile on k3d, with the light stack.
func onK3d(t *testing.T, name string) state.Description { return on(t, K3d, name) }

// on describes one on a provider.
func on(t testing.TB, provider, name string) state.Description {
	t.Helper()
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return state.Description{Name: "default", Provider: provider, Stack: "alerts-light", Profile: name, Resolved: string(p.Source()),
		Cluster: state.Cluster{NodeImage: "docker.io/rancher/k3s:test", Image: "alertlab.dev/alertlab:0123456789ab", Context: placeOf[provider]}}
}

// placeOf is the context of a lab on a cluster that was there.
var placeOf = map[string]string{Existing: "my-cluster"}

// runnable are the profiles that a lab on k3d can be of: all.
var runnable = []string{"ci", "idfint", "local", "summit", "usdfdev", "usdfprod"}

// The plan of every profile on k3d, as text.
func TestClusterPlans(t *testing.T) {
	t.Parallel()
	for provider, names := range map[string][]string{K3d: runnable, Kind: {"ci", "summit", "usdfdev"}, Existing: {"ci", "summit"}} {
		for _, name := range names {
			w := wanted(t, on(t, provider, name))
			fresh, _ := freshPlan(t, w)
			golden(t, filepath.Join(provider, name+"-fresh.txt"), fresh.String())
		}
	}
	w := wanted(t, onK3d(t, "ci"))
	down, err := plan.MakeDown(w, plan.Snapshot{"cluster": {State: plan.Present}}, plan.Purge)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("k3d", "ci-purge.txt"), down.String())
}

// resolvedReleases gives the steps that are releases, with references as a cluster
// whose server is at 172.18.0.2 would resolve them.
func resolvedReleases(t *testing.T, w plan.Wanted) map[string]json.RawMessage {
	t.Helper()
	releases := allReleases(t, w)
	maps.DeleteFunc(releases, func(_ string, input json.RawMessage) bool {
		r, err := component.Read(input)
		return err != nil || r.Repository != "" // others' charts come from elsewhere
	})
	return releases
}

func allReleases(t *testing.T, w plan.Wanted) map[string]json.RawMessage {
	t.Helper()
	outputs := map[string]map[string]string{"cluster": {"address": "172.18.0.2", "name": "k3d-alertlab-default-server-0"}}
	releases := map[string]json.RawMessage{}
	for left := slices.Clone(w.Parts); len(left) > 0; {
		want := left[0]
		left = left[1:]
		input, err := plan.Resolve(want.Input, outputs)
		if err != nil {
			t.Fatalf("%s: %v", want.Key, err)
		}
		switch r, err := component.Read(input); {
		case want.Key == "addresses":
			part := exposed{ports: nodeports.New(), pool: metallb.New(func(context.Context) (metallb.Network, error) {
				return metallb.Network{Name: "k3d-alertlab-default", Subnet: netip.MustParsePrefix("172.18.0.0/16")}, nil
			})}
			if outputs[want.Key], err = part.Apply(t.Context(), plan.Order{Input: input}); err != nil {
				t.Fatal(err)
			}
		case want.Key == "authority":
			outputs[want.Key] = map[string]string{"ca": "-----BEGIN CERTIFICATE-----\n", "ca-file": "/labs/default/tls/ca.pem"}
		case want.Key == "kafka-certificates":
			outputs[want.Key] = map[string]string{kafkacertificates.Issued: "0123456789abcdef"}
		case err == nil && r.Chart != "":
			outputs[want.Key], releases[want.Key] = r.Outputs, input
		}
	}
	return releases
}

// byArgo describes the same lab, deployed by Argo CD out of a bundle.
func byArgo(t *testing.T, name string) state.Description {
	desc := onK3d(t, name)
	desc.Cluster.Deployer, desc.Cluster.Bundle = ArgoCD, "/site/alerts.bundle"
	desc.Cluster.Charts = []state.Chart{{Name: "argo-cd", Version: "7.9.1", AppVersion: "v2.14.21", Images: []string{"quay.io/argoproj/argocd:v2.14.21", "redis:7"}}}
	return desc
}

// digest is that of a chart's content, in its version.
var digest = regexp.MustCompile(`\+[0-9a-f]{12}\b`)

// The plan of a lab that Argo CD deploys, and what it makes of each component.
func TestArgoCDPlan(t *testing.T) {
	t.Parallel()
	w := wanted(t, byArgo(t, "ci"))
	seen := plan.Snapshot{}
	for _, part := range w.Parts {
		seen[part.Key] = plan.Observation{State: plan.Absent, Why: "nothing is there"}
	}
	fresh, err := plan.Make(w, seen)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("argocd", "ci-fresh.txt"), fresh.String())
	for _, part := range w.Parts {
		if r, err := component.Read(part.Input); err != nil || r.Chart == "" || part.Key == "argocd" || part.Key == "chart-registry" {
			continue
		}
		text, err := argo.Render(part.Input)
		if err != nil {
			t.Fatalf("%s: %v", part.Key, err)
		}
		// Versions change with every edit of a chart.
		golden(t, filepath.Join("argocd", "ci-"+part.Key+".yaml"), digest.ReplaceAllString(text, "+DIGEST"))
		if strings.Contains(strings.ToLower(text), "password:") {
			t.Errorf("%s has a password:\n%s", part.Key, text)
		}
	}
	l := open(t, byArgo(t, "ci"))
	if got := l.Accounts(byArgo(t, "ci")); !slices.Equal(got, []string{"argocd"}) {
		t.Errorf("accounts %q", got)
	}
	if got := l.Accounts(onK3d(t, "ci")); len(got) > 0 {
		t.Errorf("accounts without Argo CD: %q", got)
	}
}

// withBundle describes a lab of the light stack with a bundle.
func withBundle(deployer, bundle string) state.Description {
	return state.Description{Provider: K3d, Stack: "alerts-light", Cluster: state.Cluster{Deployer: deployer, Bundle: bundle}}
}

// Argo CD's chart is a chart of others like the rest: the pinned one, or the bundle's
// with the images that it renders.
func TestBundledCharts(t *testing.T) {
	t.Parallel()
	if got, err := BundledCharts(withBundle(ArgoCD, "")); len(got) > 0 || err != nil {
		t.Errorf("no bundle: %v, %v", got, err)
	}
	desc := onK3d(t, "ci")
	p, _, err := profileOf(desc)
	if err != nil {
		t.Fatal(err)
	}
	if got := images(p, desc); slices.ContainsFunc(got, func(ref string) bool { return strings.Contains(ref, "argocd") }) {
		t.Errorf("by Helm: %q", got)
	}
	desc.Cluster.Deployer = ArgoCD
	if got := images(p, desc); !slices.Contains(got, "quay.io/argoproj/argocd:v2.14.21") || !slices.Contains(got, "public.ecr.aws/docker/library/redis:7.0.15-alpine") {
		t.Errorf("the pinned chart: %q", got)
	}
	// A chart of that name with one image, and a bundle without it.
	with := bundleOf(t, &charts.Chart{Name: "argo-cd", Files: map[string][]byte{"Chart.yaml": []byte("apiVersion: v2\nname: argo-cd\nversion: 1.2.3\nappVersion: v1\n"),
		"templates/pod.yaml": []byte("kind: Pod\nspec:\n  containers:\n  - image: quay.io/other/argocd:v1\n")}})
	if got, err := BundledCharts(withBundle(Helm, with)); len(got) > 0 || err != nil {
		t.Errorf("by Helm: %v, %v", got, err)
	}
	if desc.Cluster.Charts, err = BundledCharts(withBundle(ArgoCD, with)); err != nil || len(desc.Cluster.Charts) != 1 || desc.Cluster.Charts[0].Version != "1.2.3" {
		t.Errorf("a bundle with it: %v, %v", desc.Cluster.Charts, err)
	}
	if got := images(p, desc); !slices.Contains(got, "quay.io/other/argocd:v1") || slices.Contains(got, "quay.io/argoproj/argocd:v2.14.21") {
		t.Errorf("the bundle's: %q", got)
	}
	if missing := missingCharts(p, desc); len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
	own, err := charts.Load("kafka")
	if err != nil {
		t.Fatal(err)
	}
	if desc.Cluster.Charts, err = BundledCharts(withBundle(ArgoCD, bundleOf(t, own))); err != nil {
		t.Fatal(err)
	}
	if missing := missingCharts(p, desc); !slices.Equal(missing, []string{"the chart argo-cd 7.9.1"}) {
		t.Errorf("missing: %q", missing)
	}
	if _, err := BundledCharts(withBundle(ArgoCD, filepath.Join(t.TempDir(), "none"))); fault.CodeOf(err) != fault.BadInput || !strings.Contains(fault.Text(err), "the bundle cannot be used") {
		t.Errorf("%v", err)
	}
}

func TestDeployerRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range [][3]string{{"flux", K3d, "deployed by helm or argocd"}, {ArgoCD, Existing, "Argo CD deploys to clusters of k3d and kind only"}} {
		if err := CheckDeployer(tc[0], tc[1]); fault.CodeOf(err) != fault.BadInput || !strings.Contains(fault.Text(err), tc[2]) {
			t.Errorf("%s on %s: %v", tc[0], tc[1], err)
		}
	}
	for _, provider := range []string{K3d, Kind, Existing} {
		if err := CheckDeployer(Helm, provider); err != nil {
			t.Errorf("%s: %v", provider, err)
		}
	}
	if err := CheckDeployer(ArgoCD, Kind); err != nil {
		t.Error(err)
	}
}

// Charts of others are Helm's under Argo CD too, and no Application is over them.
func TestArgoCDBesideHelm(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{K3d, Kind} {
		desc := on(t, provider, "idfint")
		desc.Cluster.Deployer = ArgoCD
		l, w := open(t, desc), wanted(t, desc)
		for _, want := range w.Parts {
			byHelm := slices.Contains([]string{"metallb", "cert-manager"}, want.Key)
			byArgo := slices.Contains([]string{"address-pool", "certificates", "storage-classes", "simulator", "applications"}, want.Key)
			var of any = l.Parts()[want.Key]
			if player, ok := of.(*steer.Player); ok {
				of = player.Release
			}
			switch part := of.(type) {
			case *helm.Part:
				if !byHelm {
					t.Errorf("%s: %s is Helm's", provider, want.Key)
				}
			case *argo.Part:
				if byHelm {
					t.Errorf("%s: %s is Argo CD's", provider, want.Key)
				}
			default:
				if byHelm || byArgo {
					t.Errorf("%s: %s is a %T", provider, want.Key, part)
				}
			}
			if synced := slices.ContainsFunc(want.Gates, func(g plan.Gate) bool { return g.Name == argo.GateSynced }); byHelm && synced || byArgo && !synced {
				t.Errorf("%s: %s has gates %v", provider, want.Key, want.Gates)
			}
			if want.Key == "applications" && (strings.Contains(string(want.Input), `"chart":"metallb"`) || strings.Contains(string(want.Input), `"chart":"cert-manager"`)) {
				t.Errorf("%s: an Application is over a chart of others", provider)
			}
		}
		if kafka, ok := l.Parts()["kafka"].(trusting); !ok {
			t.Errorf("kafka is a %T", l.Parts()["kafka"])
		} else if _, ok := kafka.release.(*argo.Part); !ok {
			t.Errorf("kafka is a %T", kafka.release)
		}
	}
}

// bundleOf writes a bundle that holds a chart.
func bundleOf(t *testing.T, c *charts.Chart) string {
	t.Helper()
	archive, err := c.Archive()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	chart, file := filepath.Join(dir, c.Name+".tgz"), filepath.Join(dir, "a.bundle")
	if err := os.WriteFile(chart, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Save(t.Context(), file, bundle.Contents{About: bundle.About{Stack: "test"}, Sources: []bundle.Source{bundle.Charts{chart}}}, nil); err != nil {
		t.Fatal(err)
	}
	return file
}

// What the charts make of the values of real profiles.
func TestRendered(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ci", "idfint", "usdfdev"} {
		releases := resolvedReleases(t, wanted(t, onK3d(t, name)))
		if len(releases) < 8 {
			t.Errorf("%s has %d releases", name, len(releases))
		}
		for key, input := range releases {
			text, err := helm.Render(input)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, key, err)
			}
			golden(t, filepath.Join("k3d", name+"-"+key+".yaml"), text)
			strictly(t, key, text)
		}
	}
}

// freshPlan plans a lab of which nothing is there, and gives what was seen.
func freshPlan(t *testing.T, w plan.Wanted) (*plan.Plan, plan.Snapshot) {
	t.Helper()
	seen := run.Observe(t.Context(), w, map[string]plan.Part{}, nil)
	for key := range seen {
		seen[key] = plan.Observation{State: plan.Absent, Why: "nothing is there"}
	}
	fresh, err := plan.Make(w, seen)
	if err != nil {
		t.Fatal(err)
	}
	return fresh, seen
}

// documents takes what was rendered apart.
func documents(t *testing.T, text string) [][]byte {
	t.Helper()
	var out [][]byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, document)
	}
}

// strictly reads objects as Kubernetes' own types: a field that they do not have, or
// one that stands there twice, is an error.
func strictly(t *testing.T, key, text string) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, document := range documents(t, text) {
		object, _, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			// Of another's definition: the API server is asked about it, on the rig.
			u := &unstructured.Unstructured{}
			err = yaml.Unmarshal(document, &u.Object)
			object = u
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", key, err, document)
			continue
		}
		about, err := meta.Accessor(object)
		if err != nil || about.GetLabels()["alertlab.dev/lab"] != "default" || about.GetLabels()["app.kubernetes.io/part-of"] != "alertlab" {
			t.Errorf("%s: an object without the lab's labels, %v\n%s", key, err, document)
		}
	}
}

// No secret is in what is planned, journalled and kept by Helm.
func TestNoSecretInValues(t *testing.T) {
	t.Parallel()
	desc := onK3d(t, "ci")
	l := open(t, desc)
	users, err := l.Users(desc)
	if err != nil || !slices.Contains(users, component.NodesUser) {
		t.Fatalf("%q, %v", users, err)
	}
	for key, input := range resolvedReleases(t, wanted(t, desc)) {
		if strings.Contains(strings.ToLower(string(input)), `"password`) {
			t.Errorf("%s has a password: %s", key, input)
		}
	}
}

// The card of a lab on k3d is made of the same outputs as an embedded one's.
func TestClusterCard(t *testing.T) {
	t.Parallel()
	desc := onK3d(t, "ci")
	p, err := profiles.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]map[string]string{}
	for key, input := range resolvedReleases(t, wanted(t, desc)) {
		r, err := component.Read(input)
		if err != nil {
			t.Fatal(err)
		}
		outputs[key] = r.Outputs
	}
	card := inprocess.Card(desc, p, nil, outputs)
	got := fmt.Sprint(card.Kafka.Bootstrap, " ", card.Kafka.Brokers, " ", card.Registry.URL, " ", card.Registry.AdminURL, " ", card.AlertDB.URL, " ", card.ObjectStore.URL, " ", card.ObjectStore.Region)
	want := "172.18.0.2:31200 [{0 172.18.0.2:31090}] http://172.18.0.2:31280 http://172.18.0.2:31281 http://172.18.0.2:31230 http://172.18.0.2:31290 us-east-1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What cannot become a lab on k3d is refused before anything is begun.
func TestClusterRefused(t *testing.T) {
	t.Parallel()
	change := func(name string, change func(*state.Description)) state.Description {
		desc := onK3d(t, name)
		change(&desc)
		return desc
	}
	for name, tc := range map[string]struct {
		desc state.Description
		want string
	}{
		"a Kubernetes that no operator knows": {change("usdfdev", func(d *state.Description) {
			d.Stack, d.Cluster.NodeImage = "alerts", "docker.io/rancher/k3s:v1.29.4-k3s1"
		}), "kafka.version: no Strimzi runs Kafka 4.2.0 on Kubernetes 1.29: Strimzi 1.2.0 runs on Kubernetes from 1.30"},
		"a user that is no DNS name": {change("ci", func(d *state.Description) {
			d.Stack, d.Resolved = "alerts", strings.Replace(d.Resolved, "name: alerce", "name: Alerce_idfint", 1)
		}), `the Kafka user "Alerce_idfint" cannot be a KafkaUser`},
		"node ports": {change("ci", func(d *state.Description) {
			d.Resolved = strings.Replace(d.Resolved, "listener: {port: 9094, tls: false, type: nodeport}", "listener: {port: 9094, tls: false, type: nodeport, nodePort: 31200}", 1)
		}), "31200 is another service's"},
		"a pool for none": {change("ci", func(d *state.Description) { d.Cluster.AddressPool = "192.0.2.0/24" }), "brokers have ports of a node"},
		"a small pool":    {change("local", func(d *state.Description) { d.Cluster.AddressPool = "192.0.2.0/30" }), "it has 4 addresses, and this lab needs 8"},
	} {
		_, err := Wanted(tc.desc)
		if fault.CodeOf(err) != fault.BadInput || !strings.Contains(fault.Text(err), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Embedded, the light stack is the full one.
	light := onK3d(t, "ci")
	light.Provider, light.Cluster = Embedded, state.Cluster{}
	full := light
	full.Stack = "alerts"
	a, b := wanted(t, light), wanted(t, full)
	a.Stack = b.Stack
	for i := range a.Parts {
		a.Parts[i].Why, b.Parts[i].Why = "", ""
	}
	if x, y := plan.Input(a), plan.Input(b); string(x) != string(y) {
		t.Errorf("embedded the stacks differ:\n%s\n%s", x, y)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	desc := onK3d(t, "ci")
	if err := Check(desc, filepath.Join(t.TempDir(), "none")); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("a program that is not there: %v", err)
	}
	desc.Provider = Embedded
	if err := Check(desc, "none"); err != nil {
		t.Errorf("embedded: %v", err)
	}
	if _, err := Left(t.Context(), desc); err != nil {
		t.Errorf("embedded: %v", err)
	}
}

// away is a part whose place does not answer.
type away struct{ plan.Part }

func (away) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{}, errors.New("connection refused")
}

// While a broker is started again, what is in it is unknown, and the plan waits for the
// broker instead of being blocked; where nothing is wrong with the broker it is blocked.
func TestAway(t *testing.T) {
	t.Parallel()
	look := plan.Look{Want: plan.Want{Key: "kafka-users", Behind: "kafka"}}
	o, err := afar{away{}}.Observe(t.Context(), look)
	if err != nil || o.State != plan.Unknown || o.Until != "kafka" || o.Why != "connection refused" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (afar{away{}}).Observe(t.Context(), plan.Look{}); err == nil {
		t.Error("what is behind nothing was seen")
	}
	l := open(t, onK3d(t, "ci"))
	if _, ok := l.Parts()["kafka-users"].(afar); !ok {
		t.Errorf("the users are a %T", l.Parts()["kafka-users"])
	}
}
