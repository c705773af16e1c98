package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// node gives the archive of the node image. It stands in no layout: the node is
// made of it and not one of the images that a node runs. Layers that the
// archive of an earlier run has are copied from there.
func (b *builder) node(ctx context.Context, r *Recipe) (NodeArchive, error) {
	begin, dir, key := time.Now(), filepath.Join(b.Cache, "node"), b.imageKey(r)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return NodeArchive{}, err
	}
	file, reference := filepath.Join(dir, key+".tar"), b.expand(r.Reference)
	img, err := readArchive(file)
	built := err != nil
	if built {
		if err := b.writeNode(ctx, r, dir, file, reference); err != nil {
			return NodeArchive{}, fmt.Errorf("image %s: %w", r.Name, err)
		}
		if img, err = readArchive(file); err != nil {
			return NodeArchive{}, err
		}
	}
	if err := b.onlyNode(dir, file); err != nil {
		return NodeArchive{}, err
	}
	out := NodeArchive{File: file, Reference: img.reference, ID: img.id, Size: img.size, Built: built}
	if built {
		out.Took = time.Since(begin)
	}
	b.tell(Image{Name: r.Name, Reference: reference, Digest: img.id, Size: img.size, Built: built, Took: out.Took})
	return out, nil
}

func (b *builder) writeNode(ctx context.Context, r *Recipe, dir, file, reference string) error {
	earlier, err := filepath.Glob(filepath.Join(escapePattern(dir), "*.tar"))
	if err != nil {
		return err
	}
	for _, one := range earlier {
		img, err := readArchive(one)
		if err != nil {
			continue // removed once there is a good one
		}
		for _, l := range img.layers {
			if l.key != "" && b.known[l.key] == nil {
				b.known[l.key] = l
			}
		}
	}
	blobs, err := os.MkdirTemp(dir, leftover)
	if err != nil {
		return err
	}
	defer os.RemoveAll(blobs)
	made, err := b.assemble(ctx, r, blobs)
	if err != nil {
		return err
	}
	out, err := createIn(dir)
	if err != nil {
		return err
	}
	defer out.discard()
	a := archive{images: []tagged{{reference, made}}}
	if err := a.write(out); err != nil {
		return err
	}
	return out.commit(file)
}

// onlyNode removes everything in the folder of node archives but one.
func (b *builder) onlyNode(dir, file string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); path != file {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var _ v1.Image = (*stored)(nil)
