package charts

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/lab/fault"
)

// Helpers begin with an underscore, which only "all:" embeds.
//
//go:embed all:argo-cd all:cert-manager all:metallb all:minio all:traefik
var files embed.FS

// crdFolder is where a chart has its definitions. It is not crds/, which Helm would
// install by itself, once, and never upgrade, label or remove.
const crdFolder = "files/crds"

// Names gives the charts there are, sorted. A chart has the name of the part that its
// images are made of.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the root of an embedded file system
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Files gives the files of one chart as they are here, without definitions. The error
// is fs.ErrNotExist for a chart that there is not.
func Files(name string) (fs.FS, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("chart %q: %w", name, fs.ErrNotExist)
	}
	return fs.Sub(files, name)
}

// Package writes every chart as Helm packages it, dir/NAME-VERSION.tgz, and gives the
// files' paths, sorted. crds names, by chart, a folder of custom resource definitions
// (*.yaml): all of them go into the charts that install definitions, which are those
// with a templates/crds.yaml; such a chart without any is an error, a folder for
// another chart is not read. The same content gives the same bytes, and a file that
// has them already is left alone. Other *.tgz in dir, of earlier versions, are removed.
func Package(dir string, crds map[string]string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, problem("the charts could not be packaged", err)
	}
	var written []string
	for _, name := range Names() {
		file, err := packageOne(dir, name, crds[name])
		if err != nil {
			return nil, problem("the chart "+name+" could not be packaged", err)
		}
		written = append(written, file)
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil {
		return nil, problem("the charts could not be packaged", err)
	}
	for _, file := range old {
		if !slices.Contains(written, file) {
			if err := os.Remove(file); err != nil {
				return nil, problem("an old chart could not be removed", err)
			}
		}
	}
	return written, nil
}

func problem(what string, err error) error {
	next := "build the parts again: go run ./hack/rig parts"
	if errors.Is(err, fs.ErrPermission) {
		next = "make the rig's cache folder writable"
	}
	return fault.Wrap(fault.StepFailed, what, err, next)
}

func packageOne(dir, name, crds string) (string, error) {
	chart, err := Files(name)
	if err != nil {
		return "", err
	}
	content := map[string][]byte{}
	err = fs.WalkDir(chart, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content[file], err = fs.ReadFile(chart, file)
		return err
	})
	if err != nil {
		return "", err
	}
	if _, installs := content["templates/crds.yaml"]; installs {
		if err := addCRDs(content, crds); err != nil {
			return "", err
		}
	}
	var about struct {
		Version string `yaml:"version"`
	}
	if err := yaml.Unmarshal(content["Chart.yaml"], &about); err != nil {
		return "", err
	}
	archive, err := tgz(name, content)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name+"-"+about.Version+".tgz")
	if had, err := os.ReadFile(file); err == nil && bytes.Equal(had, archive) {
		return file, nil
	}
	// Whoever reads the file while it is written must not see half of it.
	temporary, err := os.CreateTemp(dir, name+"-*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(archive)
	err = cmp.Or(err, temporary.Chmod(0o644), temporary.Close())
	if err != nil {
		return "", err
	}
	return file, os.Rename(temporary.Name(), file)
}

// addCRDs puts the definitions of a folder beside a chart's files. The chart's template
// reads one definition of each file.
func addCRDs(content map[string][]byte, folder string) error {
	if folder == "" {
		return errors.New("it installs custom resource definitions, and there is no folder of them")
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("there are no custom resource definitions in %s", folder)
	}
	for _, file := range found {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := checkCRD(b); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		content[path.Join(crdFolder, filepath.Base(file))] = b
	}
	return nil
}

func checkCRD(b []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var crd struct {
		Kind     string `yaml:"kind"`
		Metadata struct {
			Name string `yaml:"name"`
		} `yaml:"metadata"`
	}
	if err := d.Decode(&crd); err != nil {
		return err
	}
	if crd.Kind != "CustomResourceDefinition" || crd.Metadata.Name == "" {
		return fmt.Errorf("it holds %q %q, and not a CustomResourceDefinition", crd.Kind, crd.Metadata.Name)
	}
	var more any
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("it holds more than one document")
	}
	return nil
}

// tgz is a chart archive (a gzip-compressed tar whose entries lie below the chart's
// name, Chart.yaml first), without times and owners.
func tgz(name string, content map[string][]byte) ([]byte, error) {
	order := slices.SortedFunc(maps.Keys(content), func(a, b string) int {
		first := func(file string) int {
			if file == "Chart.yaml" {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), strings.Compare(a, b))
	})
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, file := range order {
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(name, file), Mode: 0o644, Size: int64(len(content[file]))})
		if err == nil {
			_, err = t.Write(content[file])
		}
		if err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
