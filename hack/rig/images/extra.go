package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
)

// platform is what parts are built for, and so what every image has to be for.
func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// extraLabel annotates the images that no recipe makes with their file.
const extraLabel = "dev.alertlab.rig.extra"

// extras brings the extra images into the layout, and their references into
// references. Every error is a fault that names the file.
func (b *builder) extras(ctx context.Context, references map[string]bool) ([]Image, error) {
	var all []Image
	from := map[string]string{}
	for _, path := range b.Extra {
		files, err := extraFiles(path)
		if err != nil {
			return nil, fault.Wrap(fault.BadInput, "no images can be read from "+path, err, "name a folder with image archives: --images DIR")
		}
		for _, file := range files {
			images, err := b.extra(ctx, file)
			if err != nil {
				return nil, fault.Wrap(fault.BadInput, "the images of "+file+" cannot be used", err, "docker save -o FILE.tar IMAGE:TAG    on a machine that has the image, for "+platform().String())
			}
			for _, img := range images {
				first, twice := from[img.Reference]
				if references[img.Reference] && !twice {
					first, twice = "a recipe of the rig", true
				}
				if twice {
					return nil, fault.New(fault.BadInput, "the images of "+file+" cannot be used", img.Reference+" comes from "+first+" already", "take the image out of one of the two")
				}
				from[img.Reference] = file
			}
			all = append(all, images...)
		}
	}
	for reference := range from {
		references[reference] = true
	}
	return all, nil
}

// extraFiles gives the archives and layouts that a path stands for, sorted.
func extraFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() || isLayout(path) {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		switch {
		case e.IsDir() && isLayout(file), strings.HasSuffix(e.Name(), ".tar"):
			files = append(files, file)
		case compressed(e.Name()):
			return nil, errors.New(file + " is compressed: unpack it to a .tar first")
		}
	}
	if len(files) == 0 {
		return nil, errors.New("there is neither a .tar file in it nor the folder of an OCI image layout")
	}
	return files, nil
}

func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

func compressed(name string) bool {
	return slices.ContainsFunc([]string{".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// extra gives the images of a file, taken into the layout if they are not there
// from a file of the same name, size and time.
func (b *builder) extra(ctx context.Context, file string) ([]Image, error) {
	begin := time.Now()
	key, err := extraKey(file)
	if err != nil {
		return nil, err
	}
	if known := b.store.taken(file, key); len(known) > 0 {
		for _, img := range known {
			b.tell(img)
		}
		return known, nil
	}
	var source bundle.Source = bundle.Archives{file}
	if isLayout(file) {
		source = bundle.Layout{Dir: file}
	}
	artifacts, err := source.Artifacts(ctx, platform())
	if err != nil {
		return nil, err
	}
	if len(artifacts) == 0 {
		return nil, errors.New("no image in it has a name")
	}
	var found []Image
	for _, a := range artifacts {
		reference, err := bundle.Normalize(a.Reference)
		if err != nil {
			return nil, err
		}
		config, err := a.Image.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", reference, err)
		}
		if is := config.Platform(); is.OS != platform().OS || is.Architecture != platform().Architecture {
			return nil, fmt.Errorf("%s is for %s, not for %s", reference, is, platform())
		}
		if slices.ContainsFunc(b.Recipes.Images, func(r Recipe) bool { return b.expand(r.Reference) == reference }) {
			return nil, fmt.Errorf("the rig builds %s itself", reference)
		}
		if err := b.store.copyLayers(ctx, a.Image); err != nil {
			return nil, fmt.Errorf("%s: %w", reference, err)
		}
		img, err := b.store.put(a.Image, map[string]string{RefName: reference, extraLabel: file,
			// The number tells a whole file from one that was stopped half way.
			KeyLabel: fmt.Sprintf("%s-%d", key, len(artifacts))})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", reference, err)
		}
		out := Image{Name: file, Reference: reference, Digest: img.descriptor.Digest, Size: img.total(), Built: true, Extra: true, Took: time.Since(begin)}
		b.tell(out)
		found, begin = append(found, out), time.Now()
	}
	return found, nil
}

// extraKey changes when the file does, as far as its size and time tell.
func extraKey(file string) (string, error) {
	path := file
	if isLayout(file) {
		path = filepath.Join(file, "index.json")
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return hashOf([]any{"extra", codeVersion, file, info.Size(), info.ModTime().UTC()}), nil
}

// taken gives the images of a file, when all of them are there.
func (s *store) taken(file, key string) []Image {
	s.mu.Lock()
	entries := slices.Clone(s.index.Manifests)
	s.mu.Unlock()
	var found []Image
	want := 0
	for _, d := range entries {
		rest, ok := strings.CutPrefix(d.Annotations[KeyLabel], key+"-")
		if !ok {
			continue
		}
		img, err := s.open(d)
		if n, bad := strconv.Atoi(rest); bad == nil && err == nil {
			want = n
			found = append(found, Image{Name: file, Reference: d.Annotations[RefName], Digest: d.Digest, Size: img.total(), Extra: true})
		}
	}
	if len(found) != want {
		return nil
	}
	return found
}

// copyLayers copies the layers of an image that the layout lacks, and verifies
// them.
func (s *store) copyLayers(ctx context.Context, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := s.copyLayer(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) copyLayer(ctx context.Context, l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	if info, err := os.Stat(s.blob(digest)); err == nil && info.Size() == size {
		return nil
	}
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	out, err := createIn(s.blobs())
	if err != nil {
		return err
	}
	defer out.discard()
	counted := newCounter(out)
	if _, err := io.Copy(counted, cancellable{ctx, r}); err != nil {
		return err
	}
	if got := counted.hash(); got != digest {
		return fmt.Errorf("the layer %s has the content of %s", digest, got)
	}
	return out.commit(s.blob(digest))
}
