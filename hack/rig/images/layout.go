package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations of the layout's index.
const (
	RefName  = "org.opencontainers.image.ref.name" // the full reference
	KeyLabel = "dev.alertlab.rig.key"              // the image's key
)

// store is an OCI image layout. The library's own writer takes a file of the
// right size for the right file and writes index.json in place; this one does
// neither.
type store struct {
	root  string
	mu    sync.Mutex
	index v1.IndexManifest
}

// openStore opens the layout in a folder, which it makes if there is none. An
// index that cannot be read counts as empty: everything is built again.
func openStore(root string) (*store, error) {
	s := &store{root: root}
	if err := os.MkdirAll(s.blobs(), 0o755); err != nil {
		return nil, err
	}
	// OCI Image Layout Specification 1.0.
	if err := s.replace("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n")); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(root, "index.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if json.Unmarshal(data, &s.index) != nil {
			s.index = v1.IndexManifest{}
		}
	}
	s.index.SchemaVersion, s.index.MediaType = 2, types.OCIImageIndex
	return s, nil
}

func (s *store) blobs() string { return filepath.Join(s.root, "blobs", "sha256") }

func (s *store) blob(h v1.Hash) string { return filepath.Join(s.blobs(), h.Hex) }

// replace writes a file of the layout, unless it has this content already.
func (s *store) replace(name string, data []byte) error {
	path := filepath.Join(s.root, name)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	f, err := createIn(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer f.discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.commit(path)
}

// find gives the image under a reference, when it is there with every blob.
func (s *store) find(reference string) (v1.Descriptor, *stored, bool) {
	s.mu.Lock()
	i := slices.IndexFunc(s.index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[RefName] == reference })
	if i < 0 {
		s.mu.Unlock()
		return v1.Descriptor{}, nil, false
	}
	d := s.index.Manifests[i]
	s.mu.Unlock()
	img, err := s.open(d)
	return d, img, err == nil
}

// stored is an image of a layout. It implements v1.Image.
type stored struct {
	descriptor  v1.Descriptor
	rawManifest []byte
	manifest    *v1.Manifest
	rawConfig   []byte
	config      *v1.ConfigFile
	layers      []*layer
}

// open reads the manifest and the configuration of an image, verifies both, and
// looks for its layers: present and of the right size. Their content is
// verified when it is read.
func (s *store) open(d v1.Descriptor) (*stored, error) {
	img := &stored{descriptor: d, manifest: new(v1.Manifest), config: new(v1.ConfigFile)}
	var err error
	if img.rawManifest, err = s.small(d.Digest, d.Size); err != nil {
		return nil, err
	}
	if err = json.Unmarshal(img.rawManifest, img.manifest); err != nil {
		return nil, &CorruptError{s.blob(d.Digest), err.Error()}
	}
	config := img.manifest.Config
	if img.rawConfig, err = s.small(config.Digest, config.Size); err != nil {
		return nil, err
	}
	if err = json.Unmarshal(img.rawConfig, img.config); err != nil {
		return nil, &CorruptError{s.blob(config.Digest), err.Error()}
	}
	if len(img.config.RootFS.DiffIDs) != len(img.manifest.Layers) {
		return nil, &CorruptError{s.blob(d.Digest), "it has another number of layers than its configuration"}
	}
	for i, one := range img.manifest.Layers {
		info, err := os.Stat(s.blob(one.Digest))
		if err != nil {
			return nil, err
		}
		if info.Size() != one.Size {
			return nil, &CorruptError{s.blob(one.Digest), fmt.Sprintf("it has %d bytes, not %d", info.Size(), one.Size)}
		}
		l := &layer{digest: one.Digest, diffID: img.config.RootFS.DiffIDs[i], size: one.Size, file: s.blob(one.Digest)}
		if i < len(img.config.History) {
			l.key, l.plain, _ = parseNote(img.config.History[i].Comment)
		}
		img.layers = append(img.layers, l)
	}
	return img, nil
}

// small reads a blob that is known to be short.
func (s *store) small(h v1.Hash, size int64) ([]byte, error) {
	const limit = 4 << 20
	if size > limit {
		return nil, &CorruptError{s.blob(h), fmt.Sprintf("%d bytes are too many for a manifest", size)}
	}
	data, err := os.ReadFile(s.blob(h))
	if err != nil {
		return nil, err
	}
	if got := sha(data); got != h {
		return nil, &CorruptError{s.blob(h), "its content has the digest " + got.String()}
	}
	return data, nil
}

// The methods of v1.Image: the library's own wrapper would hide what our layers
// know about themselves.

// RawManifest gives the manifest as it is stored.
func (i *stored) RawManifest() ([]byte, error) { return i.rawManifest, nil }

// RawConfigFile gives the configuration as it is stored.
func (i *stored) RawConfigFile() ([]byte, error) { return i.rawConfig, nil }

// Manifest gives the manifest.
func (i *stored) Manifest() (*v1.Manifest, error) { return i.manifest, nil }

// ConfigFile gives the configuration.
func (i *stored) ConfigFile() (*v1.ConfigFile, error) { return i.config, nil }

// ConfigName gives the digest of the configuration.
func (i *stored) ConfigName() (v1.Hash, error) { return i.manifest.Config.Digest, nil }

// Digest gives the digest of the manifest.
func (i *stored) Digest() (v1.Hash, error) { return i.descriptor.Digest, nil }

// Size gives the size of the manifest in bytes.
func (i *stored) Size() (int64, error) { return i.descriptor.Size, nil }

// MediaType gives the type of the manifest.
func (i *stored) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }

// Layers gives the layers, the lowest first.
func (i *stored) Layers() ([]v1.Layer, error) {
	list := make([]v1.Layer, len(i.layers))
	for j, l := range i.layers {
		list[j] = l
	}
	return list, nil
}

// LayerByDigest gives one of the layers, or the configuration.
func (i *stored) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.manifest.Config.Digest {
		return partial.ConfigLayer(i)
	}
	return i.layerWhere(func(l *layer) bool { return l.digest == h })
}

// LayerByDiffID gives one of the layers.
func (i *stored) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	return i.layerWhere(func(l *layer) bool { return l.diffID == h })
}

func (i *stored) layerWhere(is func(*layer) bool) (v1.Layer, error) {
	if j := slices.IndexFunc(i.layers, is); j >= 0 {
		return i.layers[j], nil
	}
	return nil, errors.New("the image has no such layer")
}

// total is what the image takes, in bytes.
func (i *stored) total() int64 {
	n := i.descriptor.Size + i.manifest.Config.Size
	for _, l := range i.layers {
		n += l.size
	}
	return n
}

// put writes the manifest and configuration of an image whose layers are blobs
// of this layout already, and then its entry in the index, in place of any of
// the same reference.
func (s *store) put(img v1.Image, annotations map[string]string) (*stored, error) {
	manifest, err := img.RawManifest()
	if err != nil {
		return nil, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	for _, data := range [][]byte{config, manifest} {
		if err := s.replace(filepath.Join("blobs", "sha256", sha(data).Hex), data); err != nil {
			return nil, err
		}
	}
	d, err := partial.Descriptor(img)
	if err != nil {
		return nil, err
	}
	d.Annotations = annotations
	opened, err := s.open(*d)
	if err != nil {
		return nil, err
	}
	d.Platform = opened.config.Platform()
	opened.descriptor = *d
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.Manifests = slices.DeleteFunc(s.index.Manifests, func(old v1.Descriptor) bool {
		return old.Annotations[RefName] == annotations[RefName]
	})
	s.index.Manifests = append(s.index.Manifests, *d)
	return opened, s.writeIndex()
}

// writeIndex needs the lock.
func (s *store) writeIndex() error {
	slices.SortFunc(s.index.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[RefName], b.Annotations[RefName])
	})
	data, err := json.MarshalIndent(s.index, "", "  ")
	if err != nil {
		return err
	}
	return s.replace("index.json", append(data, '\n'))
}

// keep removes every entry that is none of these references, then every blob
// that no entry needs, and what a killed build left.
func (s *store) keep(references map[string]bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.Manifests = slices.DeleteFunc(s.index.Manifests, func(d v1.Descriptor) bool { return !references[d.Annotations[RefName]] })
	if err := s.writeIndex(); err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, d := range s.index.Manifests {
		img, err := s.open(d)
		if err != nil {
			return err
		}
		needed[d.Digest.Hex], needed[img.manifest.Config.Digest.Hex] = true, true
		for _, l := range img.layers {
			needed[l.digest.Hex] = true
		}
	}
	entries, err := os.ReadDir(s.blobs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !needed[e.Name()] {
			if err := os.Remove(filepath.Join(s.blobs(), e.Name())); err != nil {
				return err
			}
		}
	}
	return removeLeftovers(s.root)
}

// removeLeftovers removes the files that a killed build did not complete.
func removeLeftovers(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, leftover+"*"))
	for _, file := range found {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// layersByKey gives every layer of the layout that knows its key.
func (s *store) layersByKey() map[string]*layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]*layer{}
	for _, d := range s.index.Manifests {
		img, err := s.open(d)
		if err != nil {
			continue // find has it built again
		}
		for _, l := range img.layers {
			if l.key != "" {
				found[l.key] = l
			}
		}
	}
	return found
}
