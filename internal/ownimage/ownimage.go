// Package ownimage makes the image that holds alertlab and nothing else, out of a
// static binary, without an engine. Pods of a lab run it, and it is the binary that
// brought the lab up: there is no second version to keep in step.
//
// It imports nothing of ours.
package ownimage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Repository is what the image is called.
const Repository = "alertlab.dev/alertlab"

// User is whom its programs run as.
const User = 65532

// program is where the binary lies in the image.
const program = "alertlab"

// Marker is set in the environment of the image's programs: what they advertise is
// published at another machine's address, and arrives at the container's.
const Marker = "ALERTLAB_IN_CONTAINER"

// ErrDynamic says that a binary needs files of the machine that it was built on.
var ErrDynamic = errors.New("the binary is not static: its image would lack the libraries that it loads (build it with CGO_ENABLED=0)")

// Reference names the image of a binary: another build has another reference. It
// reads the id that Go's linker leaves in a binary, so it takes no time.
func Reference(binary string) (string, error) {
	f, err := elf.Open(binary)
	if err != nil {
		return "", fmt.Errorf("%s: %w", binary, err)
	}
	defer f.Close()
	note := f.Section(".note.go.buildid")
	if note == nil {
		return "", fmt.Errorf("%s: no build id is in it, so it is no binary of Go's", binary)
	}
	id, err := note.Data()
	if err != nil {
		return "", fmt.Errorf("%s: %w", binary, err)
	}
	sum := sha256.Sum256(id)
	return Repository + ":" + hex.EncodeToString(sum[:6]), nil
}

// Static returns ErrDynamic for a binary that loads libraries.
func Static(binary string) error {
	f, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s: %w", binary, ErrDynamic)
		}
	}
	return nil
}

// Build makes the image: the binary as its entrypoint, the machine's certificate
// authorities where it has them, a folder /tmp, no other user than one without
// rights.
func Build(binary string) (v1.Image, error) {
	if err := Static(binary); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return open(binary) },
		// It goes to nodes of this machine: packing it would take longer than sending it.
		tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Created = v1.Time{Time: epoch()}
	file.Config = v1.Config{Entrypoint: []string{"/" + program}, User: fmt.Sprintf("%d:%d", User, User), Env: []string{"PATH=/", "HOME=/tmp", Marker + "=1"}, WorkingDir: "/",
		Labels: map[string]string{"org.opencontainers.image.title": program, "org.opencontainers.image.licenses": "Apache-2.0"}}
	return mutate.ConfigFile(img, file)
}

// epoch is the time of everything in the image, so that a binary has one image.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// authorities is where Debian and others keep the certificates that they trust.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// open gives the layer as a tar stream.
func open(binary string) (io.ReadCloser, error) {
	f, err := os.Open(binary)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	trusted, err := os.ReadFile(authorities)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.Close()
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		defer f.Close()
		w.CloseWithError(write(w, f, info.Size(), trusted))
	}()
	return r, nil
}

func write(to io.Writer, binary io.Reader, size int64, trusted []byte) error {
	t := tar.NewWriter(to)
	folder := func(name string, mode int64) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: epoch()})
	}
	file := func(name string, mode, size int64, content io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size, ModTime: epoch()}); err != nil {
			return err
		}
		_, err := io.Copy(t, content)
		return err
	}
	users := fmt.Sprintf("root:x:0:0::/:\nnonroot:x:%d:%d::/tmp:\n", User, User)
	steps := []func() error{
		func() error { return folder("etc", 0o755) },
		func() error { return file("etc/passwd", 0o644, int64(len(users)), bytes.NewReader([]byte(users))) },
		func() error { return folder("tmp", 0o1777) },
	}
	if len(trusted) > 0 {
		steps = append(steps,
			func() error { return folder("etc/ssl", 0o755) },
			func() error { return folder("etc/ssl/certs", 0o755) },
			func() error { return file(authorities[1:], 0o644, int64(len(trusted)), bytes.NewReader(trusted)) })
	}
	steps = append(steps, func() error { return file(program, 0o755, size, binary) }, t.Close)
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the image under its reference as an archive that `docker load` and
// `ctr images import` read.
func Write(ctx context.Context, to io.Writer, reference string, img v1.Image) error {
	ref, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	return tarball.Write(ref, img, writer{ctx, to})
}

// writer ends with its context.
type writer struct {
	ctx context.Context
	to  io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.to.Write(b)
}
