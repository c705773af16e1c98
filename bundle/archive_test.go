package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/bundle"
)

// dockerArchive writes what `docker save` writes: layers that are not packed, and
// nothing that says what the archive should hold but the name of the configuration
// and what stands in it.
func dockerArchive(t *testing.T, layer, config []byte, configName string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{configName, config},
		{"abc/layer.tar", layer},
		{"manifest.json", fmt.Appendf(nil, `[{"Config":%q,"RepoTags":["quay.io/team/plain:1","quay.io/team/plain:2"],"Layers":["abc/layer.tar"]}]`, configName)},
	} {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.content)), Mode: 0o644, Format: tar.FormatUSTAR}))
		_, err := w.Write(f.content)
		must(t, err)
	}
	must(t, w.Close())
	file := filepath.Join(t.TempDir(), "a.tar")
	must(t, os.WriteFile(file, b.Bytes(), 0o644))
	return file
}

func TestDamagedDockerArchive(t *testing.T) {
	t.Parallel()
	var inner bytes.Buffer
	w := tar.NewWriter(&inner)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "hello", Size: 3000, Mode: 0o644, Format: tar.FormatUSTAR}))
	_, err := w.Write(bytes.Repeat([]byte{'x'}, 3000))
	must(t, err)
	must(t, w.Close())
	layer := inner.Bytes()
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{"User":"1"},"rootfs":{"type":"layers","diff_ids":[%q]}}`, digestText(layer))
	sum := sha256.Sum256(config)
	id := hex.EncodeToString(sum[:])
	otherLayer := bytes.Replace(layer, []byte("xx"), []byte("xy"), 1)
	otherConfig := bytes.Replace(config, []byte(`"User":"1"`), []byte(`"User":"0"`), 1)
	noLayer := bytes.Replace(config, []byte(fmt.Sprintf("%q", digestText(layer))), nil, 1)
	for _, c := range []struct {
		name          string
		layer, config []byte
		configName    string
		want          string // "" when it is good
	}{
		{"good", layer, config, id + ".json", ""},
		{"good, named by its digest", layer, config, "sha256:" + id, ""},
		{"good, named otherwise", layer, config, "config.json", ""},
		{"a damaged layer", otherLayer, config, id + ".json", "layer 1, " + digestText(layer)},
		{"a damaged configuration", layer, otherConfig, id + ".json", id},
		{"a damaged configuration, named by its digest", layer, otherConfig, "sha256:" + id, id},
		{"a layer too many", layer, noLayer, "config.json", "1 layers, and 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := dockerArchive(t, c.layer, c.config, c.configName)
			done, err := bundle.Save(context.Background(), filepath.Join(t.TempDir(), "x.tar"),
				bundle.Contents{About: bundle.About{Platform: "linux/amd64"}, Sources: []bundle.Source{bundle.Archives{file}}}, nil)
			if c.want == "" {
				if err != nil || done.Images != 2 {
					t.Errorf("%+v, %v", done, err)
				}
				return
			}
			if !errors.Is(err, bundle.ErrSource) || !errors.Is(err, bundle.ErrDamaged) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v", err)
			}
		})
	}
}
