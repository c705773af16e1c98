package catalog

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/deployer/steer"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// operatedGuest is a lab with Strimzi's Kafka on a cluster that was there, and nothing else
// by operators.
func operatedGuest(t *testing.T, profile string) state.Description {
	t.Helper()
	desc := on(t, Existing, profile)
	desc.Stack, desc.Cluster.NodeImage = StrimziStack, ""
	return desc
}

// What a guest with operators wants as text: they are brought where the cluster has none.
func TestGuestOperators(t *testing.T) {
	t.Parallel()
	encrypted := operatedGuest(t, "idfint")
	encrypted.Cluster.AddressPool = "172.18.9.0-172.18.9.15"
	full := operatedGuest(t, "usdfdev")
	full.Stack = FullStack
	for _, desc := range []state.Description{operatedGuest(t, "ci"), operatedGuest(t, "usdfdev"), encrypted, full} {
		w := wanted(t, desc)
		fresh, seen := freshPlan(t, w)
		golden(t, filepath.Join(Existing, strings.TrimPrefix(desc.Stack, "alerts-")+"-"+desc.Profile+"-fresh.txt"), fresh.String())
		operators := []string{"strimzi-crds", "strimzi"}
		if desc.Stack == FullStack {
			operators = append(operators, "registry-operator-crds", "registry-operator")
		}
		for _, key := range operators {
			seen[key] = plan.Observation{State: plan.Present, Why: "was there", Applied: inputOf(w, key), Resolved: inputOf(w, key)}
		}
		if beside, err := plan.Make(w, seen); err != nil || len(beside.Steps) != len(fresh.Steps)-len(operators) {
			t.Errorf("%s: %d steps of %d, %v", desc.Profile, len(beside.Steps), len(fresh.Steps), err)
		}
		if got := homes(desc); !slices.Contains(got, "strimzi") {
			t.Errorf("%s: homes %q", desc.Profile, got)
		}
	}
}

// guestsOwn are the renders of the full stack that are otherwise on a cluster that is there:
// its topics are as many as the profile says, its pool has a name of its own, and the
// certificates of its hosts are of an issuer of the namespace.
var guestsOwn = []string{"ingresses", "kafka", "kafka-topics"}

// fullGuest is a lab of the full stack on a cluster that was there.
func fullGuest(t *testing.T) state.Description {
	t.Helper()
	desc := operatedGuest(t, "usdfdev")
	desc.Stack, desc.Cluster.AddressPool = FullStack, "172.18.9.0-172.18.9.15"
	return desc
}

// What the full stack consists of is on a cluster that is there what it is on k3d, but for
// guestsOwn, and of both every object is shown to an API server (TestFullStackObjects of the
// rig).
func TestGuestRendersAsK3d(t *testing.T) {
	t.Parallel()
	desc := fullGuest(t)
	releases := allReleases(t, wanted(t, desc))
	there, otherwise := 0, []string{}
	for key, input := range allReleases(t, wanted(t, fullOnK3d(t, "usdfdev"))) {
		ours, ok := releases[key]
		if !ok || key == "address-pool" || key == "certificates" { // those of a guest have goldens (TestGuestPlan)
			continue
		}
		r, err := component.Read(input)
		if err != nil {
			t.Fatal(err)
		}
		if r.Repository != "" {
			guest, err := component.Read(ours)
			if err != nil || guest.Owner != desc.Name || guest.Chart != r.Chart || guest.Version != r.Version || guest.Name != r.Name {
				t.Errorf("%s: %+v, %v", key, guest, err)
			}
			continue
		}
		want, err := helm.Render(input)
		if err != nil {
			t.Fatal(err)
		}
		got, err := helm.Render(ours)
		if err != nil {
			t.Fatal(err)
		}
		if there++; got != want {
			otherwise = append(otherwise, key)
		}
	}
	slices.Sort(otherwise)
	if there < 9 || !slices.Equal(otherwise, guestsOwn) {
		t.Errorf("%d renders, of which otherwise: %q", there, otherwise)
	}
}

// A Kubernetes on which no Strimzi of ours runs is said, unless somebody's is there.
func TestUnserved(t *testing.T) {
	t.Parallel()
	desc := operatedGuest(t, "ci")
	light := on(t, Existing, "ci")
	theirs := []existing.Found{{Key: "strimzi", There: true}}
	for name, tc := range map[string]struct {
		desc state.Description
		s    existing.Survey
		why  string
	}{
		"new enough":         {desc, existing.Survey{Version: "v1.35.4+k3s1"}, ""},
		"not known":          {desc, existing.Survey{Version: "devel"}, ""},
		"too old":            {desc, existing.Survey{Version: "v1.29.3"}, "and those of this lab are written in v1"},
		"old, with theirs":   {desc, existing.Survey{Version: "v1.29.3", Shared: theirs}, ""},
		"without operators":  {light, existing.Survey{Version: "v1.29.3"}, ""},
		"old, theirs absent": {desc, existing.Survey{Version: "v1.29.3", Shared: []existing.Found{{Key: "strimzi"}}}, "serves the API v1beta2 of its resources"},
	} {
		p, _, err := profileOf(tc.desc)
		if err != nil {
			t.Fatal(err)
		}
		if err := unserved(p, tc.desc, &tc.s); (err == nil) != (tc.why == "") || err != nil && !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The operators of a Kafka's topics and users are not the cluster's.
func TestOperatesClusters(t *testing.T) {
	t.Parallel()
	if operatesClusters(existing.Controller{Env: map[string]string{"STRIMZI_NAMESPACE": "alert-stream-broker", "STRIMZI_RESOURCE_LABELS": "strimzi.io/cluster=alert-broker"}}) {
		t.Error("a topic operator is taken for a cluster operator")
	}
}

// A registry operator that others brought is of use, or is not.
func TestSuitsRegistries(t *testing.T) {
	t.Parallel()
	served := map[string][]string{ofRegistries[0]: {"v1beta1"}}
	ours := map[string]string{"SSR_CLUSTER_NAME": "alert-broker", "SSR_NAMESPACE": "alert-stream-broker"}
	for name, tc := range map[string]struct {
		of    existing.Controller
		kafka string
		why   string
	}{
		"ours":                       {existing.Controller{Version: "0.7.1", Served: served, Env: ours}, "alert-broker", ""},
		"its definitions alone":      {existing.Controller{Version: "0.7.1", Served: served, Env: ours}, "", ""},
		"of another cluster":         {existing.Controller{Version: "0.7.1", Served: served, Env: ours}, "sasquatch", "is for the Kafka cluster alert-broker"},
		"of another namespace":       {existing.Controller{Served: served, Env: map[string]string{"SSR_NAMESPACE": "web"}}, "alert-broker", "looks at the namespace web alone"},
		"of an API that nobody has":  {existing.Controller{Version: "0.6.0", Served: served, Env: ours}, "alert-broker", "asks for objects of kafka.strimzi.io/v1beta2"},
		"of another API of its own":  {existing.Controller{Served: map[string][]string{ofRegistries[0]: {"v1"}}}, "alert-broker", "does not serve roundtable.lsst.codes/v1beta1"},
		"that says nothing of where": {existing.Controller{Served: served}, "alert-broker", ""},
	} {
		why, next := suitsRegistries(tc.kafka)(tc.of)
		if (why == "") != (tc.why == "") || !strings.Contains(why, tc.why) || (next == "") != (why == "") {
			t.Errorf("%s: because %q, next %q", name, why, next)
		}
	}
}

// In a site's registry Confluent's image has another name too, which its object names apart
// from the tag.
func TestRegistryNameApart(t *testing.T) {
	t.Parallel()
	desc := operatedGuest(t, "usdfdev")
	desc.Stack, desc.Cluster.Registry = FullStack, "registry.example:5000/site"
	releases := allReleases(t, wanted(t, desc))
	text, err := helm.Render(releases["schema-registry"])
	if err != nil || !strings.Contains(text, "registryImage: registry.example:5000/site/docker.io/confluentinc/cp-schema-registry\n") || !strings.Contains(text, `registryImageTag: "8.0.0"`) {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err = helm.Render(releases["kafka"]); err != nil || !strings.Contains(text, "image: \"registry.example:5000/site/quay.io/strimzi/kafka:") {
		t.Errorf("%v\n%s", err, text)
	}
	r, err := component.Read(releases["kafka-ui"])
	if err != nil || r.Registry != desc.Cluster.Registry || r.Owner != desc.Name {
		t.Errorf("%+v, %v", r, err)
	}
}

// Whoever brings a lab with Strimzi's Kafka up is asked for the rights to make its objects.
func TestOperatorRightsCoverCharts(t *testing.T) {
	t.Parallel()
	resources := map[string]string{"Kafka": "kafkas", "KafkaNodePool": "kafkanodepools", "KafkaTopic": "kafkatopics", "KafkaUser": "kafkausers"}
	rights := existing.OperatorRights(false)
	seen := map[string]int{}
	releases := resolvedReleases(t, wanted(t, operatedGuest(t, "usdfdev")))
	for _, key := range []string{"kafka", "kafka-users", "kafka-topics"} {
		text, err := helm.Render(releases[key])
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range documents(t, text) {
			b, err := utilyaml.ToJSON(document)
			if err != nil {
				t.Fatal(err)
			}
			var object struct{ APIVersion, Kind string }
			if err := json.Unmarshal(b, &object); err != nil {
				t.Fatal(err)
			}
			seen[object.Kind]++
			if !slices.ContainsFunc(rights, func(r existing.Right) bool {
				return r.Resource == resources[object.Kind] && strings.HasPrefix(object.APIVersion, r.Group+"/") && slices.Contains(r.Verbs, "create")
			}) {
				t.Errorf("%s makes a %s, and no right to is asked for", key, object.Kind)
			}
		}
	}
	for kind := range resources {
		if seen[kind] == 0 {
			t.Errorf("no chart makes a %s", kind)
		}
	}
}

// A Strimzi that others brought is of use, or is not, and then it is said why.
func TestSuitsKafka(t *testing.T) {
	t.Parallel()
	served := func(version string) map[string][]string {
		out := map[string][]string{}
		for _, name := range ofStrimzi {
			out[name] = []string{version}
		}
		return out
	}
	const images = "4.1.2=quay.io/strimzi/kafka:1.0.1-kafka-4.1.2\n4.2.0=quay.io/strimzi/kafka:1.0.1-kafka-4.2.0\n"
	for name, tc := range map[string]struct {
		served map[string][]string
		env    map[string]string
		why    string
		next   string
	}{
		"of all namespaces":                {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "*", "STRIMZI_KAFKA_IMAGES": images}, "", ""},
		"of ours among others":             {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "web,alert-stream-broker"}, "", ""},
		"of its own":                       {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "kafka"}, "does not look at the namespace alert-stream-broker, but at kafka", "have it look there too"},
		"of an API before ours":            {served("v1beta2"), map[string]string{"STRIMZI_NAMESPACE": "*"}, "does not serve v1 of kafkas.kafka.strimzi.io", "upgrade it"},
		"of other labels":                  {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "*", "STRIMZI_CUSTOM_RESOURCE_SELECTOR": "team=web"}, "looks at objects with the labels team=web alone", "--stack alerts-light"},
		"of other versions of Kafka":       {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "*", "STRIMZI_KAFKA_IMAGES": strings.Split(images, "\n")[1]}, "does not run Kafka 4.1.2, but 4.2.0", `write kafka.version: "4.2.0" in a copy of the profile`},
		"whose versions of Kafka are none": {served("v1"), map[string]string{"STRIMZI_NAMESPACE": "*", "STRIMZI_KAFKA_IMAGES": ""}, "", ""},
	} {
		if told := tc.env["STRIMZI_KAFKA_IMAGES"] != ""; told && !operatesClusters(existing.Controller{Env: tc.env}) {
			t.Errorf("%s: it is not seen to be a cluster operator", name)
		}
		why, next := suitsKafka("4.1.2")(existing.Controller{Served: tc.served, Env: tc.env})
		if (why == "") != (tc.why == "") || !strings.Contains(why, tc.why) || !strings.Contains(next, tc.next) || (next == "") != (why == "") {
			t.Errorf("%s: because %q, next %q", name, why, next)
		}
	}
}

// strimziAPI is an API server that has one Kafka, with annotations, a registry's Deployment
// that was scaled to zero, and nothing else.
type strimziAPI struct {
	*kube.Client
	annotations map[string]string
	patched     []string // path and patch
}

func newStrimziAPI(t *testing.T, annotations map[string]string) *strimziAPI {
	t.Helper()
	api := &strimziAPI{annotations: annotations}
	type m = map[string]any
	kafka := func() m {
		return m{"apiVersion": "kafka.strimzi.io/v1", "kind": "Kafka", "metadata": m{"name": "alert-broker", "namespace": "alert-stream-broker", "annotations": api.annotations}}
	}
	version := m{"groupVersion": "kafka.strimzi.io/v1", "version": "v1"}
	answers := map[string]func() m{
		"/api":    func() m { return m{"kind": "APIVersions", "versions": []any{"v1"}} },
		"/api/v1": func() m { return m{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{}} },
		"/apis": func() m {
			return m{"kind": "APIGroupList", "groups": []any{m{"name": "kafka.strimzi.io", "versions": []any{version}, "preferredVersion": version}}}
		},
		"/apis/kafka.strimzi.io/v1": func() m {
			return m{"kind": "APIResourceList", "groupVersion": "kafka.strimzi.io/v1", "resources": []any{m{"name": "kafkas", "kind": "Kafka", "namespaced": true, "verbs": []any{"get", "patch"}}}}
		},
		"/apis/kafka.strimzi.io/v1/namespaces/alert-stream-broker/kafkas/alert-broker": kafka,
		"/api/v1/namespaces/alert-stream-broker/pods":                                  func() m { return m{"kind": "PodList", "apiVersion": "v1", "items": []any{}} },
		"/apis/apps/v1/namespaces/alert-stream-broker/deployments": func() m {
			return m{"kind": "DeploymentList", "apiVersion": "apps/v1", "items": []any{m{"metadata": m{"name": "alert-schema-registry", "annotations": m{kube.Stopped: "2"}}, "spec": m{"replicas": 0}}}}
		},
		"/apis/apps/v1/namespaces/alert-stream-broker/deployments/alert-schema-registry": func() m {
			return m{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": m{"name": "alert-schema-registry"}}
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = func() m {
				return m{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
			}
		}
		if r.Method == http.MethodPatch {
			body, _ := io.ReadAll(r.Body)
			api.patched = append(api.patched, path.Base(r.URL.Path)+" "+string(body))
		}
		_ = json.NewEncoder(w).Encode(answer())
	}))
	t.Cleanup(server.Close)
	client, err := kube.New([]byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"" + server.URL +
		"\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	api.Client = client
	return api
}

// unchanged is a release that is as it was applied.
type unchanged struct{ release }

func (unchanged) Observe(context.Context, plan.Look) (plan.Observation, error) {
	return plan.Observation{State: plan.Present, Why: "it is there"}, nil
}

func (unchanged) Apply(context.Context, plan.Order) (map[string]string, error) {
	return map[string]string{"a": "b"}, nil
}

// A Kafka that is halted though the lab is not, as after a stop that was killed, is put
// right, and so is a registry that was scaled to zero; others are left alone.
func TestHaltedIsDrift(t *testing.T) {
	t.Parallel()
	input := plan.Input(component.Release{Name: "kafka", Namespace: component.Namespace, Chart: "strimzi-kafka", Values: map[string]any{"cluster": "alert-broker"}})
	for name, tc := range map[string]struct {
		annotations map[string]string
		drift       string
		patched     string
	}{
		"halted":         {map[string]string{steer.Halted: "2026-11-22T07:00:00Z", "strimzi.io/pause-reconciliation": "true"}, "it is halted, as for a stop of the lab", `alert-broker {"metadata":{"annotations":{"alertlab.dev/halted":null,"strimzi.io/pause-reconciliation":null}}}`},
		"paused by them": {map[string]string{"strimzi.io/pause-reconciliation": "true"}, "", ""},
		"as it should":   {nil, "", ""},
	} {
		api := newStrimziAPI(t, tc.annotations)
		p := roused{unchanged{}, func() (*kube.Client, error) { return api.Client, nil }}
		o, err := p.Observe(t.Context(), plan.Look{Want: plan.Want{Input: input}})
		if err != nil || o.State != plan.Present || o.Drift != tc.drift {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		outputs, err := p.Apply(t.Context(), plan.Order{Action: plan.Update, Input: input})
		if err != nil || outputs["a"] != "b" || strings.Join(api.patched, "\n") != tc.patched {
			t.Errorf("%s: %v, patched %q, %v", name, outputs, api.patched, err)
		}
	}
	api := newStrimziAPI(t, nil)
	p := revived{unchanged{}, func() (*kube.Client, error) { return api.Client, nil }}
	if o, err := p.Observe(t.Context(), plan.Look{Want: plan.Want{Input: input}}); err != nil || o.Drift != "it is scaled to zero" {
		t.Errorf("a stopped registry: %+v, %v", o, err)
	}
	outputs, err := p.Apply(t.Context(), plan.Order{Action: plan.Update, Input: input})
	if err != nil || outputs["a"] != "b" || len(api.patched) != 1 || !strings.HasSuffix(api.patched[0], `"spec":{"replicas":2}}`) {
		t.Errorf("a stopped registry: %v, patched %q, %v", outputs, api.patched, err)
	}
}
