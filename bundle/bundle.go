package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Bundle is an open bundle. Its methods may be called by several goroutines at
// once. Whatever it hands out is verified while it is read, and is readable
// until Close.
type Bundle struct {
	path   string
	source io.ReaderAt
	size   int64
	plan   *plan
	file   *os.File
}

// Entry is an image or chart in a bundle.
type Entry struct {
	// Reference is the full reference of an image, NAME:VERSION of a chart.
	Reference string
	// Digest is that of the manifest.
	Digest v1.Hash
	// Size is that of manifest, config and layers, in bytes, as they lie in the
	// bundle; what two entries share counts in both.
	Size int64
}

// Chart is a chart in a bundle.
type Chart struct {
	Entry
	Name, Version string
}

// Open opens the bundle at path. It reads the index and the manifests, not the
// layers: those are verified when they are read, or by Verify.
//
// Errors: ErrPartial for the file of an unfinished save; a *DamageError when the
// file is none, or what it says of its content cannot be trusted, or its length
// is not what follows from it.
func Open(path string) (*Bundle, error) {
	if strings.HasSuffix(path, partialSuffix) {
		return nil, fmt.Errorf("%w: %s", ErrPartial, path)
	}
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	b, err := Read(f, size)
	if err != nil {
		f.Close()
		var d *DamageError
		if errors.As(err, &d) {
			d.Path = path
		}
		return nil, err
	}
	b.path, b.file = path, f
	return b, nil
}

func openRegular(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is not a regular file", ErrFormat, path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Read is Open on something else than a file: size bytes of source.
func Read(source io.ReaderAt, size int64) (*Bundle, error) {
	p, problems := readHead(source, size)
	if len(problems) == 0 && size != p.total {
		problems = []*Problem{sizeProblem(p, size)}
	}
	if len(problems) > 0 {
		return nil, &DamageError{Problems: problems}
	}
	return &Bundle{source: source, size: size, plan: p}, nil
}

// sizeProblem says what a file of another length than planned lacks or has.
func sizeProblem(p *plan, size int64) *Problem {
	if size > p.total {
		return &Problem{Err: ErrUnknownEntry, Offset: p.total, Size: size - p.total, Detail: "bytes behind the end of the archive"}
	}
	detail := fmt.Sprintf("the file has %d bytes and should have %d", size, p.total)
	for _, b := range p.blobs {
		if b.offset+padded(b.size) > size {
			return b.problem(ErrTruncated, detail)
		}
	}
	return &Problem{Err: ErrTruncated, Offset: size, Size: p.total - size, Detail: detail}
}

// readHead reads what lies in front of the layers. The plan is nil if there is
// no index to be used; it may be used for a list of damage even if there are
// problems.
func readHead(r io.ReaderAt, size int64) (*plan, []*Problem) {
	var first [2 * blockSize]byte
	if n, err := r.ReadAt(first[:], 0); n < len(first) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, []*Problem{{Err: ErrTruncated, Entry: layoutName, Size: size, Detail: "too short for a bundle"}}
		}
		return nil, []*Problem{{Err: ErrDamaged, Entry: layoutName, Detail: err.Error()}}
	}
	content := []byte(strings.TrimRight(string(first[blockSize:]), "\x00"))
	mark, err := decodeLayout(content)
	if err != nil {
		kind := ErrFormat
		if strings.HasPrefix(string(first[:blockSize]), layoutName+"\x00") {
			kind = ErrDamaged
		}
		return nil, []*Problem{{Err: kind, Entry: layoutName, Offset: blockSize, Size: blockSize, Detail: err.Error()}}
	}
	var problems []*Problem
	if [blockSize]byte(first[:blockSize]) != *header(layoutName, int64(len(content))) {
		problems = append(problems, headerProblem(layoutName, nil, 0))
	}
	// This entry's header is checked by its bytes, the content by the mark.
	index := &blob{digest: mark.Digest, size: mark.Size, offset: 3 * blockSize}
	problem := func(kind error, detail string) *Problem {
		return &Problem{Err: kind, Entry: indexName, Offset: index.offset, Size: index.size, Detail: detail}
	}
	if index.offset+index.size > size {
		return nil, append(problems, problem(ErrTruncated, "the file ends within it"))
	}
	var h [blockSize]byte
	if _, err := r.ReadAt(h[:], 2*blockSize); err != nil || h != *header(indexName, mark.Size) {
		problems = append(problems, headerProblem(indexName, nil, 2*blockSize))
	}
	raw := make([]byte, mark.Size)
	if _, err := io.ReadFull(io.NewSectionReader(r, index.offset, index.size), raw); err != nil {
		return nil, append(problems, problem(ErrDamaged, err.Error()))
	}
	if got := digestOf(raw); got != mark.Digest {
		// Which of the two it is cannot be known.
		problems = append(problems,
			&Problem{Err: ErrDamaged, Entry: layoutName, Offset: blockSize, Size: blockSize, Detail: fmt.Sprintf("either it or %s: it names the digest %s", indexName, mark.Digest)},
			problem(ErrDamaged, fmt.Sprintf("either it or %s: its digest is %s", layoutName, got)))
	}
	pad := make([]byte, padded(index.size)-index.size)
	if n, _ := r.ReadAt(pad, index.offset+index.size); n < len(pad) || !isZero(pad) {
		problems = append(problems, paddingProblem(indexName, nil, index.offset+index.size, int64(len(pad))))
	}
	p, more, err := newPlan(raw, func(b *blob) ([]byte, error) { return readBlob(r, size, b) })
	if err != nil {
		return nil, append(problems, problem(ErrFormat, err.Error()))
	}
	return p, append(problems, more...)
}

func headerProblem(name string, owners []string, offset int64) *Problem {
	return &Problem{Err: ErrDamaged, Entry: name, Owners: owners, Offset: offset, Size: blockSize, Detail: "its header is not as this format has it"}
}

func paddingProblem(name string, owners []string, offset, size int64) *Problem {
	return &Problem{Err: ErrDamaged, Entry: name, Owners: owners, Offset: offset, Size: size, Detail: "the padding behind it is not zero"}
}

// readBlob reads a blob of limited size into memory.
func readBlob(r io.ReaderAt, size int64, b *blob) ([]byte, error) {
	// Memory only for what the file can hold.
	if b.offset > size || b.size > size-b.offset {
		return nil, b.problem(ErrTruncated, "the file ends within it")
	}
	raw := make([]byte, b.size)
	_, err := io.ReadFull(b.reader(r), raw)
	if err == nil && b.size == 0 {
		_, err = b.reader(r).Read(raw)
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return raw, err
}

// Close ends all reading. It does nothing on a bundle that Read gave.
func (b *Bundle) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// About says what the bundle is for.
func (b *Bundle) About() About { return b.plan.about }

// Digest is that of index.json. It names the content of the whole bundle: two
// files with the same digest that verify are the same, byte for byte.
func (b *Bundle) Digest() v1.Hash { return digestOf(b.plan.index) }

// Size is that of the file, in bytes.
func (b *Bundle) Size() int64 { return b.size }

// Images lists the images, sorted by reference.
func (b *Bundle) Images() []Entry {
	var list []Entry
	for _, e := range b.plan.entries {
		if !e.chart {
			list = append(list, publicEntry(e))
		}
	}
	return list
}

// Charts lists the charts, sorted by name and version.
func (b *Bundle) Charts() []Chart {
	var list []Chart
	for _, e := range b.plan.entries {
		if e.chart {
			name, version, _ := strings.Cut(e.reference, ":")
			list = append(list, Chart{publicEntry(e), name, version})
		}
	}
	return list
}

func publicEntry(e *entry) Entry {
	p := Entry{Reference: e.reference, Digest: e.desc.Digest, Size: e.desc.Size}
	seen := map[v1.Hash]bool{}
	for _, d := range e.blobs() {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			p.Size += d.Size
		}
	}
	return p
}

// Image gives an image by its reference, in any form that Normalize takes. Its
// layers are read from the bundle when they are asked for. ErrNotFound if the
// bundle has none.
func (b *Bundle) Image(reference string) (v1.Image, error) {
	e, err := b.image(reference)
	if err != nil {
		return nil, err
	}
	return b.artifact(e)
}

func (b *Bundle) image(reference string) (*entry, error) {
	full, err := Normalize(reference)
	if err != nil {
		return nil, err
	}
	for _, e := range b.plan.entries {
		if !e.chart && e.reference == full {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: image %s", ErrNotFound, full)
}

// Chart gives a chart as the OCI artifact that Helm's registries hold.
// ErrNotFound if the bundle has none.
func (b *Bundle) Chart(name, version string) (v1.Image, error) {
	e, err := b.chart(name, version)
	if err != nil {
		return nil, err
	}
	return b.artifact(e)
}

func (b *Bundle) chart(name, version string) (*entry, error) {
	ref := chartReference(name, version)
	for _, e := range b.plan.entries {
		if e.chart && e.reference == ref {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: chart %s", ErrNotFound, ref)
}

// ChartArchive gives the .tgz of a chart as it was put in. The caller closes it.
// ErrNotFound if the bundle has none; a *Problem comes from reading if it is
// damaged.
func (b *Bundle) ChartArchive(name, version string) (io.ReadCloser, error) {
	e, err := b.chart(name, version)
	if err != nil {
		return nil, err
	}
	return b.open(*chartLayer(e.manifest))
}

// Blob gives any blob by its digest, with its size in bytes. The caller closes
// it. ErrNotFound if the bundle has none.
func (b *Bundle) Blob(digest v1.Hash) (io.ReadCloser, int64, error) {
	rc, err := b.open(v1.Descriptor{Digest: digest})
	if err != nil {
		return nil, 0, err
	}
	return rc, b.plan.byDigest[digest].size, nil
}

func (b *Bundle) open(d v1.Descriptor) (io.ReadCloser, error) {
	at := b.plan.byDigest[d.Digest]
	if at == nil {
		return nil, fmt.Errorf("%w: blob %s", ErrNotFound, d.Digest)
	}
	return io.NopCloser(at.reader(b.source)), nil
}

func (b *Bundle) artifact(e *entry) (v1.Image, error) {
	raw, err := readBlob(b.source, b.size, b.plan.byDigest[e.desc.Digest])
	if err != nil {
		return nil, err
	}
	return newImage(raw, e.desc.MediaType, e.manifest, b.open)
}

// Artifacts makes a bundle a source for another one. ErrPlatform if it is for
// another platform.
func (b *Bundle) Artifacts(_ context.Context, platform v1.Platform) ([]Artifact, error) {
	mine, err := b.plan.about.platform()
	if err != nil {
		return nil, err
	}
	if !fits(platform, mine) {
		return nil, fmt.Errorf("%w: the bundle is for %s", ErrPlatform, mine)
	}
	var found []Artifact
	for _, e := range b.plan.entries {
		img, err := b.artifact(e)
		if err != nil {
			return nil, err
		}
		found = append(found, Artifact{Reference: e.reference, Image: img})
	}
	return found, nil
}

// choose gives the entries of the images that were named; all if none was.
func (b *Bundle) choose(references []string) ([]*entry, error) {
	var chosen []*entry
	if len(references) == 0 {
		for _, e := range b.plan.entries {
			if !e.chart {
				chosen = append(chosen, e)
			}
		}
		return chosen, nil
	}
	var errs []error
	for _, ref := range references {
		e, err := b.image(ref)
		if err != nil {
			errs = append(errs, err)
		} else if !slices.Contains(chosen, e) {
			chosen = append(chosen, e)
		}
	}
	return chosen, errors.Join(errs...)
}
