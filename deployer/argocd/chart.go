package argocd

import (
	"maps"
	"regexp"
	"slices"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
)

// imageLine finds the image of a container.
var imageLine = regexp.MustCompile(`(?m)^\s*(?:- )?image: "?([^"\s]+)"?\s*$`)

// Images lists the images that the objects of Argo CD's chart run with these values.
func Images(c *chart.Chart, values map[string]any) ([]string, error) {
	values = maps.Clone(values)
	values["crds"] = map[string]any{"install": false} // the largest part, and no pods
	text, err := helm.RenderChart(c, helm.Release{Name: argocd.Name, Namespace: argocd.Namespace, Values: values})
	if err != nil {
		return nil, err
	}
	var images []string
	for _, found := range imageLine.FindAllStringSubmatch(text, -1) {
		images = append(images, found[1])
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}
