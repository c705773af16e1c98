package helm

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	images "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/registry"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/charts"
)

// archiveOf writes a chart without templates to a folder.
func archiveOf(t *testing.T, folder, name, version, app string) string {
	t.Helper()
	path, err := chartutil.Save(&chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: name, Version: version, AppVersion: app}}, folder)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A chart of a repository is fetched by its version; one that calls itself otherwise,
// and one that is not there, are errors.
func TestFromRepository(t *testing.T) {
	// Helm keeps an index for a moment where this says.
	t.Setenv("HELM_CACHE_HOME", t.TempDir())
	folder := t.TempDir()
	archiveOf(t, folder, "metallb", "0.15.2", "v0.15.2")
	index := "apiVersion: v1\nentries:\n  metallb:\n  - {name: metallb, version: 0.15.2, urls: [metallb-0.15.2.tgz]}\n  - {name: metallb, version: 0.15.1, urls: [metallb-0.15.2.tgz]}\n"
	if err := os.WriteFile(filepath.Join(folder, "index.yaml"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer server.Close()
	c, err := FromRepository(t.Context(), server.URL, "metallb", "0.15.2")
	if err != nil || c.Name() != "metallb" || c.Metadata.AppVersion != "v0.15.2" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := FromRepository(t.Context(), server.URL, "metallb", "0.15.1"); err == nil || !strings.Contains(err.Error(), "what came calls itself metallb 0.15.2") {
		t.Errorf("another chart: %v", err)
	}
	if _, err := FromRepository(t.Context(), server.URL, "metallb", "9.9.9"); err == nil {
		t.Error("a version that there is not came")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FromRepository(ended, "http://192.0.2.1", "metallb", "0.15.2"); err == nil {
		t.Error("it came though nobody waited")
	}
}

// A chart of a registry is pulled as nobody in particular.
func TestFromRegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(images.New(images.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://") + "/charts"
	client, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(archiveOf(t, t.TempDir(), "operator", "1.2.3+a", "1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Push(archive, at+"/operator:1.2.3+a"); err != nil {
		t.Fatal(err)
	}
	c, err := fromRegistry(at, "operator", "1.2.3+a", registry.ClientOptPlainHTTP())
	if err != nil || c.Metadata.AppVersion != "1.2.3" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := fromRegistry(at, "operator", "1.2.4", registry.ClientOptPlainHTTP()); err == nil || !strings.Contains(err.Error(), "chart operator 1.2.4") {
		t.Errorf("a version that there is not: %v", err)
	}
	if _, err := FromRepository(t.Context(), "oci://127.0.0.1:1/charts", "operator", "1.2.3"); err == nil {
		t.Error("a registry that there is not")
	}
}

// A bundle's own version of a chart counts, with the version of its images.
func TestFromBundle(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "a.bundle")
	other := archiveOf(t, folder, "other", "1.0.0", "v1")
	stand := archiveOf(t, folder, "metallb", "0.1.0", "v9.9.9")
	older, newer := archiveOf(t, folder, "strimzi-kafka-operator", "1.0.1", "1.0.1"), archiveOf(t, folder, "strimzi-kafka-operator", "1.2.0", "1.2.0")
	if _, err := bundle.Save(t.Context(), file, bundle.Contents{Sources: []bundle.Source{bundle.Charts{other, stand, older, newer}}}, nil); err != nil {
		t.Fatal(err)
	}
	found, err := InBundle(file)
	// Which version of an operator is run, is solved for: every one is told of.
	operators := slices.DeleteFunc(slices.Clone(found), func(u charts.Upstream) bool { return u.Name != "strimzi-kafka-operator" })
	if len(operators) != 2 || operators[0].Version != "1.0.1" || operators[1].AppVersion != "1.2.0" {
		t.Errorf("operators %+v", operators)
	}
	found = slices.DeleteFunc(found, func(u charts.Upstream) bool { return u.Name == "strimzi-kafka-operator" })
	if err != nil || len(found) != 1 || found[0].Name != "metallb" || found[0].Version != "0.1.0" || found[0].AppVersion != "v9.9.9" || found[0].Repository == "" {
		t.Errorf("%+v, %v", found, err)
	}
	fetch := FromBundle(func() (string, error) { return file, nil })
	if c, err := fetch(t.Context(), "http://192.0.2.1", "metallb", "0.1.0"); err != nil || c.Metadata.Version != "0.1.0" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := fetch(t.Context(), "http://192.0.2.1", "metallb", "0.15.2"); err == nil {
		t.Error("a version that the bundle lacks came")
	}
	if _, err := InBundle(filepath.Join(folder, "none")); err == nil {
		t.Error("read a bundle that is not there")
	}
}
