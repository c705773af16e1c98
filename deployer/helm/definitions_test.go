package helm

import (
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
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

// A chart of others comes out of the bundle, its definitions as a release of their own
// where that is wanted, and nothing of it is pulled always.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	file := others(t)
	apply := func(d component.Definitions) (Release, string) {
		t.Helper()
		f := &fakeCluster{}
		p := fakePart(f, nil)
		p.Fetch = FromBundle(func() (string, error) { return file, nil })
		r := component.Release{Name: "operator", Namespace: "n", Chart: "operator", Version: "1.2.3", Values: map[string]any{"lab": "default"}, Repository: "https://example.org", Definitions: d}
		if _, err := p.Apply(t.Context(), plan.Order{Action: plan.Create, Input: plan.Input(r)}); err != nil {
			t.Fatal(err)
		}
		text, err := RenderChart(f.installed[0].Chart, f.installed[0])
		if err != nil {
			t.Fatal(err)
		}
		return f.installed[0], text
	}
	for d, skips := range map[component.Definitions]bool{"": false, component.DefinitionsElsewhere: true} {
		installed, text := apply(d)
		if installed.SkipDefinitions != skips || !strings.Contains(text, "imagePullPolicy: IfNotPresent") || strings.Contains(text, "CustomResourceDefinition") {
			t.Errorf("%q: skips %t\n%s", d, installed.SkipDefinitions, text)
		}
	}
	installed, text := apply(component.DefinitionsOnly)
	for _, part := range []string{"name: things.example.org", "alertlab.dev/lab: default", "as {{name}} or so"} {
		if !strings.Contains(text, part) {
			t.Errorf("without %q:\n%s", part, text)
		}
	}
	// Its record names the chart that the lab applied, or it would seem changed.
	if installed.Chart.Name() != "operator" || installed.Lab != "default" || strings.Contains(text, "Deployment") {
		t.Errorf("release of lab %q, of chart %s:\n%s", installed.Lab, installed.Chart.Name(), text)
	}
	if _, err := definitions(&chart.Chart{Metadata: &chart.Metadata{Name: "bare", Version: "1"}}, "default"); err == nil {
		t.Error("a chart without definitions has some")
	}
}

// Objects that an operator makes pods of are waited for with these pods, and its pods are
// told of as those of any release.
func TestOperated(t *testing.T) {
	t.Parallel()
	f := &fakeCluster{record: &Record{Revision: 1, Deployed: true}, pods: []kube.Pod{{Name: "c-kafka-0", Node: "one"}}}
	p := fakePart(f, nil)
	p.Watched = map[string]component.Objects{component.GateConditions: func(r component.Release) []kube.Expected {
		return []kube.Expected{{Ref: kube.Object("kafka.strimzi.io/v1", "Kafka", r.Namespace, "c"), Cond: kube.Current("Ready")}}
	}}
	w := component.Release{Name: "kafka", Namespace: "n", Chart: "storage-classes", Values: map[string]any{"lab": "default"}, Pods: "strimzi.io/cluster=c"}.
		Want("title", component.Meets("Kafka is Ready", 1))
	o, err := p.Observe(t.Context(), plan.Look{Want: w})
	if err != nil || o.Drift != "" || !strings.HasSuffix(o.Why, "0 of 1 pods ready on one") {
		t.Errorf("%+v, %v", o, err)
	}
	f.objects = "Kafka n/c: Ready is False"
	if o, err = p.Observe(t.Context(), plan.Look{Want: w}); err != nil || o.Drift != f.objects {
		t.Errorf("%+v, %v", o, err)
	}
	var seen []string
	if err := p.Wait(t.Context(), w.Gates[0], plan.Order{Input: w.Input}, func(s string) { seen = append(seen, s) }); err != nil || strings.Join(seen, ", ") != "Kafka n/c is watched, and strimzi.io/cluster=c" {
		t.Errorf("%q, %v", seen, err)
	}
}
