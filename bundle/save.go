package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// partialSuffix marks the file of a save that has not finished.
const partialSuffix = ".partial"

// Contents says what a bundle is for and where its content comes from.
type Contents struct {
	About
	Sources []Source
}

// Saved says what a save did.
type Saved struct {
	Path string
	// Digest names the content: see Bundle.Digest.
	Digest v1.Hash
	// Bytes is the size of the file.
	Bytes int64
	// Kept are bytes of blobs that an interrupted save had left in place,
	// Copied those taken from an earlier bundle or an interrupted save of other
	// content, Written those read from the sources. Together they are all blobs.
	Kept, Copied, Written int64
	Images, Charts        int
	// Damage is what was wrong with the bundle that path held before, when it
	// was one of the same content; nil when nothing was.
	Damage *DamageError
}

// Save writes a bundle to path.
//
// It writes path.partial and renames it when everything is on disk; a name
// without that suffix is always a whole bundle. When it is interrupted, in
// whatever way, path.partial stays, and the next save of the same content
// verifies what is there and writes what is missing only. If the content has
// changed, or path is a bundle already, blobs that are the same are copied from
// there instead of being read from their sources. If path holds exactly this
// content, undamaged, it is left as it is.
//
// Errors: ErrPlatform, ErrReference, ErrChart, ErrSource, ErrLimit for what the
// sources gave, together with ErrDamaged when a source has other bytes than its
// manifest says, ErrBusy if another process writes to path, what the file system
// says (a full disk), or the cause of ctx.
func Save(ctx context.Context, path string, c Contents, progress ProgressFunc) (Saved, error) {
	if strings.HasSuffix(path, partialSuffix) {
		return Saved{}, fmt.Errorf("%w: a bundle may not be called %s", ErrPartial, path)
	}
	w, err := newWriter(ctx, c)
	if err != nil {
		return Saved{}, err
	}
	w.progress = progress
	w.saved.Path = path
	err = w.save(ctx, path)
	return w.saved, err
}

// writer is one save.
type writer struct {
	plan     *plan
	images   map[string]v1.Image // by reference
	progress ProgressFunc
	saved    Saved
	// done and total are bytes of blobs.
	done, total int64
	buf         []byte
}

func newWriter(ctx context.Context, c Contents) (*writer, error) {
	platform, err := c.platform()
	if err != nil {
		return nil, err
	}
	about := c.About
	about.Platform = platform.String()
	w := &writer{images: map[string]v1.Image{}, buf: make([]byte, bufferSize)}
	entries := map[string]*entry{}
	raw := map[v1.Hash][]byte{}
	for _, s := range c.Sources {
		artifacts, err := s.Artifacts(ctx, platform)
		if err != nil {
			return nil, err
		}
		for _, a := range artifacts {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			e, manifest, err := describe(a, platform)
			if err != nil {
				return nil, err
			}
			if old := entries[e.reference]; old != nil && old.desc.Digest != e.desc.Digest {
				return nil, fmt.Errorf("%w: two different contents are called %s: %s and %s", ErrSource, e.reference, old.desc.Digest, e.desc.Digest)
			}
			entries[e.reference], w.images[e.reference], raw[e.desc.Digest] = e, a.Image, manifest
		}
	}
	sorted := make([]*entry, 0, len(entries))
	for _, e := range entries {
		sorted = append(sorted, e)
		if e.chart {
			w.saved.Charts++
		} else {
			w.saved.Images++
		}
	}
	slices.SortFunc(sorted, func(a, b *entry) int {
		if a.chart != b.chart {
			if b.chart {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.reference, b.reference)
	})
	index := encodeIndex(about, sorted)
	if len(index) > maxIndex {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrLimit, indexName, len(index))
	}
	p, problems, err := newPlan(index, func(b *blob) ([]byte, error) { return raw[b.digest], nil })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %s: %s", ErrSource, strings.Join(problems[0].Owners, ", "), problems[0].Detail)
	}
	w.plan = p
	for _, b := range p.blobs {
		w.total += b.size
	}
	w.saved.Digest, w.saved.Bytes = digestOf(index), p.total
	return w, nil
}

// describe finds out what an artifact is, and refuses what a bundle cannot hold.
func describe(a Artifact, platform v1.Platform) (*entry, []byte, error) {
	label := a.Reference
	if a.chart != nil {
		label = chartReference(a.chart.Name, a.chart.Version)
	}
	refuse := func(err error) (*entry, []byte, error) {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrSource, label, err)
	}
	raw, err := a.Image.RawManifest()
	if err != nil {
		return refuse(err)
	}
	media, err := a.Image.MediaType()
	if err != nil {
		return refuse(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return refuse(err)
	}
	for _, l := range m.Layers {
		if !l.MediaType.IsDistributable() || len(l.URLs) > 0 {
			return refuse(fmt.Errorf("layer %s may not be distributed or lies elsewhere", l.Digest))
		}
	}
	config, err := a.Image.RawConfigFile()
	if err != nil {
		return refuse(err)
	}
	d := v1.Descriptor{MediaType: media, Size: int64(len(raw)), Digest: digestOf(raw)}
	if m.Config.MediaType == chartConfigType {
		meta := a.chart
		if meta == nil {
			if err := json.Unmarshal(config, &meta); err != nil || meta == nil {
				return refuse(fmt.Errorf("config of a chart: %v", err))
			}
		}
		if err := checkChart(meta.Name, meta.Version); err != nil {
			return nil, nil, err
		}
		d.ArtifactType = string(chartConfigType)
		d.Annotations = map[string]string{annotationRef: chartReference(meta.Name, meta.Version)}
	} else {
		full, err := Normalize(a.Reference)
		if err != nil {
			return nil, nil, err
		}
		if d.Platform, err = platformOf(config); err != nil {
			return refuse(err)
		}
		if !fits(platform, *d.Platform) {
			return nil, nil, fmt.Errorf("%w: %s is for %s, and the bundle for %s", ErrPlatform, full, platformText(d.Platform), platform)
		}
		d.Annotations = map[string]string{annotationRef: full, annotationImageName: full}
	}
	e, err := newEntry(d, platform)
	return e, raw, err
}

func platformOf(config []byte) (*v1.Platform, error) {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return &v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}, nil
}

func (w *writer) save(ctx context.Context, path string) error {
	f, err := openLocked(path + partialSuffix)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	old, err := w.earlier(ctx, path)
	if err != nil {
		return err
	}
	defer closeAll(&old)
	if len(old) == 1 && old[0].whole {
		w.saved.Kept = w.total
		return os.Remove(f.Name())
	}
	head, err := w.hasHead(f)
	if err != nil {
		return err
	}
	if !head {
		// Something else is in the way: its blobs may be of use. It stays open
		// without a name.
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			if err := os.Remove(f.Name()); err != nil {
				return err
			}
			old = append(old, earlier{f, hop(f, info.Size()), false})
			if f, err = openLocked(path + partialSuffix); err != nil {
				return err
			}
		}
	}
	if err := w.writeAll(ctx, f, old); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// earlier is a file whose blobs may be of use.
type earlier struct {
	file   *os.File
	places map[string]place
	// whole says that it is this bundle, undamaged.
	whole bool
}

func closeAll(files *[]earlier) {
	for _, e := range *files {
		e.file.Close()
	}
}

// earlier looks at what lies at the bundle's own name.
func (w *writer) earlier(ctx context.Context, path string) ([]earlier, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = fmt.Errorf("%w: %s is not a regular file", fs.ErrExist, path)
		}
		return nil, err
	}
	e := earlier{file: f, places: hop(f, info.Size())}
	if same, err := w.hasHead(f); err != nil {
		f.Close()
		return nil, err
	} else if same && info.Size() == w.plan.total {
		err := verify(ctx, f, info.Size(), path, w.progress)
		if cause := context.Cause(ctx); cause != nil {
			f.Close()
			return nil, cause
		}
		// Whatever else keeps it from being read, it is written again.
		if damage := (*DamageError)(nil); errors.As(err, &damage) {
			w.saved.Damage = damage
		}
		e.whole = err == nil
	}
	return []earlier{e}, nil
}

// head gives everything in front of the first blob.
func (p *plan) head() []byte {
	var b bytes.Buffer
	for _, part := range []struct {
		name    string
		content []byte
	}{{layoutName, p.layout}, {indexName, p.index}} {
		size := int64(len(part.content))
		b.Write(header(part.name, size)[:])
		b.Write(part.content)
		b.Write(make([]byte, padded(size)-size))
	}
	return b.Bytes()
}

func (w *writer) hasHead(f *os.File) (bool, error) {
	want := w.plan.head()
	got := make([]byte, len(want))
	n, err := f.ReadAt(got, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(got[:n], want), nil
}

// writeAll brings every region of the file to what it must be. Since the plan
// fixes where each lies, a region that is right already is left alone.
func (w *writer) writeAll(ctx context.Context, f *os.File, old []earlier) error {
	if _, err := f.WriteAt(w.plan.head(), 0); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for _, b := range w.plan.blobs {
		there := false
		if info.Size() >= b.offset+padded(b.size) {
			if there, err = w.check(ctx, f, b); err != nil {
				return err
			}
		}
		if there {
			w.saved.Kept += b.size
			continue
		}
		if err := w.write(ctx, f, b, old); err != nil {
			return err
		}
	}
	if err := f.Truncate(w.plan.total - trailerSize); err != nil {
		return err
	}
	return f.Truncate(w.plan.total) // the new bytes are zero
}

// check says whether a blob's region is right.
func (w *writer) check(ctx context.Context, f *os.File, b *blob) (bool, error) {
	if !regionFrame(f, b) {
		return false, nil
	}
	begin := w.done
	err := copyContext(ctx, io.Discard, b.reader(f), w.buf, func(n int) { w.tell("check", b, n) })
	var p *Problem
	if errors.As(err, &p) {
		w.done = begin
		return false, nil
	}
	return err == nil, err
}

// regionFrame says whether a blob's header and padding are right.
func regionFrame(r io.ReaderAt, b *blob) bool {
	var h [blockSize]byte
	if _, err := r.ReadAt(h[:], b.offset-blockSize); err != nil || h != *header(b.name(), b.size) {
		return false
	}
	pad := make([]byte, padded(b.size)-b.size)
	_, err := r.ReadAt(pad, b.offset+b.size)
	return (err == nil || errors.Is(err, io.EOF)) && isZero(pad)
}

// write puts a blob in its place, from an earlier file or from its source.
func (w *writer) write(ctx context.Context, f *os.File, b *blob, old []earlier) error {
	if _, err := f.WriteAt(header(b.name(), b.size)[:], b.offset-blockSize); err != nil {
		return err
	}
	begin := w.done
	for _, e := range old {
		at, ok := e.places[b.name()]
		if !ok || at.size != b.size {
			continue
		}
		from := &blob{digest: b.digest, size: b.size, offset: at.offset}
		err := w.pour(ctx, f, b, from.reader(e.file))
		var p *Problem
		if err == nil {
			w.saved.Copied += b.size
			return nil
		}
		if !errors.As(err, &p) {
			return err
		}
		w.done = begin // damaged there: take it from the source
	}
	rc, err := w.open(b)
	if err != nil {
		return sourceError(b, err)
	}
	// A source that waits for a network is woken by closing it.
	stop := context.AfterFunc(ctx, func() { rc.Close() })
	defer func() {
		stop()
		rc.Close()
	}()
	v := newVerifier(rc, b.size, b.digest, func(_ bool, cause error) error { return sourceError(b, cause) })
	if err := w.pour(ctx, f, b, v); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	w.saved.Written += b.size
	return nil
}

func sourceError(b *blob, err error) error {
	return fmt.Errorf("%w: blob %s of %s: %w", ErrSource, b.digest, b.owners[0], err)
}

// pour writes a blob's content and its padding.
func (w *writer) pour(ctx context.Context, f *os.File, b *blob, r io.Reader) error {
	out := io.NewOffsetWriter(f, b.offset)
	if err := copyContext(ctx, out, r, w.buf, func(n int) { w.tell("write", b, n) }); err != nil {
		return err
	}
	_, err := out.Write(make([]byte, padded(b.size)-b.size))
	return err
}

// open gives a blob's content from the artifact that has it.
func (w *writer) open(b *blob) (io.ReadCloser, error) {
	for _, e := range w.plan.entries {
		if _, mine := slices.BinarySearch(b.owners, e.reference); !mine {
			continue
		}
		img := w.images[e.reference]
		switch b.digest {
		case e.desc.Digest:
			return inMemory(img.RawManifest())
		case e.manifest.Config.Digest:
			return inMemory(img.RawConfigFile())
		}
		layer, err := img.LayerByDigest(b.digest)
		if err != nil {
			return nil, err
		}
		return layer.Compressed()
	}
	return nil, ErrNotFound
}

func inMemory(b []byte, err error) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), err
}

func (w *writer) tell(step string, b *blob, n int) {
	w.done += int64(n)
	if w.progress != nil {
		w.progress(Progress{Step: step, Reference: b.owners[0], Done: w.done, Total: w.total})
	}
}
