package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/postrender"
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
	// Lab, where it is named, is who owns the release: its records carry it as a label,
	// and one that is there and is somebody else's is refused.
	Lab string
	// SkipDefinitions leaves out what lies in the chart's folder crds.
	SkipDefinitions bool
	// Report is told what helm says; nil: nobody.
	Report func(line string)

	after postrender.PostRenderer // goes over what is rendered; nil: nothing does
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
	labels := map[string]string{}
	if r.Lab != "" {
		labels[kube.LabelLab] = r.Lab
	}
	switch {
	case err == nil && r.Lab != "" && owner(last) != r.Lab:
		return fmt.Errorf("a release %s is in namespace %s that lab %s did not make (it is %s)", r.Name, r.Namespace, r.Lab, whose(last))
	case errors.Is(err, driver.ErrReleaseNotFound):
		install := action.NewInstall(cfg)
		install.Labels, install.SkipCRDs = labels, r.SkipDefinitions
		install.ReleaseName, install.Namespace, install.CreateNamespace, install.Timeout = r.Name, r.Namespace, true, hookTime
		install.PostRenderer = r.after
		install.DisableOpenAPIValidation = true // the API server validates, and Helm would get its whole schema first
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
		upgrade.Labels, upgrade.PostRenderer = labels, r.after
		upgrade.Namespace, upgrade.MaxHistory, upgrade.ResetValues, upgrade.Timeout = r.Namespace, keptRevisions, true, hookTime
		upgrade.DisableOpenAPIValidation = true
		_, err = upgrade.RunWithContext(ctx, r.Name, r.Chart, r.Values)
	}
	if err != nil {
		return fmt.Errorf("release %s: %w", r.Name, err)
	}
	return nil
}

// owner gives the lab of a record; every chart of ours has it among its values too.
func owner(r *release.Release) string {
	if lab := r.Labels[kube.LabelLab]; lab != "" {
		return lab
	}
	lab, _ := r.Config["lab"].(string)
	return lab
}

func whose(r *release.Release) string {
	if lab := owner(r); lab != "" {
		return "of lab " + lab
	}
	return "no lab's"
}

// hookTime bounds the jobs that charts of others run before or after their objects are
// there. It is helm's own.
const hookTime = 5 * time.Minute

// keptRevisions bounds the records of a release, each of which is a Secret.
const keptRevisions = 5

// FromArchive reads a chart as helm packages one.
func FromArchive(archive io.Reader) (*chart.Chart, error) { return loader.LoadArchive(archive) }

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
	// Values are those that it was given; nil when that is not known.
	Values map[string]any
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
	r := Record{Values: last.Config, Revision: last.Version, Deployed: last.Info.Status == release.StatusDeployed, Status: last.Info.Status.String()}
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
