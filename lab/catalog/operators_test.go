package catalog

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/existing"
)

// operatedGuest is a lab with Strimzi's Kafka on a cluster that was there.
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
	for _, desc := range []state.Description{operatedGuest(t, "ci"), operatedGuest(t, "usdfdev"), encrypted} {
		w := wanted(t, desc)
		seen := run.Observe(t.Context(), w, map[string]plan.Part{}, nil)
		for key := range seen {
			seen[key] = plan.Observation{State: plan.Absent, Why: "nothing is there"}
		}
		fresh, err := plan.Make(w, seen)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(Existing, "strimzi-"+desc.Profile+"-fresh.txt"), fresh.String())
		for _, key := range []string{"strimzi-crds", "strimzi"} {
			seen[key] = plan.Observation{State: plan.Present, Why: "was there", Applied: inputOf(w, key), Resolved: inputOf(w, key)}
		}
		if beside, err := plan.Make(w, seen); err != nil || len(beside.Steps) != len(fresh.Steps)-2 {
			t.Errorf("%s: %d steps of %d, %v", desc.Profile, len(beside.Steps), len(fresh.Steps), err)
		}
		if got := homes(desc); !slices.Contains(got, "strimzi") {
			t.Errorf("%s: homes %q", desc.Profile, got)
		}
	}
}

// Whoever brings a lab with Strimzi's Kafka up is asked for the rights to make its objects.
func TestOperatorRightsCoverCharts(t *testing.T) {
	t.Parallel()
	resources := map[string]string{"Kafka": "kafkas", "KafkaNodePool": "kafkanodepools", "KafkaTopic": "kafkatopics", "KafkaUser": "kafkausers"}
	rights := existing.OperatorRights()
	seen := map[string]int{}
	releases := resolvedReleases(t, wanted(t, operatedGuest(t, "usdfdev")))
	for _, key := range []string{"kafka", "kafka-users", "kafka-topics"} {
		text, err := helm.Render(releases[key])
		if err != nil {
			t.Fatal(err)
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
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
		why, next := suitsKafka("4.1.2")(existing.Controller{Served: tc.served, Env: tc.env})
		if (why == "") != (tc.why == "") || !strings.Contains(why, tc.why) || !strings.Contains(next, tc.next) || (next == "") != (why == "") {
			t.Errorf("%s: because %q, next %q", name, why, next)
		}
	}
}
