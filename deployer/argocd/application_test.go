package argocd

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

var update = flag.Bool("update", false, "write golden files")

func TestRender(t *testing.T) {
	t.Parallel()
	r := classes()
	r.Version = "0.1.0+test" // the real one changes with the chart
	got, err := Render(plan.Input(r))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "application.yaml")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", file, got)
	}
	if _, err := Render(json.RawMessage("[]")); err == nil {
		t.Error("rendered what is no release")
	}
}

// The chart of the application of applications makes what is made one by one, and so
// never finds one out of sync.
func TestParentMakesTheSame(t *testing.T) {
	t.Parallel()
	var releases []component.Release
	for _, name := range []string{"storage-classes", "other"} {
		r := classes()
		r.Name, r.Version = name, "0.1.0+test"
		releases = append(releases, r)
	}
	w := Parent("default", releases)
	text, err := helm.Render(w.Input)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Decode([]byte(text))
	if err != nil || len(objects) != len(releases) {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	for _, u := range objects {
		got, err := typed(u)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range releases {
			if r.Name != got.Name {
				continue
			}
			want, err := manifest(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := plan.Diff(plan.Input(want), plan.Input(got)); len(diff) > 0 {
				t.Errorf("%s: %q", r.Name, diff)
			}
		}
	}
	if app, err := typed(nil); app != nil || err != nil {
		t.Errorf("nothing is %v, %v", app, err)
	}
	last := w.Gates[len(w.Gates)-1]
	if len(w.Gates) != 2 || last.Name != GateHealthy {
		t.Errorf("gates %v", w.Gates)
	}
}

// What the API sends back of an Application is the same, whatever the order of its
// keys.
func TestDiffers(t *testing.T) {
	t.Parallel()
	a, b := wanted(t), wanted(t)
	var values map[string]any
	if err := yaml.Unmarshal(b.Spec.Source.Helm.ValuesObject.Raw, &values); err != nil {
		t.Fatal(err)
	}
	back, err := json.MarshalIndent(values, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b.Spec.Source.Helm.ValuesObject.Raw = back
	b.Spec.SyncPolicy = &v1alpha1.SyncPolicy{Automated: &v1alpha1.SyncPolicyAutomated{Prune: true}}
	if diff := differs(a, b); len(diff) > 0 {
		t.Errorf("%q", diff)
	}
	b.Spec.Destination.Namespace = argocd.Namespace
	if diff := differs(a, b); len(diff) != 1 {
		t.Errorf("another namespace: %q", diff)
	}
}
