package ownimage_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/alertlab/alertlab/internal/ownimage"
)

// compile builds a small program and gives the binary's path.
func compile(t *testing.T, text string, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module small\n\ngo 1.26\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "small")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

const small = "package main\n\nfunc main() { println(\"one\") }\n"

func TestBuild(t *testing.T) {
	t.Parallel()
	binary := compile(t, small, "CGO_ENABLED=0")
	img, err := ownimage.Build(binary)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := ownimage.Reference(binary)
	if err != nil || !strings.HasPrefix(reference, "alertlab.dev/alertlab:") {
		t.Fatalf("%s, %v", reference, err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	var b bytes.Buffer
	if err := ownimage.Write(t.Context(), &b, reference, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	read, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := read.ConfigFile()
	if err != nil || cfg.Config.User != "65532:65532" || len(cfg.Config.Entrypoint) != 1 || cfg.Config.Entrypoint[0] != "/alertlab" {
		t.Errorf("%+v, %v", cfg, err)
	}
	layers, err := read.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(content)
	for found := false; ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			if !found {
				t.Error("the binary is not in the image")
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "alertlab" {
			got, err := io.ReadAll(files)
			found = true
			if err != nil || !bytes.Equal(got, want) || h.Mode != 0o755 {
				t.Errorf("%d bytes of %d, mode %o, %v", len(got), len(want), h.Mode, err)
			}
		}
	}
	// The same binary has the same image; another one another reference.
	again, err := ownimage.Build(binary)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := img.Digest()
	b2, errB := again.Digest()
	if a != b2 || errA != nil || errB != nil {
		t.Errorf("built twice: %s and %s", a, b2)
	}
	other, err := ownimage.Reference(compile(t, strings.Replace(small, "one", "two", 1), "CGO_ENABLED=0"))
	if err != nil || other == reference {
		t.Errorf("another binary has the reference %s, %v", other, err)
	}
}

// A binary that loads libraries cannot run without them.
func TestDynamic(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("there is no C compiler to make such a binary with")
	}
	binary := compile(t, "package main\n\nimport \"C\"\n\nfunc main() {}\n", "CGO_ENABLED=1")
	if _, err := ownimage.Build(binary); !errors.Is(err, ownimage.ErrDynamic) {
		t.Errorf("built of a dynamic binary: %v", err)
	}
	if _, err := ownimage.Build(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("built of nothing")
	}
}
