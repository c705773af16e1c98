package helm

import (
	"testing"
	"testing/fstest"

	"helm.sh/helm/v3/pkg/release"
)

func TestLoadChart(t *testing.T) {
	files := fstest.MapFS{
		"Chart.yaml":             {Data: []byte("apiVersion: v2\nname: minimal\nversion: 0.1.0\n")},
		"values.yaml":            {Data: []byte("a: 1\n")},
		"templates/_helpers.tpl": {Data: []byte(`{{ define "x" }}y{{ end }}`)},
		"templates/a.yaml":       {Data: []byte("kind: ConfigMap\n")},
	}
	c, err := LoadChart(files)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != "minimal" || len(c.Templates) != 2 || c.Values["a"] == nil {
		t.Errorf("%s, %d templates, values %v", c.Name(), len(c.Templates), c.Values)
	}
	delete(files, "Chart.yaml")
	if _, err := LoadChart(files); err == nil {
		t.Error("a folder without Chart.yaml was taken for a chart")
	}
}

// A record is the lab's whose label it carries, or that stands among its values.
func TestOwner(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]*release.Release{
		"of lab a": {Labels: map[string]string{"alertlab.dev/lab": "a"}, Config: map[string]any{"lab": "b"}},
		"of lab b": {Config: map[string]any{"lab": "b"}},
		"no lab's": {Config: map[string]any{"lab": 1}},
	} {
		if got := whose(r); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
