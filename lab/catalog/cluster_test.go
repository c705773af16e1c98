package catalog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// onK3d describes a lab of a shipped profile on k3d, with the light stack.
func onK3d(t *testing.T, name string) state.Description {
	t.Helper()
	return onK3dOf(t, name)
}

func onK3dOf(t testing.TB, name string) state.Description {
	t.Helper()
	p, err := profiles.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return state.Description{Name: "default", Provider: K3d, Stack: "alerts-light", Profile: name, Resolved: string(p.Source()),
		Cluster: state.Cluster{NodeImage: "docker.io/rancher/k3s:test", Image: "alertlab.dev/alertlab:0123456789ab"}}
}

// runnable are the profiles that a lab on k3d can be of at present: idfint's listener
// has TLS, for which there are no certificates yet.
var runnable = []string{"ci", "local", "summit", "usdfdev", "usdfprod"}

// The plan of every profile on k3d, as text.
func TestClusterPlans(t *testing.T) {
	t.Parallel()
	for _, name := range runnable {
		w := wanted(t, onK3d(t, name))
		seen := run.Observe(t.Context(), w, map[string]plan.Part{}, nil)
		for key := range seen {
			seen[key] = plan.Observation{State: plan.Absent, Why: "nothing is there"}
		}
		fresh, err := plan.Make(w, seen)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("k3d", name+"-fresh.txt"), fresh.String())
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
			entry := clusterEntries()["addresses/node-ports"]
			if outputs[want.Key], err = entry.part(nil).Apply(t.Context(), plan.Order{Input: input}); err != nil {
				t.Fatal(err)
			}
		case err == nil && r.Chart != "":
			releases[want.Key], outputs[want.Key] = input, r.Outputs
		}
	}
	return releases
}

// What the charts make of the values of real profiles.
func TestRendered(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ci", "usdfdev"} {
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

// strictly reads objects as Kubernetes' own types: a field that they do not have, or
// one that stands there twice, is an error.
func strictly(t *testing.T, key, text string) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
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
	card := Card(desc, p, nil, outputs)
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
		"TLS": {onK3d(t, "idfint"), "brokers on Kubernetes have no certificates yet"},
		"a Kubernetes that no operator knows": {change("usdfdev", func(d *state.Description) {
			d.Stack, d.Cluster.NodeImage = "alerts", "docker.io/rancher/k3s:v1.29.4-k3s1"
		}), "kafka.version: no Strimzi runs Kafka 4.2.0 on Kubernetes 1.29: Strimzi 1.2.0 runs on Kubernetes from 1.30"},
		"a user that is no DNS name": {change("ci", func(d *state.Description) {
			d.Stack, d.Resolved = "alerts", strings.Replace(d.Resolved, "name: alerce", "name: Alerce_idfint", 1)
		}), `the Kafka user "Alerce_idfint" cannot be a KafkaUser`},
		"node ports": {change("ci", func(d *state.Description) {
			d.Resolved = strings.Replace(d.Resolved, "listener: {port: 9094, tls: false}", "listener: {port: 9094, tls: false, type: nodeport, nodePort: 31200}", 1)
		}), "31200 is another service's"},
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
	if _, ok := l.parts["kafka-users"].(afar); !ok {
		t.Errorf("the users are a %T", l.parts["kafka-users"])
	}
}
