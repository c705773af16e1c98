package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Verify reads the whole file at path, also one that Open refuses, and says
// everything that is wrong with it. nil means that every byte is what it must
// be; a *DamageError lists the problems; other errors are the cause of ctx and
// what the file system says.
func Verify(ctx context.Context, path string, progress ProgressFunc) error {
	if strings.HasSuffix(path, partialSuffix) {
		return fmt.Errorf("%w: %s", ErrPartial, path)
	}
	f, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return verify(ctx, f, size, path, progress)
}

// Verify is the function Verify on an open bundle.
func (b *Bundle) Verify(ctx context.Context, progress ProgressFunc) error {
	return verify(ctx, b.source, b.size, b.path, progress)
}

func verify(ctx context.Context, r io.ReaderAt, size int64, path string, progress ProgressFunc) error {
	p, head := readHead(r, size)
	w := &walk{source: r, size: size, progress: progress, at: map[string]int{}}
	w.region(&region{name: layoutName, frame: true})
	if p == nil {
		w.incomplete = true
	} else {
		w.incomplete = p.incomplete
		w.regions[0].size = int64(len(p.layout))
		w.region(&region{name: indexName, size: int64(len(p.index)), frame: true})
		for _, b := range p.blobs {
			w.region(&region{name: b.name(), size: b.size, blob: b})
		}
	}
	if p == nil && !w.layoutSize() {
		return &DamageError{Path: path, Problems: head}
	}
	w.run()
	if err := w.hash(ctx); err != nil {
		return err
	}
	problems := merge(head, w.problems)
	if len(problems) == 0 {
		return nil
	}
	return &DamageError{Path: path, Problems: problems}
}

// merge leaves out what was found twice: by reading the head, and by walking
// through the archive. Problems of blobs count as the walk found them, because
// it also finds what has moved.
func merge(head, walked []*Problem) []*Problem {
	problems := slices.Clone(walked)
	for _, h := range head {
		known := slices.ContainsFunc(walked, func(p *Problem) bool {
			return p.Entry == h.Entry && (p.Offset == h.Offset || p.Digest != v1.Hash{})
		})
		moved := h.Digest != v1.Hash{} && !errors.Is(h.Err, ErrFormat) && len(walked) > 0
		if !known && !moved {
			problems = append(problems, h)
		}
	}
	slices.SortStableFunc(problems, func(a, b *Problem) int { return cmp.Compare(a.Offset, b.Offset) })
	return problems
}

// region is an entry that the archive should have.
type region struct {
	name string
	size int64
	blob *blob // nil for the two files of the head
	// frame says that the content has been looked at already.
	frame bool
	// seen says that the walk has come by.
	seen bool
}

func (r *region) owners() []string {
	if r.blob == nil {
		return nil
	}
	return r.blob.owners
}

// walk goes through the archive from header to header and compares it with what
// should be there.
type walk struct {
	source     io.ReaderAt
	size       int64
	progress   ProgressFunc
	regions    []*region
	at         map[string]int // name to place in regions
	incomplete bool           // regions lacks blobs whose manifest cannot be read

	pos      int64
	next     int // the region that should come
	blobs    []*blob
	problems []*Problem
}

func (w *walk) region(r *region) {
	w.at[r.name] = len(w.regions)
	w.regions = append(w.regions, r)
}

// layoutSize takes the size of oci-layout from its header where its content does
// not say more; false if that makes no sense either.
func (w *walk) layoutSize() bool {
	h, ok := w.block(0)
	if !ok {
		return false
	}
	f, ok := parseHeader(h)
	if !ok || f.name != layoutName || f.size > blockSize {
		return false
	}
	w.regions[0].size = f.size
	// The index may be readable or not; it says nothing that could be trusted.
	if h, ok := w.block(2 * blockSize); ok {
		if f, ok := parseHeader(h); ok && f.name == indexName && f.size <= maxIndex {
			w.region(&region{name: indexName, size: f.size, frame: true})
		}
	}
	return true
}

func (w *walk) problem(p *Problem) { w.problems = append(w.problems, p) }

func (w *walk) block(pos int64) (*[blockSize]byte, bool) {
	var h [blockSize]byte
	n, _ := w.source.ReadAt(h[:], pos)
	return &h, n == blockSize
}

// run finds everything but damage within blobs, which it notes for hash.
func (w *walk) run() {
	for {
		for w.next < len(w.regions) && w.regions[w.next].seen {
			w.next++
		}
		h, ok := w.block(w.pos)
		if !ok {
			w.truncated()
			return
		}
		if w.next < len(w.regions) {
			if r := w.regions[w.next]; *h == *header(r.name, r.size) {
				w.take(r, r.size)
				continue
			}
		}
		if isZero(h[:]) {
			w.end()
			return
		}
		if f, ok := parseHeader(h); ok {
			if !w.foreign(f) {
				w.lost()
				return
			}
			continue
		}
		if w.next >= len(w.regions) {
			w.problem(&Problem{Err: ErrDamaged, Offset: w.pos, Size: w.size - w.pos, Detail: "neither a header nor the end of the archive"})
			return
		}
		// The header is broken; the content may lie where it should.
		r := w.regions[w.next]
		w.problem(headerProblem(r.name, r.owners(), w.pos))
		w.take(r, r.size)
	}
}

// take goes over the entry at pos, which is r with so many bytes in the file.
func (w *walk) take(r *region, size int64) {
	content := w.pos + blockSize
	r.seen = true
	w.pos = content + padded(size)
	if w.pos > w.size {
		w.problem(&Problem{Err: ErrTruncated, Entry: r.name, Digest: digestIn(r.blob), Owners: r.owners(), Offset: content, Size: size,
			Detail: fmt.Sprintf("the file ends at byte %d", w.size)})
		return
	}
	pad := make([]byte, padded(size)-size)
	if n, _ := w.source.ReadAt(pad, content+size); (n < len(pad) || !isZero(pad)) && r.name != indexName {
		w.problem(paddingProblem(r.name, r.owners(), content+size, int64(len(pad))))
	}
	if !r.frame && size == r.size {
		w.blobs = append(w.blobs, &blob{digest: r.blob.digest, size: size, offset: content, owners: r.blob.owners})
	}
}

func digestIn(b *blob) v1.Hash {
	if b == nil {
		return v1.Hash{}
	}
	return b.digest
}

// foreign deals with a sound header that is not the one that should come. It
// says whether the walk can go on.
func (w *walk) foreign(f foreign) bool {
	if f.size > w.size-w.pos-blockSize {
		w.problem(&Problem{Err: ErrWrongSize, Entry: printable(f.name), Digest: w.digestOf(f.name), Owners: w.ownersOf(f.name), Offset: w.pos, Size: blockSize,
			Detail: fmt.Sprintf("its header says %d bytes, and the file has %d more", f.size, max(0, w.size-w.pos-blockSize))})
		return false
	}
	regular := f.kind == '0' || f.kind == 0
	if i, known := w.at[f.name]; known && i >= w.next && regular && !w.regions[i].seen {
		// Without one of the manifests the order of the others' blobs is not
		// known: a blob that they share lies where the first one has it.
		if !w.incomplete {
			w.missing(i)
		}
		r := w.regions[i]
		if f.size != r.size {
			w.problem(&Problem{Err: ErrWrongSize, Entry: r.name, Digest: digestIn(r.blob), Owners: r.owners(), Offset: w.pos, Size: blockSize + padded(f.size),
				Detail: fmt.Sprintf("it has %d bytes and should have %d", f.size, r.size)})
		} else if h, _ := w.block(w.pos); *h != *header(r.name, r.size) {
			w.problem(headerProblem(r.name, r.owners(), w.pos))
		}
		w.take(r, f.size)
		return true
	}
	hex, isBlob := strings.CutPrefix(f.name, blobPrefix)
	switch bad := f.unsafe(); {
	case bad != "":
		w.problem(&Problem{Err: ErrName, Entry: printable(f.name), Offset: w.pos, Size: blockSize + padded(f.size), Detail: bad})
	case w.incomplete && isBlob && regular && sha256hex.MatchString("sha256:"+hex) && w.at[f.name] == 0:
		b := &blob{digest: v1.Hash{Algorithm: "sha256", Hex: hex}, size: f.size}
		w.take(&region{name: f.name, size: f.size, blob: b}, f.size)
		return true
	default:
		w.problem(&Problem{Err: ErrUnknownEntry, Entry: printable(f.name), Offset: w.pos, Size: blockSize + padded(f.size)})
	}
	w.pos += blockSize + padded(f.size)
	return true
}

// printable makes a name from a file fit for a terminal and a log.
func printable(name string) string {
	clean := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return '?'
		}
		return c
	}, name)
	return clean[:min(len(clean), 255)]
}

func (w *walk) ownersOf(name string) []string {
	if i, ok := w.at[name]; ok {
		return w.regions[i].owners()
	}
	return nil
}

func (w *walk) digestOf(name string) v1.Hash {
	if i, ok := w.at[name]; ok {
		return digestIn(w.regions[i].blob)
	}
	return v1.Hash{}
}

// missing reports the regions in front of number i.
func (w *walk) missing(i int) {
	for ; w.next < i; w.next++ {
		r := w.regions[w.next]
		if r.seen {
			continue
		}
		w.problem(&Problem{Err: ErrMissing, Entry: r.name, Digest: digestIn(r.blob), Owners: r.owners(), Offset: w.pos})
	}
}

// lost ends a walk that cannot find its way.
func (w *walk) lost() {
	for ; w.next < len(w.regions); w.next++ {
		r := w.regions[w.next]
		known := slices.ContainsFunc(w.problems, func(p *Problem) bool { return p.Entry == r.name })
		if !known && !r.seen {
			w.problem(&Problem{Err: ErrMissing, Entry: r.name, Digest: digestIn(r.blob), Owners: r.owners(), Offset: w.pos, Detail: "not found behind the damage"})
		}
	}
}

// truncated ends a walk at the end of the file. The region in which the file
// ends may have been reported; those behind it are missing.
func (w *walk) truncated() {
	if w.next >= len(w.regions) && !slices.ContainsFunc(w.problems, func(p *Problem) bool { return errors.Is(p, ErrTruncated) }) {
		w.problem(&Problem{Err: ErrTruncated, Offset: min(w.pos, w.size), Detail: "the file ends without the end of the archive"})
		return
	}
	w.missing(len(w.regions))
}

// end deals with the zeros that end an archive, and what is behind them.
func (w *walk) end() {
	w.missing(len(w.regions))
	second, ok := w.block(w.pos + blockSize)
	switch {
	case !ok:
		w.problem(&Problem{Err: ErrTruncated, Offset: w.size, Detail: "the file ends within the end of the archive"})
	case !isZero(second[:]):
		w.problem(&Problem{Err: ErrDamaged, Offset: w.pos + blockSize, Size: blockSize, Detail: "the end of the archive is not zero"})
	case w.pos+trailerSize < w.size:
		w.problem(&Problem{Err: ErrUnknownEntry, Offset: w.pos + trailerSize, Size: w.size - w.pos - trailerSize, Detail: "bytes behind the end of the archive"})
	}
}

// hash reads the blobs that the walk has found. Two at once, or as many as there
// are processors up to four: beyond that a disk is the limit.
func (w *walk) hash(ctx context.Context) error {
	var mu sync.Mutex
	var total, done int64
	for _, b := range w.blobs {
		total += b.size
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(min(4, max(2, runtime.GOMAXPROCS(0))))
	buffers := sync.Pool{New: func() any { return new([bufferSize]byte) }}
	for _, b := range w.blobs {
		g.Go(func() error {
			buf := buffers.Get().(*[bufferSize]byte)
			defer buffers.Put(buf)
			owner := ""
			if len(b.owners) > 0 {
				owner = b.owners[0]
			}
			err := copyContext(gctx, io.Discard, b.reader(w.source), buf[:], func(n int) {
				mu.Lock()
				defer mu.Unlock()
				done += int64(n)
				if w.progress != nil {
					w.progress(Progress{Step: "verify", Reference: owner, Done: done, Total: total})
				}
			})
			var p *Problem
			if errors.As(err, &p) {
				mu.Lock()
				defer mu.Unlock()
				w.problem(p)
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}
