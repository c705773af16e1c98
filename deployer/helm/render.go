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

// render fills the templates of a chart, in the order of their names.
func render(c *chart.Chart, r component.Release) (string, error) {
	options := chartutil.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, IsInstall: true, Revision: 1}
	values, err := chartutil.ToRenderValues(c, r.Values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", r.Chart, err)
	}
	files, err := engine.Render(c, values)
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", r.Chart, err)
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
