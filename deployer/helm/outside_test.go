package helm

import (
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/lab/plan"
)

// others is a bundle with a chart of others that has definitions and always pulls.
func others(t *testing.T) string {
	t.Helper()
	c := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "operator", Version: "1.2.3"}, Values: map[string]any{"replicas": 1},
		Templates: []*chart.File{{Name: "templates/d.yaml", Data: []byte("kind: Deployment\nmetadata: {name: operator}\nspec: {template: {spec: {containers: [{\nimagePullPolicy: Always}]}}}\n")}},
		Files: []*chart.File{{Name: "crds/things.yaml", Data: []byte("---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.example.org\n" +
			"spec:\n  group: example.org\n  description: as {{name}} or so\n")}}}
	folder := t.TempDir()
	file, err := chartutil.Save(c, folder)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "some.bundle")
	if _, err := bundle.Save(t.Context(), out, bundle.Contents{Sources: []bundle.Source{bundle.Charts{file}}}, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

func fromOthers(file string, definitions bool) component.Release {
	return component.Release{Name: "operator", Namespace: "n", Chart: "operator", Version: "1.2.3", Values: map[string]any{"lab": "default"},
		Outside: &component.Outside{Repository: "https://example.org", Bundle: file, Definitions: definitions}}
}

// A chart of others comes out of the bundle, its definitions as a release of their own,
// and nothing of it is pulled always.
func TestOutside(t *testing.T) {
	t.Parallel()
	file := others(t)
	text, err := Render(plan.Input(fromOthers(file, false)))
	if err != nil || !strings.Contains(text, "imagePullPolicy: IfNotPresent") || strings.Contains(text, "CustomResourceDefinition") {
		t.Errorf("%v\n%s", err, text)
	}
	text, err = Render(plan.Input(fromOthers(file, true)))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"name: things.example.org", "alertlab.dev/lab: default", "as {{name}} or so"} {
		if !strings.Contains(text, part) {
			t.Errorf("without %q:\n%s", part, text)
		}
	}
	if strings.Contains(text, "Deployment") {
		t.Errorf("the definitions' release has more:\n%s", text)
	}
	other := fromOthers(file, false)
	other.Version = "1.2.4"
	if _, err := Render(plan.Input(other)); err == nil || !strings.Contains(err.Error(), "chart operator 1.2.4") {
		t.Errorf("a chart that the bundle lacks: %v", err)
	}
	other.Outside.Bundle = filepath.Join(t.TempDir(), "none")
	if _, err := Render(plan.Input(other)); err == nil {
		t.Error("a bundle that is not there")
	}
	if _, err := definitions(&chart.Chart{Metadata: &chart.Metadata{Name: "bare", Version: "1"}}, "default"); err == nil {
		t.Error("a chart without definitions has some")
	}
}

// The gate of conditions is watched as the rollout is.
func TestConditions(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{record: &Record{Revision: 1, Deployed: true}}
	r := component.Release{Name: "kafka", Namespace: "n", Chart: "storage-classes", Values: map[string]any{"lab": "default"},
		Conditions: []component.Condition{{APIVersion: "kafka.strimzi.io/v1", Kind: "Kafka", Name: "c", Type: "Ready"}}}
	w := r.Want("title", component.Meets("Kafka is Ready", 1))
	f.rollout.Seen = "Kafka c: Ready is False"
	o, err := fakePart(f, nil).Observe(t.Context(), plan.Look{Want: w})
	if err != nil || o.Drift != "it is not as it should be: Kafka c: Ready is False" {
		t.Errorf("%+v, %v", o, err)
	}
	var seen []string
	if err := fakePart(f, nil).Wait(t.Context(), w.Gates[0], plan.Order{Input: w.Input}, func(s string) { seen = append(seen, s) }); err != nil || len(seen) != 1 {
		t.Errorf("%q, %v", seen, err)
	}
	if got := strings.Join(f.selectors, ", "); got != "1 conditions, wait for 1 conditions" {
		t.Errorf("asked for %s", got)
	}
}
