package nodes

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/plan"
)

// fakeNode keeps what it is sent, as containerd would.
type fakeNode struct {
	label  string
	images map[string]string
	fails  error
	loads  int
}

func (n *fakeNode) Name() string { return n.label }

func (n *fakeNode) Images(context.Context) (map[string]string, error) { return n.images, nil }

func (n *fakeNode) Load(_ context.Context, archive io.Reader) error {
	if n.fails != nil {
		return n.fails
	}
	n.loads++
	file := filepath.Join(os.TempDir(), n.label+"-archive.tar")
	defer os.Remove(file)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, archive)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) }); err == nil {
		for _, one := range manifest { // what docker saves
			for _, tag := range one.RepoTags {
				ref, err := name.ParseReference(tag)
				if err != nil {
					return err
				}
				n.images[ref.Name()] = "sha256:" + strings.Repeat("0", 64)
			}
		}
		return nil
	}
	b, err := bundle.Open(file)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, e := range b.Images() {
		n.images[e.Reference] = e.Digest.String()
	}
	return nil
}

// saved makes a bundle with one image.
func saved(t *testing.T, reference string) string {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "some.bundle")
	if _, err := bundle.Save(t.Context(), file, bundle.Contents{
		Sources: []bundle.Source{bundle.Images{{Reference: reference, Image: img}}}}, nil); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	kafkaImage = "docker.io/apache/kafka:4.3.1"
	ownImage   = "alertlab.dev/alertlab:0123456789ab"
)

// binary builds a static program.
func binary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module small\n\ngo 1.26\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "small", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "small")
}

// Each node gets what it lacks, and nothing twice.
func TestImages(t *testing.T) {
	nodes := []*fakeNode{{label: "one", images: map[string]string{}}, {label: "two", images: map[string]string{}}}
	p := &Images{Executable: binary(t), Nodes: func(context.Context) ([]bundle.Node, error) { return []bundle.Node{nodes[0], nodes[1]}, nil }}
	want := WantImages(ownImage, saved(t, kafkaImage), []string{kafkaImage})
	order := plan.Order{Input: want.Input, Progress: func(int64, int64, string) {}}
	if o, err := p.Observe(t.Context(), plan.Look{Want: want}); err != nil || o.State != plan.Absent {
		t.Errorf("%+v, %v", o, err)
	}
	for range 2 {
		if _, err := p.Apply(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		if n.images[ownImage] == "" || n.images[kafkaImage] == "" || n.loads != 2 {
			t.Errorf("%s was sent %d archives and has %v", n.label, n.loads, n.images)
		}
	}
	look := plan.Look{Want: want, Last: want.Input}
	if o, err := p.Observe(t.Context(), look); err != nil || o.State != plan.Present || o.Drift != "" {
		t.Errorf("%+v, %v", o, err)
	}
	delete(nodes[1].images, kafkaImage)
	if o, err := p.Observe(t.Context(), look); err != nil || o.Drift != "two lacks "+kafkaImage {
		t.Errorf("%+v, %v", o, err)
	}
	delete(nodes[1].images, ownImage)
	nodes[1].fails = errors.New("no room")
	if _, err := p.Apply(t.Context(), order); !errors.Is(err, nodes[1].fails) || !strings.Contains(err.Error(), "node two") {
		t.Errorf("a node that takes nothing: %v", err)
	}
	// Without a bundle only our own image is brought.
	if o, err := p.Observe(t.Context(), plan.Look{Want: want, Last: WantImages(ownImage, "", []string{kafkaImage}).Input}); err != nil || o.Drift != "two lacks "+ownImage {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	file := saved(t, kafkaImage)
	missing, err := Missing(file, []string{"apache/kafka:4.3.1", "quay.io/b:1", "quay.io/a:1"})
	if err != nil || !slices.Equal(missing, []string{"quay.io/a:1", "quay.io/b:1"}) {
		t.Errorf("%q, %v", missing, err)
	}
	if _, err := Missing(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("read a bundle that is not there")
	}
}
