package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/registry"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/component"
)

// outside gives a chart of others as it is installed: out of the bundle where there is
// one, else from where it is published.
func outside(ctx context.Context, r component.Release) (*chart.Chart, error) {
	c, err := published(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", r.Chart, r.Version, err)
	}
	if r.Outside.Definitions {
		lab, _ := r.Values["lab"].(string)
		return definitions(c, lab)
	}
	present(c)
	return c, nil
}

func published(ctx context.Context, r component.Release) (*chart.Chart, error) {
	if r.Outside.Bundle != "" {
		b, err := bundle.Open(r.Outside.Bundle)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		archive, err := b.ChartArchive(r.Chart, r.Version)
		if err != nil {
			return nil, err
		}
		defer archive.Close()
		return loader.LoadArchive(archive)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	settings := cli.New()
	client, err := registry.NewClient()
	if err != nil {
		return nil, err
	}
	get := action.NewInstall(&action.Configuration{RegistryClient: client})
	get.SetRegistryClient(client)
	get.Version = r.Version
	name := r.Chart
	if at, oci := r.Outside.Repository, strings.HasPrefix(r.Outside.Repository, "oci://"); oci {
		name = at + "/" + r.Chart
	} else {
		get.RepoURL = at
	}
	// What is fetched lies in a folder that is gone afterwards, not in the user's own
	// settings of Helm.
	folder, err := os.MkdirTemp("", "alertlab-chart-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	settings.RepositoryCache, settings.RepositoryConfig, settings.RegistryConfig = folder, folder+"/repositories.yaml", folder+"/registry.json"
	file, err := get.LocateChart(name, settings)
	if err != nil {
		return nil, err
	}
	return loader.Load(file)
}

// present takes out of a chart that images are always pulled, which some have without a
// value for it: nodes have their images, and may reach no registry.
func present(c *chart.Chart) {
	for _, t := range c.Templates {
		t.Data = bytes.ReplaceAll(t.Data, []byte("imagePullPolicy: Always"), []byte("imagePullPolicy: IfNotPresent"))
	}
}

// definitions makes a chart of the custom resource definitions that a chart has in its
// folder crds, as templates, so that they are upgraded and taken away as everything else.
func definitions(c *chart.Chart, lab string) (*chart.Chart, error) {
	out := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: c.Name() + "-crds", Version: c.Metadata.Version, AppVersion: c.Metadata.AppVersion,
		Description: "Custom resource definitions of " + c.Name()}, Values: map[string]any{}}
	for _, crd := range c.CRDObjects() {
		for i, document := range slices.DeleteFunc(strings.Split(string(crd.File.Data), "\n---\n"), func(s string) bool { return strings.TrimSpace(s) == "" }) {
			var object map[string]any
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return nil, fmt.Errorf("%s: %w", crd.Filename, err)
			}
			if object["kind"] != "CustomResourceDefinition" {
				continue
			}
			about, _ := object["metadata"].(map[string]any)
			if about == nil {
				return nil, fmt.Errorf("%s has no metadata", crd.Filename)
			}
			labels, _ := about["labels"].(map[string]any)
			if labels == nil {
				labels = map[string]any{}
			}
			labels["alertlab.dev/lab"], labels["app.kubernetes.io/part-of"] = lab, "alertlab"
			about["labels"] = labels
			text, err := yaml.Marshal(object)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", crd.Filename, err)
			}
			// What looks like a template in a description is none.
			escaped := strings.ReplaceAll(string(text), "{{", `{{ "{{" }}`)
			out.Templates = append(out.Templates, &chart.File{Name: fmt.Sprintf("templates/%d-%s", i, strings.ReplaceAll(crd.Name, "/", "-")), Data: []byte(escaped)})
		}
	}
	if len(out.Templates) == 0 {
		return nil, errors.New("it has no folder crds with definitions")
	}
	return out, nil
}
