package helm

import (
	"testing"
	"testing/fstest"
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
