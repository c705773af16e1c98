package argocd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/registry"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component/argocd"
	"github.com/alertlab/alertlab/deployer/helm"
)

// Chart reads Argo CD's chart out of a bundle, or gets it from upstream's registry where
// the bundle is empty.
func Chart(ctx context.Context, version, file string) (*chart.Chart, error) {
	if file == "" {
		return pull(ctx, argocd.Upstream+":"+version)
	}
	b, err := bundle.Open(file)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	archive, err := b.ChartArchive(argocd.Chart, version)
	if err != nil {
		return nil, err
	}
	c, err := helm.FromArchive(archive)
	return c, errors.Join(err, archive.Close())
}

// imageLine finds the image of a container.
var imageLine = regexp.MustCompile(`(?m)^\s*(?:- )?image: "?([^"\s]+)"?\s*$`)

// Images lists the images that the objects of a chart's archive run with these values.
func Images(archive io.Reader, values map[string]any) ([]string, error) {
	c, err := helm.FromArchive(archive)
	if err != nil {
		return nil, err
	}
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

// pull gets a chart from an OCI registry.
func pull(ctx context.Context, reference string, options ...registry.ClientOption) (*chart.Chart, error) {
	client, err := registry.NewClient(options...)
	if err != nil {
		return nil, err
	}
	type result struct {
		pulled *registry.PullResult
		err    error
	}
	done := make(chan result, 1)
	go func() { // helm's client takes no context
		pulled, err := client.Pull(reference)
		done <- result{pulled, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", reference, r.err)
		}
		return helm.FromArchive(bytes.NewReader(r.pulled.Chart.Data))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
