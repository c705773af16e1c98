package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/alertlab/alertlab/bundle"
)

// saveArg makes this binary a process that saves a bundle: see TestKilled.
const saveArg = "save-as-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == saveArg {
		os.Exit(saveAsChild(os.Args[2]))
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise gives n bytes that no one else gives and that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	_, _ = src.Read(b)
	return b
}

// layer is a gzipped tar with one file of n bytes, so that containerd could
// unpack it.
func layer(seed uint64, n int) v1.Layer {
	var tarred, packed bytes.Buffer
	w := tar.NewWriter(&tarred)
	_ = w.WriteHeader(&tar.Header{Name: fmt.Sprintf("file-%d", seed), Size: int64(n), Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR})
	_, _ = w.Write(noise(seed, n))
	_ = w.Close()
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(tarred.Bytes())
	_ = z.Close()
	sum := sha256.Sum256(tarred.Bytes())
	return staticLayer{static.NewLayer(packed.Bytes(), types.OCILayer), v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
}

// staticLayer knows the digest of its uncompressed content, which static's own
// layers take for that of the compressed one.
type staticLayer struct {
	v1.Layer
	diff v1.Hash
}

func (l staticLayer) DiffID() (v1.Hash, error) { return l.diff, nil }

// image makes an OCI image for a platform.
func image(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.ConfigFile(base, &v1.ConfigFile{OS: "linux", Architecture: arch, Created: v1.Time{Time: time.Unix(0, 0).UTC()}, RootFS: v1.RootFS{Type: "layers"}})
	must(t, err)
	img, err = mutate.AppendLayers(img, layers...)
	must(t, err)
	return img
}

// chart writes a chart's archive and gives its path.
func chart(t testing.TB, dir, name, version string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	add := func(file, text string) {
		must(t, w.WriteHeader(&tar.Header{Name: name + "/" + file, Size: int64(len(text)), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	add("Chart.yaml", fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\nappVersion: 1.10\ndescription: made for a test\n", name, version))
	add("templates/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	must(t, w.Close())
	must(t, z.Close())
	path := filepath.Join(dir, name+"-"+version+".tgz")
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

const (
	pause = "registry.k8s.io/pause:3.10.1"
	redis = "docker.io/library/redis:8.0"
	other = "localhost:5000/team/other:1"
)

// sample is three images, of which two share a layer, and two charts.
func sample(t testing.TB) bundle.Contents {
	t.Helper()
	shared := layer(1, 3000)
	dir := t.TempDir()
	return bundle.Contents{
		About: bundle.About{Stack: "summit", Profile: "small", CreatedBy: "alertlab test"},
		Sources: []bundle.Source{
			bundle.Images{
				{Reference: "redis:8.0", Image: image(t, "amd64", shared, layer(2, 20000))},
				{Reference: pause, Image: image(t, "amd64", layer(3, 10))},
				{Reference: other, Image: image(t, "amd64", shared, layer(4, 512))},
			},
			bundle.Charts{chart(t, dir, "kafka", "1.2.3"), chart(t, dir, "argo-cd", "7.0.0+a.1")},
		},
	}
}

// saved writes a bundle and gives its bytes.
func saved(t testing.TB, c bundle.Contents) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.tar")
	_, err := bundle.Save(context.Background(), path, c, nil)
	must(t, err)
	content, err = os.ReadFile(path)
	must(t, err)
	return path, content
}

func opened(t testing.TB, path string) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open(path)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

func readAll(t testing.TB, rc io.ReadCloser, err error) []byte {
	t.Helper()
	must(t, err)
	defer rc.Close()
	b, err := io.ReadAll(rc)
	must(t, err)
	return b
}

// tarEntries lists name and size of each entry, as the standard library reads
// the archive.
func tarEntries(t testing.TB, content []byte) (names []string, sizes []int64) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return names, sizes
		}
		must(t, err)
		names, sizes = append(names, h.Name), append(sizes, h.Size)
	}
}

func digestText(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
