package helm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/alertlab/alertlab/internal/kube"
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
	files := map[string][]byte{}
	err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = fs.ReadFile(folder, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return FromFiles(files)
}

// FromFiles makes a chart of its files by path.
func FromFiles(files map[string][]byte) (*chart.Chart, error) {
	var list []*loader.BufferedFile
	for name, content := range files {
		list = append(list, &loader.BufferedFile{Name: name, Data: content})
	}
	return loader.LoadFiles(list)
}

// Install installs a release, or upgrades the one that is there. It returns when
// the cluster has the objects; what becomes of them is for who waits, and can say
// more than helm when it does not come. A release that another process left half
// done is gone over again.
func Install(ctx context.Context, c *kube.Client, r Release) error {
	cfg, err := configuration(c, r)
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	last, err := cfg.Releases.Last(r.Name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		install := action.NewInstall(cfg)
		install.ReleaseName, install.Namespace, install.CreateNamespace = r.Name, r.Namespace, true
		install.SkipCRDs = true // they are a release of their own
		_, err = install.RunWithContext(ctx, r.Chart, r.Values)
	case err == nil:
		if last.Info.Status.IsPending() {
			// Whoever wrote this record is gone: the lab has one owner, and this is
			// it. Helm refuses to go over a pending one, never over a failed one.
			last.SetStatus(release.StatusFailed, "it was cut short")
			if err := cfg.Releases.Update(last); err != nil {
				return fmt.Errorf("release %s: %w", r.Name, err)
			}
		}
		upgrade := action.NewUpgrade(cfg)
		upgrade.Namespace, upgrade.MaxHistory, upgrade.ResetValues = r.Namespace, keptRevisions, true
		_, err = upgrade.RunWithContext(ctx, r.Name, r.Chart, r.Values)
	}
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	return nil
}

// keptRevisions bounds the records of a release, each of which is a Secret.
const keptRevisions = 5

// Uninstall removes a release; one that is not there is not missed.
func Uninstall(c *kube.Client, r Release) error {
	cfg, err := configuration(c, r)
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

// Record is what helm knows of a release.
type Record struct {
	Chart    string // name and version, as kafka 0.1.0+1a2b3c4d5e6f
	Revision int
	Deployed bool   // the last revision is the one that counts
	Status   string // as helm calls it, with its words
}

// Look reads the record of a release; false when there is none.
func Look(c *kube.Client, name, namespace string) (Record, bool, error) {
	cfg, err := configuration(c, Release{Name: name, Namespace: namespace})
	if err != nil {
		return Record{}, false, err
	}
	last, err := cfg.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("release %s: %w", name, err)
	}
	r := Record{Revision: last.Version, Deployed: last.Info.Status == release.StatusDeployed, Status: last.Info.Status.String()}
	if last.Info.Description != "" {
		r.Status += ": " + last.Info.Description
	}
	if last.Chart != nil && last.Chart.Metadata != nil {
		r.Chart = last.Chart.Metadata.Name + " " + last.Chart.Metadata.Version
	}
	return r, true, nil
}

func configuration(c *kube.Client, r Release) (*action.Configuration, error) {
	report := r.Report
	if report == nil {
		report = func(string) {}
	}
	cfg := new(action.Configuration)
	// "secret" is where helm itself keeps its records by default.
	err := cfg.Init(c.Getter(r.Namespace), r.Namespace, "secret", func(format string, v ...any) { report(fmt.Sprintf(format, v...)) })
	return cfg, err
}
