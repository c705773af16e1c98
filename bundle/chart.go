package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"gopkg.in/yaml.v3"
)

// Charts is a source of Helm charts, given by the paths of their .tgz archives
// as `helm package` writes them. The archive becomes the layer as it is.
type Charts []string

// Artifacts reads each chart's Chart.yaml and the digest of its archive.
func (s Charts) Artifacts(ctx context.Context, _ v1.Platform) ([]Artifact, error) {
	var found []Artifact
	for _, path := range s {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := chartArtifact(path)
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", path, err)
		}
		found = append(found, a)
	}
	return found, nil
}

// maxChartFile bounds Chart.yaml, of which real ones have a few KB.
const maxChartFile = 1 << 20

// chartMeta is Chart.yaml as Helm stores it in a chart's config (Helm 3's chart
// metadata, API versions v1 and v2). Scalars that look like numbers stay text.
type chartMeta struct {
	Name         string            `yaml:"name" json:"name"`
	Home         string            `yaml:"home" json:"home,omitempty"`
	Sources      []string          `yaml:"sources" json:"sources,omitempty"`
	Version      string            `yaml:"version" json:"version"`
	Description  string            `yaml:"description" json:"description,omitempty"`
	Keywords     []string          `yaml:"keywords" json:"keywords,omitempty"`
	Maintainers  []maintainer      `yaml:"maintainers" json:"maintainers,omitempty"`
	Icon         string            `yaml:"icon" json:"icon,omitempty"`
	APIVersion   string            `yaml:"apiVersion" json:"apiVersion"`
	Condition    string            `yaml:"condition" json:"condition,omitempty"`
	Tags         string            `yaml:"tags" json:"tags,omitempty"`
	AppVersion   string            `yaml:"appVersion" json:"appVersion,omitempty"`
	Deprecated   bool              `yaml:"deprecated" json:"deprecated,omitempty"`
	Annotations  map[string]string `yaml:"annotations" json:"annotations,omitempty"`
	KubeVersion  string            `yaml:"kubeVersion" json:"kubeVersion,omitempty"`
	Dependencies []dependency      `yaml:"dependencies" json:"dependencies,omitempty"`
	Type         string            `yaml:"type" json:"type,omitempty"`
}

type maintainer struct {
	Name  string `yaml:"name" json:"name,omitempty"`
	Email string `yaml:"email" json:"email,omitempty"`
	URL   string `yaml:"url" json:"url,omitempty"`
}

type dependency struct {
	Name         string   `yaml:"name" json:"name"`
	Version      string   `yaml:"version" json:"version,omitempty"`
	Repository   string   `yaml:"repository" json:"repository"`
	Condition    string   `yaml:"condition" json:"condition,omitempty"`
	Tags         []string `yaml:"tags" json:"tags,omitempty"`
	Enabled      bool     `yaml:"enabled" json:"enabled,omitempty"`
	ImportValues []any    `yaml:"import-values" json:"import-values,omitempty"`
	Alias        string   `yaml:"alias" json:"alias,omitempty"`
}

// chartArtifact makes the OCI artifact of a chart, as `helm push` would but
// without the time of creation.
func chartArtifact(path string) (Artifact, error) {
	f, err := os.Open(path)
	if err != nil {
		return Artifact{}, err
	}
	defer f.Close()
	meta, err := readChartMeta(f)
	if err != nil {
		return Artifact{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Artifact{}, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return Artifact{}, err
	}
	config, err := json.Marshal(meta)
	if err != nil {
		return Artifact{}, fmt.Errorf("%w: Chart.yaml: %w", ErrChart, err)
	}
	layer := v1.Descriptor{MediaType: chartLayerType, Digest: digestFrom(sum), Size: size}
	annotations := map[string]string{
		"org.opencontainers.image.title":   meta.Name,
		"org.opencontainers.image.version": meta.Version,
	}
	if meta.Description != "" {
		annotations["org.opencontainers.image.description"] = meta.Description
	}
	m := &v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: chartConfigType, Digest: digestOf(config), Size: int64(len(config))},
		Layers:      []v1.Descriptor{layer},
		Annotations: annotations,
	}
	img, err := newImage(marshal(m), types.OCIManifestSchema1, m, func(d v1.Descriptor) (io.ReadCloser, error) {
		if d.Digest == layer.Digest {
			return os.Open(path)
		}
		return io.NopCloser(bytes.NewReader(config)), nil
	})
	return Artifact{Image: img, chart: meta}, err
}

// readChartMeta finds NAME/Chart.yaml in a chart's archive.
func readChartMeta(r io.Reader) (*chartMeta, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: not compressed with gzip: %w", ErrChart, err)
	}
	defer z.Close()
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: no Chart.yaml in its first folder", ErrChart)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrChart, err)
		}
		dir, file, _ := strings.Cut(h.Name, "/")
		if file != "Chart.yaml" || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > maxChartFile {
			return nil, fmt.Errorf("%w: Chart.yaml of %d bytes", ErrLimit, h.Size)
		}
		raw, err := io.ReadAll(t)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrChart, err)
		}
		return parseChartMeta(raw, dir)
	}
}

func parseChartMeta(raw []byte, dir string) (*chartMeta, error) {
	var meta chartMeta
	if err := yaml.Unmarshal(raw, &meta); err != nil {
		return nil, fmt.Errorf("%w: Chart.yaml: %w", ErrChart, err)
	}
	if meta.Name != dir {
		return nil, fmt.Errorf("%w: Chart.yaml is of %q and lies in the folder %q", ErrChart, meta.Name, dir)
	}
	if meta.APIVersion != "v1" && meta.APIVersion != "v2" {
		return nil, fmt.Errorf("%w: apiVersion %q is neither v1 nor v2", ErrChart, meta.APIVersion)
	}
	return &meta, checkChart(meta.Name, meta.Version)
}

func unmarshal(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	return nil
}
