package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Node is a machine, or a container, that runs images of its own store.
type Node interface {
	Name() string
	// Images lists what the node has: the reference of each image and its
	// digest, as `ctr -n k8s.io images ls` prints them. The digest of the config
	// (what crictl calls the image's id) is as good.
	Images(ctx context.Context) (map[string]string, error)
	// Load takes a tar archive of an OCI image layout, as
	// `ctr -n k8s.io images import -` reads it. It returns when the archive is
	// in, and soon after ctx is done or reading the archive has failed.
	Load(ctx context.Context, archive io.Reader) error
}

// ImportOptions says what is imported.
type ImportOptions struct {
	// Images are references in any form that Normalize takes; none means all.
	Images []string
	// Concurrency is how many nodes are sent to at once; 0 means 4.
	Concurrency int
	Progress    ProgressFunc
}

// NodeReport says what happened to one node.
type NodeReport struct {
	Node string
	// Sent and Skipped are references; skipped is what the node had already.
	Sent, Skipped []string
	// Bytes is the length of the archive that was sent.
	Bytes int64
	Took  time.Duration
	// Err is a *NodeError, or nil.
	Err error
}

// NodeError says that a node did not take its images.
type NodeError struct {
	Node string
	// Step is "list", "load" or "confirm".
	Step string
	Err  error
}

// Error names the node and the step.
func (e *NodeError) Error() string {
	return fmt.Sprintf("node %s: %s images: %v", e.Node, e.Step, e.Err)
}

// Unwrap gives what the node said.
func (e *NodeError) Unwrap() error { return e.Err }

// Import brings images into nodes. Each node is asked what it has and is sent
// one archive with the images that it lacks, straight from the bundle; then it
// is asked again, because an import that says nothing may have done nothing.
// Whole images are left out, not single layers: a node that has an image need
// not have kept its layers (containerd's discard_unpacked_layers).
//
// Nodes do not wait for each other, and one that fails does not stop the others.
// The reports are in the order of the nodes; the error joins those of all.
// ErrNotFound, before anything is sent, if the bundle lacks one of the images.
func (b *Bundle) Import(ctx context.Context, nodes []Node, opts ImportOptions) ([]NodeReport, error) {
	wanted, err := b.choose(opts.Images)
	if err != nil {
		return nil, err
	}
	limit := opts.Concurrency
	if limit <= 0 {
		limit = 4
	}
	reports := make([]NodeReport, len(nodes))
	progress := serial(opts.Progress)
	var g errgroup.Group // without a context: a node's error is its own
	g.SetLimit(limit)
	for i, n := range nodes {
		g.Go(func() error {
			begin := time.Now()
			reports[i] = b.importInto(ctx, n, wanted, progress)
			reports[i].Took = time.Since(begin)
			return nil
		})
	}
	_ = g.Wait() // always nil
	errs := make([]error, len(nodes))
	for i, r := range reports {
		errs[i] = r.Err
	}
	return reports, errors.Join(errs...)
}

// serial keeps goroutines from calling f at once.
func serial(f ProgressFunc) ProgressFunc {
	if f == nil {
		return func(Progress) {}
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		f(p)
	}
}

func (b *Bundle) importInto(ctx context.Context, n Node, wanted []*entry, progress ProgressFunc) NodeReport {
	report := NodeReport{Node: n.Name()}
	fail := func(step string, err error) NodeReport {
		report.Err = &NodeError{report.Node, step, err}
		return report
	}
	if err := context.Cause(ctx); err != nil {
		return fail("list", err)
	}
	lacking, err := lacks(ctx, n, wanted)
	if err != nil {
		return fail("list", err)
	}
	for _, e := range wanted {
		if !slices.Contains(lacking, e) {
			report.Skipped = append(report.Skipped, e.reference)
		}
	}
	if len(lacking) == 0 {
		return report
	}
	archive := b.archive(ctx, lacking, func(done, total int64, ref string) {
		progress(Progress{Step: "send", Node: report.Node, Reference: ref, Done: done, Total: total})
	})
	err = n.Load(ctx, archive)
	report.Bytes = archive.done
	if err != nil || archive.failed != nil {
		// What was wrong with the archive says more than what the node made of it.
		return fail("load", errors.Join(archive.failed, err))
	}
	still, err := lacks(ctx, n, lacking)
	if err != nil {
		return fail("confirm", err)
	}
	for _, e := range lacking {
		if !slices.Contains(still, e) {
			report.Sent = append(report.Sent, e.reference)
		}
	}
	if len(still) > 0 {
		names := make([]string, len(still))
		for i, e := range still {
			names[i] = e.reference
		}
		return fail("confirm", fmt.Errorf("it took the archive and does not list %s with the digests that were sent", strings.Join(names, ", ")))
	}
	return report
}

// lacks gives those of the images that the node does not list with the right
// digest.
func lacks(ctx context.Context, n Node, wanted []*entry) ([]*entry, error) {
	listed, err := n.Images(ctx)
	if err != nil {
		return nil, err
	}
	there := map[string]string{}
	for ref, digest := range listed {
		// Nodes list more than references, ids for instance.
		if full, err := Normalize(ref); err == nil {
			there[full] = digest
		}
	}
	var lacking []*entry
	for _, e := range wanted {
		d := there[e.reference]
		if d != e.desc.Digest.String() && d != e.manifest.Config.Digest.String() {
			lacking = append(lacking, e)
		}
	}
	return lacking, nil
}

// WriteImages writes a tar archive with some images, or all if none is named, as
// `ctr images import`, `docker load` (from version 25) and other readers of OCI
// image layouts take it. It has the format of a bundle.
func (b *Bundle) WriteImages(ctx context.Context, w io.Writer, references ...string) error {
	chosen, err := b.choose(references)
	if err != nil {
		return err
	}
	a := b.archive(ctx, chosen, func(int64, int64, string) {})
	return copyContext(ctx, w, a, make([]byte, bufferSize), func(int) {})
}

// archive is a stream of a bundle with some of the images. It is made while it
// is read, without a goroutine, so that a reader may leave it at any point.
type archive struct {
	ctx    context.Context
	source io.ReaderAt
	plan   *plan // its blobs have the offsets that they have in source
	part   io.Reader
	next   int // number of the blob behind part
	ended  bool
	ref    string
	done   int64
	told   int64
	report func(done, total int64, ref string)
	failed error
}

func (b *Bundle) archive(ctx context.Context, entries []*entry, report func(done, total int64, ref string)) *archive {
	p := subPlan(b.plan, entries)
	return &archive{ctx: ctx, source: b.source, plan: p, part: bytes.NewReader(p.head()), report: report}
}

// subPlan is the plan of a bundle with some of the entries.
func subPlan(whole *plan, entries []*entry) *plan {
	index := encodeIndex(whole.about, entries)
	p := &plan{layout: encodeLayout(index), index: index}
	seen := map[v1.Hash]bool{}
	add := func(digest v1.Hash) {
		if !seen[digest] {
			seen[digest] = true
			p.blobs = append(p.blobs, whole.byDigest[digest])
		}
	}
	for _, e := range entries {
		add(e.desc.Digest)
	}
	for _, e := range entries {
		for _, d := range e.blobs() {
			add(d.Digest)
		}
	}
	p.total = int64(len(p.head())) + trailerSize
	for _, b := range p.blobs {
		p.total += blockSize + padded(b.size)
	}
	return p
}

// Read gives the next bytes; the first failure stays.
func (a *archive) Read(buf []byte) (int, error) {
	for {
		if a.failed != nil {
			return 0, a.failed
		}
		if err := context.Cause(a.ctx); err != nil {
			a.failed = err
			return 0, err
		}
		n, err := a.part.Read(buf)
		a.done += int64(n)
		if a.done-a.told >= bufferSize || (a.ended && a.done == a.plan.total) {
			a.told = a.done
			a.report(a.done, a.plan.total, a.ref)
		}
		switch {
		case err != nil && err != io.EOF:
			a.failed = err
			return n, err
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case a.ended:
			return 0, io.EOF
		}
		a.advance()
	}
}

func (a *archive) advance() {
	if a.next == len(a.plan.blobs) {
		a.part, a.ended = bytes.NewReader(make([]byte, trailerSize)), true
		return
	}
	b := a.plan.blobs[a.next]
	a.next++
	a.ref = b.owners[0]
	a.part = io.MultiReader(
		bytes.NewReader(header(b.name(), b.size)[:]),
		b.reader(a.source),
		bytes.NewReader(make([]byte, padded(b.size)-b.size)))
}
