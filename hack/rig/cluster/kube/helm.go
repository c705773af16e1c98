package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// Release is a chart to install.
type Release struct {
	Name      string
	Namespace string // made when it is not there
	Chart     *chart.Chart
	Values    map[string]any
	// Report is told what helm says; nil: nobody.
	Report func(line string)
}

// LoadChart reads a chart out of a folder of a file system.
func LoadChart(folder fs.FS) (*chart.Chart, error) {
	var files []*loader.BufferedFile
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(folder, path)
		if err != nil {
			return err
		}
		files = append(files, &loader.BufferedFile{Name: path, Data: b})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(files)
}

// Install installs a release, or upgrades the one that is there. It returns when
// the cluster has the objects; what becomes of them is for WaitPods, which says
// more than helm when it does not come.
func (c *Client) Install(ctx context.Context, r Release) error {
	cfg, err := c.helm(r)
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	_, err = cfg.Releases.Last(r.Name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		install := action.NewInstall(cfg)
		install.ReleaseName, install.Namespace, install.CreateNamespace = r.Name, r.Namespace, true
		_, err = install.RunWithContext(ctx, r.Chart, r.Values)
	case err == nil:
		upgrade := action.NewUpgrade(cfg)
		upgrade.Namespace = r.Namespace
		_, err = upgrade.RunWithContext(ctx, r.Name, r.Chart, r.Values)
	}
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	return nil
}

// Uninstall removes a release; one that is not there is not missed.
func (c *Client) Uninstall(r Release) error {
	cfg, err := c.helm(r)
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	uninstall := action.NewUninstall(cfg)
	uninstall.IgnoreNotFound = true
	if _, err := uninstall.Run(r.Name); err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	return nil
}

func (c *Client) helm(r Release) (*action.Configuration, error) {
	report := r.Report
	if report == nil {
		report = func(string) {}
	}
	cfg := new(action.Configuration)
	// "secret" is where helm itself keeps its records by default.
	err := cfg.Init(getter{c, r.Namespace}, r.Namespace, "secret", func(format string, v ...any) { report(fmt.Sprintf(format, v...)) })
	return cfg, err
}
