package charts_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/lint/support"

	"github.com/alertlab/alertlab/charts"
)

// least is what a chart cannot do without, by chart; what charts make of the values
// of real profiles is golden text in lab/catalog.
func least(name string) map[string]any {
	values := map[string]any{"lab": "default"}
	if name == "kafka" {
		values["clusterID"] = "YWxlcnRsYWItcmlnLWUyZQ"
		values["brokers"] = []any{map[string]any{"id": 0, "address": "172.18.0.2:31090", "nodePort": 31090}}
		return values
	}
	if name == "applications" {
		values["repository"] = "chart-registry.argocd.svc/charts"
		values["applications"] = map[string]any{"kafka": map[string]any{"namespace": "alert-stream-broker", "chart": "kafka", "version": "0.1.0+test", "values": map[string]any{"lab": "default"}}}
		return values
	}
	if name != "storage-classes" {
		values["image"] = map[string]any{"reference": "alertlab.dev/alertlab:test", "pullPolicy": "IfNotPresent"}
	}
	return values
}

// Every chart passes helm's own lint without a word.
func TestLint(t *testing.T) {
	t.Parallel()
	for _, name := range charts.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := charts.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), name)
			for file, content := range c.Files {
				path := filepath.Join(dir, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			lint := action.NewLint()
			lint.Namespace, lint.Strict = "alert-stream-broker", true
			result := lint.Run([]string{dir}, least(name))
			for _, err := range result.Errors {
				t.Error(err)
			}
			for _, m := range result.Messages {
				// That a chart has no icon is all that helm may have to say.
				if m.Severity > support.InfoSev {
					t.Error(m)
				}
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	kafka, err := charts.Load("kafka")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := kafka.Files["templates/_common.tpl"]; !ok {
		t.Error("the common templates are not beside the chart's own")
	}
	if !strings.HasPrefix(kafka.Version, "0.1.0+") || !strings.Contains(string(kafka.Files["Chart.yaml"]), "\nversion: "+kafka.Version+"\n") {
		t.Errorf("version %s, Chart.yaml:\n%s", kafka.Version, kafka.Files["Chart.yaml"])
	}
	again, err := charts.Load("kafka")
	if err != nil || again.Version != kafka.Version {
		t.Errorf("read again it is %s, %v", again.Version, err)
	}
	seen := map[string]string{}
	for _, name := range charts.Names() {
		c, err := charts.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[c.Version]; taken {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[c.Version] = name
	}
	if _, err := charts.Load("common"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what charts share was taken for one: %v", err)
	}
}
