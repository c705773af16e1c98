package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// compression is fast: an image is read back on the machine that wrote it, and
// a second spent on writing is a second waited for.
const compression = gzip.BestSpeed

// epoch is the time of every file that comes from no Debian root, so that equal
// parts give equal digests. It is the first second that a zip archive can
// express, the narrowest of the formats that read such times.
const epoch = 315532800

// layer is a compressed layer in a file. It implements v1.Layer.
type layer struct {
	key    string
	digest v1.Hash // of the compressed bytes
	diffID v1.Hash // of the tar
	size   int64   // compressed, bytes
	plain  int64   // of the tar, bytes
	file   string
	offset int64 // where in file it begins
}

// Digest, DiffID, Size and MediaType describe the layer.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID gives the digest of the tar.
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size gives the compressed size in bytes.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType gives the OCI type of a gzip-compressed layer.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed gives the bytes; reading to their end verifies them.
func (l *layer) Compressed() (io.ReadCloser, error) {
	f, err := os.Open(l.file)
	if err != nil {
		return nil, err
	}
	return &verified{r: io.NewSectionReader(f, l.offset, l.size), c: f, sum: sha256.New(), want: l.digest, file: l.file}, nil
}

// Uncompressed gives the tar; reading to its end verifies it.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.file)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(io.NewSectionReader(f, l.offset, l.size))
	if err != nil {
		f.Close()
		return nil, &CorruptError{File: l.file, Why: err.Error()}
	}
	return &verified{r: z, c: f, sum: sha256.New(), want: l.diffID, file: l.file}, nil
}

// verify reads the compressed bytes.
func (l *layer) verify(ctx context.Context) error {
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, cancellable{ctx, r})
	return err
}

// CorruptError says that a file of the cache is not what its name or its
// manifest says.
type CorruptError struct{ File, Why string }

// Error names the file.
func (e *CorruptError) Error() string { return e.File + " is damaged: " + e.Why }

// verified is a reader whose end is an error when the bytes were not the ones
// expected.
type verified struct {
	r    io.Reader
	c    io.Closer
	sum  hash.Hash
	want v1.Hash
	file string
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	switch {
	case err == io.EOF:
		if got := hex.EncodeToString(v.sum.Sum(nil)); got != v.want.Hex {
			return n, &CorruptError{v.file, "its content has the digest sha256:" + got + ", not " + v.want.String()}
		}
	case err != nil:
		return n, &CorruptError{v.file, err.Error()}
	}
	return n, err
}

func (v *verified) Close() error { return v.c.Close() }

// newFile is a file that appears under its name only when it is complete.
type newFile struct{ *os.File }

// leftover begins the name of every file that is not complete yet.
const leftover = ".new-"

func createIn(dir string) (newFile, error) {
	f, err := os.CreateTemp(dir, leftover+"*")
	return newFile{f}, err
}

// commit gives the file its name, after its content is on disk: a name that
// survives a power failure must not stand for content that did not.
func (f newFile) commit(path string) error {
	err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// discard removes the file when it was not committed; after commit it does nothing.
func (f newFile) discard() {
	f.Close()
	os.Remove(f.Name())
}

// writeLayer compresses a tar into a blob of the folder dir.
func writeLayer(dir, key string, content func(io.Writer) error) (*layer, error) {
	f, err := createIn(dir)
	if err != nil {
		return nil, err
	}
	defer f.discard()
	packed, plain := newCounter(f), sha256.New()
	z, err := gzip.NewWriterLevel(packed, compression)
	if err != nil {
		return nil, err
	}
	tarBytes := newCounter(io.MultiWriter(z, plain))
	if err := content(tarBytes); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	l := &layer{key: key, digest: packed.hash(), diffID: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(plain.Sum(nil))},
		size: packed.n, plain: tarBytes.n}
	l.file = filepath.Join(dir, l.digest.Hex)
	return l, f.commit(l.file)
}

// counter counts and hashes what passes.
type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func newCounter(w io.Writer) *counter { return &counter{w: w, sum: sha256.New()} }

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

func (c *counter) hash() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(c.sum.Sum(nil))}
}

// cancellable makes long copies end with their context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func sha(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// layerNote is what the history of an image keeps of a layer, so that a later
// build finds it again.
func (l *layer) note() string { return fmt.Sprintf("%s %d", l.key, l.plain) }

func parseNote(text string) (key string, plain int64, ok bool) {
	n, err := fmt.Sscanf(text, "%s %d", &key, &plain)
	return key, plain, err == nil && n == 2 && len(key) == sha256.Size*2
}
