package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/charts"
)

// Fetch gets a chart of others from where it is kept: a bundle, or its repository.
type Fetch func(ctx context.Context, repository, name, version string) (*chart.Chart, error)

// InBundle lists those of the charts of others that a bundle has: of a pinned one the
// pinned version, else the last that the bundle lists; of an operator, whose version is
// solved for, every one.
func InBundle(file string) ([]charts.Upstream, error) {
	b, err := bundle.Open(file)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var found []charts.Upstream
	for _, pin := range charts.Upstreams() {
		var versions []string
		for _, c := range b.Charts() {
			if c.Name == pin.Name {
				versions = append(versions, c.Version)
			}
		}
		switch {
		case slices.Contains(versions, pin.Version):
			versions = []string{pin.Version}
		case pin.Version != "" && len(versions) > 0:
			versions = versions[len(versions)-1:]
		}
		for _, version := range versions {
			c, err := fromBundle(b, pin.Name, version)
			if err != nil {
				return nil, err
			}
			has := pin
			if c.Metadata.AppVersion != "" && version != pin.Version {
				has.AppVersion = c.Metadata.AppVersion
			}
			has.Version = version
			found = append(found, has)
		}
	}
	return found, nil
}

func fromBundle(b *bundle.Bundle, name, version string) (*chart.Chart, error) {
	archive, err := b.ChartArchive(name, version)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	return checked(archive, name, version)
}

// checked reads an archive that should hold a chart.
func checked(archive io.Reader, name, version string) (*chart.Chart, error) {
	c, err := loader.LoadArchive(archive)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	if c.Name() != name || c.Metadata.Version != version {
		return nil, fmt.Errorf("chart %s %s: what came calls itself %s %s", name, version, c.Name(), c.Metadata.Version)
	}
	return c, nil
}

// FromBundle fetches from the bundle of a file that is asked for at each use, and
// from the charts' own repositories where there is none.
func FromBundle(file func() (string, error)) Fetch {
	return func(ctx context.Context, repository, name, version string) (*chart.Chart, error) {
		path, err := file()
		if err != nil {
			return nil, err
		}
		if path == "" {
			return FromRepository(ctx, repository, name, version)
		}
		b, err := bundle.Open(path)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		return fromBundle(b, name, version)
	}
}

// repositoryTime bounds one request to a repository.
const repositoryTime = time.Minute

// FromRepository fetches from a repository by HTTP, or from a registry (oci://).
func FromRepository(ctx context.Context, repository, name, version string) (*chart.Chart, error) {
	providers := getter.Providers{{Schemes: []string{"http", "https"}, New: func(options ...getter.Option) (getter.Getter, error) {
		return getter.NewHTTPGetter(append(options, getter.WithTimeout(repositoryTime))...)
	}}}
	type answer struct {
		chart *chart.Chart
		err   error
	}
	// The library takes no context; whoever gives up does not wait for it.
	answered := make(chan answer, 1)
	go func() {
		if at, oci := strings.CutPrefix(repository, registry.OCIScheme+"://"); oci {
			c, err := fromRegistry(at, name, version)
			answered <- answer{c, err}
			return
		}
		c, err := fetch(providers, repository, name, version)
		answered <- answer{c, err}
	}()
	select {
	case a := <-answered:
		return a.chart, a.err
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("chart %s %s of %s did not come", name, version, repository))
	}
}

// fromRegistry pulls a chart, as nobody in particular: those of upstream are for everybody.
func fromRegistry(at, name, version string, options ...registry.ClientOption) (*chart.Chart, error) {
	client, err := registry.NewClient(append(options, registry.ClientOptWriter(io.Discard))...)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	pulled, err := client.Pull(at + "/" + name + ":" + version)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	return checked(bytes.NewReader(pulled.Chart.Data), name, version)
}

func fetch(providers getter.Providers, repository, name, version string) (*chart.Chart, error) {
	url, err := repo.FindChartInRepoURL(repository, name, version, "", "", "", providers)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	get, err := providers.ByScheme(strings.SplitN(url, ":", 2)[0])
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	archive, err := get.Get(url)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s: %w", name, version, err)
	}
	return checked(bytes.NewReader(archive.Bytes()), name, version)
}
