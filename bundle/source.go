package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Source is where images and charts come from. A *Bundle is one too.
type Source interface {
	// Artifacts lists what the source has for the platform. It may be called
	// once for each save; the artifacts are read after it has returned.
	Artifacts(ctx context.Context, platform v1.Platform) ([]Artifact, error)
}

// Artifact is one image or chart on its way into a bundle.
type Artifact struct {
	// Reference is the image's reference in any form that Normalize takes. A
	// chart needs none.
	Reference string
	// Image is read lazily: its manifest and config at first, its layers when
	// they are written. What is neither in the bundle nor in what an earlier
	// save left is read once.
	Image v1.Image
	// chart is the name and version of a chart.
	chart *chartMeta
}

// Images is a source of images that the caller has at hand.
type Images []Artifact

// Artifacts gives the images.
func (s Images) Artifacts(context.Context, v1.Platform) ([]Artifact, error) { return s, nil }

// Layout is a source that reads the folder of an OCI image layout. An entry
// that is an index of several platforms gives the image of the one asked for.
type Layout struct {
	// Dir is the folder with oci-layout and index.json.
	Dir string
	// References picks images; empty means all that have a name
	// (org.opencontainers.image.ref.name or io.containerd.image.name).
	References []string
}

// Artifacts lists the images of the layout.
func (l Layout) Artifacts(_ context.Context, platform v1.Platform) ([]Artifact, error) {
	index, err := layout.ImageIndexFromPath(l.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: OCI image layout in %s: %w", ErrSource, l.Dir, err)
	}
	all, err := fromIndex(index, platform)
	if err != nil {
		return nil, fmt.Errorf("OCI image layout in %s: %w", l.Dir, err)
	}
	return pick(all, l.References, l.Dir)
}

// fromIndex gives the named images of an index.
func fromIndex(index v1.ImageIndex, platform v1.Platform) ([]Artifact, error) {
	im, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	var found []Artifact
	for _, d := range im.Manifests {
		// Docker writes the tag alone into the one, the whole into the other.
		ref := d.Annotations[annotationImageName]
		if ref == "" {
			ref = d.Annotations[annotationRef]
		}
		if ref == "" {
			continue
		}
		img, err := imageOf(index, d, platform)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		found = append(found, Artifact{Reference: ref, Image: img})
	}
	return found, nil
}

// imageOf resolves a descriptor of an index, through an inner index if it is one.
func imageOf(index v1.ImageIndex, d v1.Descriptor, platform v1.Platform) (v1.Image, error) {
	if !d.MediaType.IsIndex() {
		img, err := index.Image(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSource, err)
		}
		return img, nil
	}
	inner, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	im, err := inner.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	var there []string
	for _, m := range im.Manifests {
		if m.MediaType.IsImage() && m.Platform != nil && fits(platform, *m.Platform) {
			return imageOf(inner, m, platform)
		}
		there = append(there, platformText(m.Platform))
	}
	return nil, fmt.Errorf("%w: nothing for %s, only for %q", ErrPlatform, platform, there)
}

func pick(all []Artifact, references []string, where string) ([]Artifact, error) {
	if len(references) == 0 {
		return all, nil
	}
	byName := map[string]Artifact{}
	for _, a := range all {
		if full, err := Normalize(a.Reference); err == nil {
			byName[full] = a
		}
	}
	var picked []Artifact
	for _, ref := range references {
		full, err := Normalize(ref)
		if err != nil {
			return nil, err
		}
		a, ok := byName[full]
		if !ok {
			return nil, fmt.Errorf("%w: %s has no image %s", ErrSource, where, full)
		}
		picked = append(picked, a)
	}
	return picked, nil
}

// Remote is a source that reads images and charts from registries.
type Remote struct {
	References []string
	// Charts are NAME:VERSION. They are read from Mirror, which must then be given.
	Charts []string
	// Mirror, when it is given, has everything under the names that Push gives; else
	// each image is read from its own registry.
	Mirror *Registry
	// Options are those of go-containerregistry, for instance
	// remote.WithAuthFromKeychain. Platform and context are added, and what Mirror says.
	Options []remote.Option
}

// Artifacts asks the registries for the manifests. Everything that a registry does not
// have is named, in a *RegistryError each; one that does not answer, or refuses the
// login, is not asked again.
func (r Remote) Artifacts(ctx context.Context, platform v1.Platform) ([]Artifact, error) {
	options := append(slices.Clone(r.Options), remote.WithPlatform(platform), remote.WithContext(ctx))
	if r.Mirror != nil {
		options = append(options, r.Mirror.options()...)
	}
	var found []Artifact
	var errs []error
	refused := map[string]bool{} // registries that give nothing to anybody
	read := func(called, at string) error {
		var ref name.Reference
		var err error
		if r.Mirror != nil {
			ref, err = r.Mirror.parse(at)
		} else {
			ref, err = name.ParseReference(at)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReference, err)
		}
		host := ref.Context().RegistryStr()
		if refused[host] {
			return nil
		}
		img, err := remote.Image(ref, options...)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			err = ofRegistry(host, at, err)
			refused[host] = errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnauthorised)
			errs = append(errs, fmt.Errorf("%w: %w", ErrSource, err))
			return nil
		}
		found = append(found, Artifact{Reference: called, Image: img})
		return nil
	}
	for _, text := range r.References {
		full, err := Normalize(text)
		if err != nil {
			return nil, err
		}
		at := full
		if r.Mirror != nil {
			if at, err = r.Mirror.Image(full); err != nil {
				return nil, err
			}
		}
		if err := read(full, at); err != nil {
			return nil, err
		}
	}
	for _, text := range r.Charts {
		chart, version, _ := strings.Cut(text, ":")
		if r.Mirror == nil {
			return nil, fmt.Errorf("%w: chart %s is read from a mirror only", ErrSource, text)
		}
		at, err := r.Mirror.Chart(chart, version)
		if err == nil {
			err = read("", at)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, errors.Join(errs...)
}

// Archives is a source that reads image archives, given by their paths: what
// `docker save` and `podman save` write, and tar archives of an OCI image
// layout, bundles among them. They must not be compressed.
type Archives []string

// Artifacts lists the images of all archives.
func (s Archives) Artifacts(ctx context.Context, platform v1.Platform) ([]Artifact, error) {
	var found []Artifact
	for _, path := range s {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		images, err := fromArchive(ctx, path, platform)
		if err != nil {
			return nil, fmt.Errorf("image archive %s: %w", path, err)
		}
		if len(images) == 0 {
			return nil, fmt.Errorf("%w: image archive %s names no image", ErrSource, path)
		}
		found = append(found, images...)
	}
	return found, nil
}

func fromArchive(ctx context.Context, path string, platform v1.Platform) ([]Artifact, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	places := hop(f, info.Size())
	if at, ok := places[indexName]; ok && at.size <= maxIndex {
		raw := make([]byte, at.size)
		if _, err := f.ReadAt(raw, at.offset); err != nil {
			return nil, err
		}
		found, err := fromIndex(&tarIndex{raw: raw, path: path, places: places}, platform)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	if _, ok := places["manifest.json"]; !ok {
		return nil, fmt.Errorf("%w: neither an OCI image layout nor what docker save writes (a compressed archive must be unpacked first)", ErrSource)
	}
	return fromDocker(ctx, path)
}

func fromDocker(ctx context.Context, file string) ([]Artifact, error) {
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	m, err := tarball.LoadManifest(open)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	var found []Artifact
	for _, d := range m {
		for i, text := range d.RepoTags {
			tag, err := name.NewTag(text)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrReference, err)
			}
			img, err := tarball.Image(open, &tag)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrSource, text, err)
			}
			if i == 0 { // the others are names of the same image
				if err := checkDocker(ctx, img, d); err != nil {
					if cause := context.Cause(ctx); cause != nil {
						return nil, cause
					}
					return nil, fmt.Errorf("%w: %s: %w", ErrSource, text, err)
				}
			}
			found = append(found, Artifact{Reference: text, Image: img})
		}
	}
	return found, nil
}

// checkDocker reads an image as docker save writes it. Such an archive has no
// digests of its files: the name of the configuration gives that of its content
// (as HEX.json, sha256:HEX or blobs/sha256/HEX), and the configuration those of
// the layers. Without a look at them, damage would be given new digests.
func checkDocker(ctx context.Context, img v1.Image, d tarball.Descriptor) error {
	raw, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	hex := strings.TrimSuffix(strings.TrimPrefix(path.Base(d.Config), "sha256:"), ".json")
	if want, err := v1.NewHash("sha256:" + hex); err == nil && digestOf(raw) != want {
		return fmt.Errorf("%s: %w", d.Config, wrongDigest{digestOf(raw)})
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	if len(d.Layers) != len(layers) || len(layers) != len(config.RootFS.DiffIDs) {
		return fmt.Errorf("%w: %d layers, and %d in its configuration", ErrDamaged, len(d.Layers), len(config.RootFS.DiffIDs))
	}
	buf := make([]byte, bufferSize)
	for i, l := range layers {
		if err := checkLayer(ctx, l, config.RootFS.DiffIDs[i], buf); err != nil {
			return fmt.Errorf("layer %d, %s: %w", i+1, config.RootFS.DiffIDs[i], err)
		}
	}
	return nil
}

// checkLayer compares the tar of a layer with its digest.
func checkLayer(ctx context.Context, l v1.Layer, want v1.Hash, buf []byte) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if err := copyContext(ctx, sum, r, buf, func(int) {}); err != nil {
		return err
	}
	if got := digestFrom(sum); got != want {
		return wrongDigest{got}
	}
	return nil
}

// place is where an entry of an archive lies.
type place struct{ offset, size int64 }

// hop finds the regular files of any tar archive by their headers alone. It
// stops where there is no header; what it finds is verified by whoever reads it.
func hop(r io.ReaderAt, size int64) map[string]place {
	places := map[string]place{}
	const most = 1 << 20 // entries; no archive of images has as many
	for pos := int64(0); pos+blockSize <= size && len(places) < most; {
		var h [blockSize]byte
		if _, err := r.ReadAt(h[:], pos); err != nil || isZero(h[:]) {
			break
		}
		f, ok := parseHeader(&h)
		if !ok || f.size > size-pos-blockSize {
			break
		}
		if _, twice := places[f.name]; !twice && (f.kind == '0' || f.kind == 0) {
			places[f.name] = place{pos + blockSize, f.size}
		}
		pos += blockSize + padded(f.size)
	}
	return places
}

// tarIndex is the index of an OCI image layout in a tar archive.
type tarIndex struct {
	raw    []byte
	path   string
	places map[string]place
}

func (t *tarIndex) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }
func (t *tarIndex) Digest() (v1.Hash, error)            { return digestOf(t.raw), nil }
func (t *tarIndex) Size() (int64, error)                { return int64(len(t.raw)), nil }
func (t *tarIndex) RawManifest() ([]byte, error)        { return t.raw, nil }
func (t *tarIndex) IndexManifest() (*v1.IndexManifest, error) {
	var im v1.IndexManifest
	return &im, unmarshal(t.raw, &im)
}

func (t *tarIndex) Image(h v1.Hash) (v1.Image, error) {
	raw, err := t.bytes(h)
	if err != nil {
		return nil, err
	}
	var m v1.Manifest
	if err := unmarshal(raw, &m); err != nil {
		return nil, err
	}
	mt := m.MediaType
	if mt == "" {
		mt = types.OCIManifestSchema1
	}
	return newImage(raw, mt, &m, t.open)
}

func (t *tarIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	raw, err := t.bytes(h)
	if err != nil {
		return nil, err
	}
	return &tarIndex{raw: raw, path: t.path, places: t.places}, nil
}

func (t *tarIndex) bytes(h v1.Hash) ([]byte, error) {
	at, ok := t.places[blobPrefix+h.Hex]
	if !ok || at.size > maxManifest {
		return nil, fmt.Errorf("no manifest %s", h)
	}
	rc, err := t.open(v1.Descriptor{Digest: h, Size: at.size})
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func (t *tarIndex) open(d v1.Descriptor) (io.ReadCloser, error) {
	at, ok := t.places[blobPrefix+d.Digest.Hex]
	if !ok {
		return nil, fmt.Errorf("no blob %s", d.Digest)
	}
	f, err := os.Open(t.path)
	if err != nil {
		return nil, err
	}
	b := &blob{digest: d.Digest, size: at.size, offset: at.offset}
	return &readCloser{b.reader(f), f}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// image is a v1.Image whose blobs are opened by a function.
type image struct {
	raw      []byte
	media    types.MediaType
	manifest *v1.Manifest
	open     func(v1.Descriptor) (io.ReadCloser, error)
}

func newImage(raw []byte, media types.MediaType, m *v1.Manifest, open func(v1.Descriptor) (io.ReadCloser, error)) (v1.Image, error) {
	return partial.CompressedToImage(&image{raw, media, m, open})
}

func (i *image) RawManifest() ([]byte, error)          { return i.raw, nil }
func (i *image) MediaType() (types.MediaType, error)   { return i.media, nil }
func (i *image) Manifest() (*v1.Manifest, error)       { return i.manifest.DeepCopy(), nil }
func (i *image) layer(d v1.Descriptor) *compressedBlob { return &compressedBlob{d, i.open} }

func (i *image) RawConfigFile() ([]byte, error) {
	if i.manifest.Config.Size > maxConfig {
		return nil, fmt.Errorf("%w: config of %d bytes", ErrLimit, i.manifest.Config.Size)
	}
	rc, err := i.open(i.manifest.Config)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func (i *image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if h == i.manifest.Config.Digest {
		return i.layer(i.manifest.Config), nil
	}
	for _, d := range i.manifest.Layers {
		if d.Digest == h {
			return i.layer(d), nil
		}
	}
	return nil, fmt.Errorf("%w: no layer %s in the image", ErrNotFound, h)
}

type compressedBlob struct {
	desc v1.Descriptor
	open func(v1.Descriptor) (io.ReadCloser, error)
}

func (b *compressedBlob) Digest() (v1.Hash, error)            { return b.desc.Digest, nil }
func (b *compressedBlob) Size() (int64, error)                { return b.desc.Size, nil }
func (b *compressedBlob) MediaType() (types.MediaType, error) { return b.desc.MediaType, nil }
func (b *compressedBlob) Compressed() (io.ReadCloser, error)  { return b.open(b.desc) }
func (b *compressedBlob) Descriptor() (*v1.Descriptor, error) { return b.desc.DeepCopy(), nil }
