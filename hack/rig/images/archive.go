package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// tagged is an image with its full reference.
type tagged struct {
	reference string
	image     v1.Image
}

// archive is a set of images in the format of `docker save`. The library's
// writer goes through a map, so that equal images give archives in any order;
// this one keeps the order, and can leave layers uncompressed for an archive
// that is compressed itself.
type archive struct {
	images []tagged
	plain  bool
}

// archiveImage is one element of manifest.json, Docker's image format v1.2.
type archiveImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// piece is one file of an archive.
type piece struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

func inMemory(name string, data []byte) piece {
	return piece{name, int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// pieces gives the files in the order they are written: manifest.json first, so
// that a reader learns at once what is in the archive.
func (a *archive) pieces() ([]piece, error) {
	var manifest []archiveImage
	var pieces []piece
	seen := map[string]bool{}
	add := func(p piece) {
		if !seen[p.name] {
			seen[p.name] = true
			pieces = append(pieces, p)
		}
	}
	for _, t := range a.images {
		config, err := t.image.RawConfigFile()
		if err != nil {
			return nil, err
		}
		one := archiveImage{Config: sha(config).Hex + ".json", RepoTags: []string{t.reference}}
		layers, err := t.image.Layers()
		if err != nil {
			return nil, err
		}
		for _, l := range layers {
			p, err := a.layer(l)
			if err != nil {
				return nil, err
			}
			one.Layers = append(one.Layers, p.name)
			add(p)
		}
		add(inMemory(one.Config, config))
		manifest = append(manifest, one)
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return append([]piece{inMemory("manifest.json", data)}, pieces...), nil
}

func (a *archive) layer(l v1.Layer) (piece, error) {
	if !a.plain {
		digest, err := l.Digest()
		if err != nil {
			return piece{}, err
		}
		size, err := l.Size()
		return piece{digest.Hex + ".tar.gz", size, l.Compressed}, err
	}
	diffID, err := l.DiffID()
	if err != nil {
		return piece{}, err
	}
	size, err := plainSize(l)
	return piece{diffID.Hex + ".tar", size, l.Uncompressed}, err
}

// plainSize gives the size of a layer's tar in bytes: as noted when it was
// written, else counted.
func plainSize(l v1.Layer) (int64, error) {
	if known, ok := l.(interface{ plainSize() int64 }); ok && known.plainSize() > 0 {
		return known.plainSize(), nil
	}
	r, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

func (l *layer) plainSize() int64 { return l.plain }

const block = 512 // of a tar, bytes

// size gives the bytes that write will write.
func (a *archive) size() (int64, error) {
	pieces, err := a.pieces()
	n := int64(2 * block) // the end of a tar
	for _, p := range pieces {
		n += block + (p.size+block-1)/block*block
	}
	return n, err
}

func (a *archive) write(w io.Writer) error {
	pieces, err := a.pieces()
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, p := range pieces {
		if err := p.write(out); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return out.Close()
}

func (p piece) write(out *tar.Writer) error {
	// Format fixed, so that a header is one block, as size counts it; USTAR
	// takes files of up to 8 GiB.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: p.name, Size: p.size, Mode: 0o644,
		ModTime: time.Unix(epoch, 0), Format: tar.FormatUSTAR}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	r, err := p.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyN(out, r, p.size); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	// What a flipped bit makes longer tells so at its end.
	if more, err := io.Copy(io.Discard, r); err != nil || more > 0 {
		return cmp.Or(err, fmt.Errorf("has %d bytes more than it should", more))
	}
	return out.Flush()
}

// open gives the archive as a stream.
func (a *archive) open() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(a.write(w)) }()
	return r, nil
}

// savedImage is an image in an archive on disk that this package wrote.
type savedImage struct {
	reference string
	id        v1.Hash // digest of the configuration, Docker's image ID
	config    *v1.ConfigFile
	layers    []*layer
	size      int64 // of the file, bytes
}

// readArchive reads the one image of an archive, and walks over the headers of
// the rest to see that the file has its end. Contents of layers are not read.
func readArchive(file string) (*savedImage, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img := new(savedImage)
	offsets, sizes := map[string]int64{}, map[string]int64{}
	var manifest []archiveImage
	config := map[string][]byte{}
	in := tar.NewReader(f)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, &CorruptError{file, err.Error()}
		}
		// The reader takes whole blocks and skips contents by seeking.
		if offsets[h.Name], err = f.Seek(0, io.SeekCurrent); err != nil {
			return nil, err
		}
		sizes[h.Name] = h.Size
		const small = 4 << 20
		if h.Size > small {
			continue
		}
		switch {
		case h.Name == "manifest.json":
			if err := json.NewDecoder(in).Decode(&manifest); err != nil {
				return nil, &CorruptError{file, err.Error()}
			}
		case bytes.HasSuffix([]byte(h.Name), []byte(".json")):
			if config[h.Name], err = io.ReadAll(in); err != nil {
				return nil, &CorruptError{file, err.Error()}
			}
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	img.size = info.Size()
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 {
		return nil, &CorruptError{file, "it does not hold one image"}
	}
	raw := config[manifest[0].Config]
	img.reference, img.id, img.config = manifest[0].RepoTags[0], sha(raw), new(v1.ConfigFile)
	if img.id.Hex+".json" != manifest[0].Config {
		return nil, &CorruptError{file, "its configuration has the digest " + img.id.String()}
	}
	if err := json.Unmarshal(raw, img.config); err != nil {
		return nil, &CorruptError{file, err.Error()}
	}
	if len(manifest[0].Layers) != len(img.config.RootFS.DiffIDs) {
		return nil, &CorruptError{file, "it has another number of layers than its configuration"}
	}
	for i, name := range manifest[0].Layers {
		offset, there := offsets[name]
		hex, _, _ := bytes.Cut([]byte(name), []byte("."))
		digest, err := v1.NewHash("sha256:" + string(hex))
		if !there || err != nil {
			return nil, &CorruptError{file, "it has no " + name}
		}
		l := &layer{digest: digest, diffID: img.config.RootFS.DiffIDs[i], size: sizes[name], file: file, offset: offset}
		if i < len(img.config.History) {
			l.key, l.plain, _ = parseNote(img.config.History[i].Comment)
		}
		img.layers = append(img.layers, l)
	}
	return img, nil
}
