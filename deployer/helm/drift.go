package helm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/internal/kube"
)

// changed says how a release differs from what this lab applied last, "" when it does
// not: somebody upgraded it, or rolled it back. A record of which that cannot be told,
// because nothing was applied, is none.
func changed(record Record, r component.Release) string {
	if chart := r.Chart + " " + r.Version; record.Chart != "" && record.Chart != chart {
		return fmt.Sprintf("release %s is of chart %s, and this lab applied %s", r.Name, record.Chart, chart)
	}
	if record.Values == nil {
		return ""
	}
	var other []string
	for _, key := range slices.Sorted(maps.Keys(merged(record.Values, r.Values))) {
		if !same(record.Values[key], r.Values[key]) {
			other = append(other, key)
		}
	}
	if len(other) > 0 {
		return fmt.Sprintf("release %s has other values than this lab gave it, revision %d: %s", r.Name, record.Revision, strings.Join(other, ", "))
	}
	return ""
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// same compares values as JSON writes them: a number is a number, whatever type it has
// in memory. Helm keeps no value that is null.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Missing lists the objects of a release's record that the cluster has not, as
// Service alert-database.
func (c Cluster) Missing(ctx context.Context, name, namespace string) ([]string, error) {
	cfg, err := configuration(c.Client, Release{Name: name, Namespace: namespace})
	if err != nil {
		return nil, err
	}
	last, err := cfg.Releases.Last(name)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", name, err)
	}
	return c.Client.Missing(ctx, namespace, []byte(last.Manifest))
}

// Current gives the chart and the values of a release as they are now, for who changes
// it by hand; a nil chart when there is no such release.
func Current(c *kube.Client, name, namespace string) (*chart.Chart, map[string]any, error) {
	cfg, err := configuration(c, Release{Name: name, Namespace: namespace})
	if err != nil {
		return nil, nil, err
	}
	last, err := cfg.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("release %s: %w", name, err)
	}
	return last.Chart, last.Config, nil
}
