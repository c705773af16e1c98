package helm

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"

	"github.com/alertlab/alertlab/component"
)

func render(c *chart.Chart, r component.Release) (string, error) {
	return RenderChart(c, Release{Name: r.Name, Namespace: r.Namespace, Values: r.Values})
}

// RenderChart fills the templates of a chart, in the order of their names, without a
// cluster.
func RenderChart(c *chart.Chart, r Release) (string, error) {
	options := chartutil.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, IsInstall: true, Revision: 1}
	values, err := chartutil.ToRenderValues(c, r.Values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.Name(), err)
	}
	files, err := engine.Render(c, values)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.Name(), err)
	}
	var b strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text := strings.TrimSpace(files[file])
		if path.Ext(file) != ".yaml" || text == "" {
			continue
		}
		fmt.Fprintf(&b, "---\n# %s\n%s\n", file, strings.TrimPrefix(text, "---\n"))
	}
	return b.String(), nil
}
