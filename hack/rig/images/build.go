package images

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/lab/fault"
)

// codeVersion stands for everything in this package that decides what an image
// holds. Whoever changes that counts it up, and all images are built again.
const codeVersion = "1"

// Part is what this package needs of a built part.
type Part struct {
	Dir     string // holds root.tar, bin/, lib/, files/
	Key     string // changes whenever anything in Dir does
	Version string
	Licence string // an SPDX expression
	// Check reads the part and says what is not as it was built. It is called
	// once, before the first image is packed from the part, and not at all when
	// none is; it may be nil. Its error ends the build as it is.
	Check func() error
}

// Options say what to build from what.
type Options struct {
	Recipes *Recipes
	Parts   map[string]Part
	Cache   string // the rig's cache folder; images/ and node/ in it are ours
	// Extra are paths of images that someone has at hand: each a folder with
	// image archives (*.tar, as docker save writes them or of an OCI image
	// layout) and layouts, or one of these.
	Extra []string
	// Report is called, one call at a time, with every image that is done. It
	// may be nil.
	Report func(Image)
}

// Image is one image that is there.
type Image struct {
	Name      string // of its recipe, or the file of an extra image
	Reference string
	Digest    v1.Hash       // of the manifest; of the configuration for the node image
	Size      int64         // compressed, with its manifest, bytes
	Built     bool          // now, rather than before
	Took      time.Duration // zero unless Built
	Engine    bool          // runs beside the nodes, in the Docker engine
	Extra     bool          // no recipe's
}

// Result is what Build leaves.
type Result struct {
	Layout string  // folder of the OCI image layout
	Images []Image // of the layout, sorted by reference
	Node   NodeArchive
}

// Reference gives the reference of the image of a recipe; "" when there is none.
func (r Result) Reference(name string) string {
	for _, i := range r.Images {
		if i.Name == name && !i.Extra {
			return i.Reference
		}
	}
	return ""
}

// NodeArchive is the node image for a Docker engine; see Load.
type NodeArchive struct {
	File      string // in the format of `docker save`; "" when no recipe asks for one
	Reference string
	ID        v1.Hash // Docker's image ID
	Size      int64   // of the file, bytes
	Built     bool
	Took      time.Duration
}

// builder is one run of Build.
type builder struct {
	Options
	parts  map[string]Part
	checks map[string]func() error // of parts, by name; each reads its part once
	store  *store

	mu     sync.Mutex
	keys   map[string]string    // of images, by name
	layers map[string]*work     // by key
	known  map[string]*layer    // by key, from earlier runs
	done   map[string]*stored   // by name
	roots  map[string]*rootTree // by key of their layer
	report sync.Mutex
}

// work is a layer in the making.
type work struct {
	once  sync.Once
	layer *layer
	err   error
}

// rootTree is what a Debian root has at each path, read once.
type rootTree struct {
	once sync.Once
	tree tree
	err  error
}

// Build makes the images that are not there yet, removes what no recipe asks for
// any more, and gives all of them. A run that is stopped leaves complete images
// only; the next one goes on from there.
//
// The caller holds the lock of the cache. Errors are faults, but for a
// *CorruptError, for which only the caller knows what to type.
func Build(ctx context.Context, o Options) (Result, error) {
	b := &builder{Options: o, parts: o.Parts, checks: map[string]func() error{}, keys: map[string]string{},
		layers: map[string]*work{}, done: map[string]*stored{}, roots: map[string]*rootTree{}}
	for name, p := range o.Parts {
		if p.Check != nil {
			b.checks[name] = sync.OnceValue(p.Check)
		}
	}
	result, err := b.build(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = &fault.Fault{What: "building the images was stopped", Next: "go run ./hack/rig images",
				Code: fault.Interrupted, Err: ctx.Err()}
		}
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			return Result{}, err
		}
		return Result{}, fault.Wrap(fault.StepFailed, "the images cannot be built", err, "go run ./hack/rig doctor")
	}
	return result, nil
}

func (b *builder) build(ctx context.Context) (Result, error) {
	for _, name := range b.Recipes.Parts() {
		if _, ok := b.parts[name]; !ok {
			return Result{}, fault.New(fault.BadInput, "the image recipes need the part "+name, "it is not among the parts that were built",
				"go run ./hack/rig parts")
		}
	}
	var err error
	if b.store, err = openStore(filepath.Join(b.Cache, "images")); err != nil {
		return Result{}, err
	}
	b.known = b.store.layersByKey()
	result := Result{Layout: b.store.root}
	references := map[string]bool{}

	group, groupContext := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	images := make([]Image, len(b.Recipes.Images))
	var node *Recipe
	for i := range b.Recipes.Images {
		r := &b.Recipes.Images[i]
		if r.Node {
			node = r
			continue
		}
		b.keys[r.Name] = b.imageKey(r)
		reference := b.expand(r.Reference)
		if references[reference] {
			return Result{}, fault.New(fault.BadInput, "two images have the name "+reference, "their recipes differ, the versions in them do not",
				"change one reference in hack/rig/images.yaml")
		}
		references[reference] = true
	}
	for i := range b.Recipes.Images {
		if r := &b.Recipes.Images[i]; !r.Node {
			group.Go(func() error {
				img, err := b.image(groupContext, r)
				images[i] = img
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	for i, img := range images {
		if !b.Recipes.Images[i].Node {
			result.Images = append(result.Images, img)
		}
	}
	extra, err := b.extras(ctx, references)
	if err != nil {
		return Result{}, err
	}
	result.Images = append(result.Images, extra...)
	slices.SortFunc(result.Images, func(a, b Image) int { return strings.Compare(a.Reference, b.Reference) })
	if node != nil {
		if result.Node, err = b.node(ctx, node); err != nil {
			return Result{}, err
		}
	}
	return result, b.store.keep(references)
}

// tell reports one image.
func (b *builder) tell(img Image) {
	b.report.Lock()
	defer b.report.Unlock()
	if b.Report != nil {
		b.Report(img)
	}
}

// expand puts the versions of parts into a text.
func (b *builder) expand(text string) string {
	return version.ReplaceAllStringFunc(text, func(s string) string {
		m := version.FindStringSubmatch(s)
		v := b.parts[m[1]].Version
		if m[2] != "" {
			v = strings.TrimPrefix(v, "v")
		}
		return v
	})
}

// hashOf gives the SHA-256 of a value's JSON, which is the same for equal values:
// encoding/json sorts maps.
func hashOf(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // only types of this package come here
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// ingredients is what decides what an image or layer holds.
type ingredients struct {
	Code     string
	Platform string
	Below    string // key of the layer below
	Recipe   any
	Parts    map[string]string // key and version
	Licence  string
	Own      map[string]string // digests of our own files
	Images   map[string]string // what goes in as an archive
}

func (b *builder) ingredients(names []string, layers []Layer) ingredients {
	in := ingredients{Code: codeVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Parts: map[string]string{}, Own: map[string]string{}, Images: map[string]string{}}
	for _, n := range names {
		in.Parts[n] = b.parts[n].Key + " " + b.parts[n].Version
	}
	for _, l := range layers {
		for _, f := range l.Files {
			if f.Own != "" {
				data, _ := ownFile(f.Own) // found by validate
				in.Own[f.Own] = sha(data).Hex
			}
		}
	}
	return in
}

func (b *builder) imageKey(r *Recipe) string {
	in := b.ingredients(r.parts(), r.Layers)
	in.Recipe, in.Licence = r, b.parts[r.Part].Licence
	for _, n := range r.held() {
		in.Images[n] = b.keys[n]
	}
	return hashOf(in)
}

func (b *builder) layerKey(below string, l Layer) string {
	alone := Recipe{Part: l.Root, Layers: []Layer{l}}
	names := alone.parts()
	if l.Root == "" {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	}
	in := b.ingredients(names, alone.Layers)
	in.Below, in.Recipe = below, l
	for _, f := range l.Files {
		for _, n := range append(slices.Clone(f.Archive), f.References...) {
			in.Images[n] = b.done[n].descriptor.Annotations[RefName] + "@" + b.done[n].descriptor.Digest.Hex
		}
	}
	return hashOf(in)
}

// tagged gives images that are done, by their recipes' names.
func (b *builder) tagged(names []string) ([]tagged, error) {
	var list []tagged
	for _, n := range names {
		b.mu.Lock()
		img := b.done[n]
		b.mu.Unlock()
		if img == nil {
			return nil, fmt.Errorf("the image %s is not there yet", n)
		}
		list = append(list, tagged{img.descriptor.Annotations[RefName], img})
	}
	return list, nil
}

// image gives one image of the layout, built if it is not there.
func (b *builder) image(ctx context.Context, r *Recipe) (Image, error) {
	begin, key, reference := time.Now(), b.keys[r.Name], b.expand(r.Reference)
	d, img, found := b.store.find(reference)
	built := !found || d.Annotations[KeyLabel] != key
	if built {
		made, err := b.assemble(ctx, r, b.store.blobs())
		if err != nil {
			return Image{}, fmt.Errorf("image %s: %w", r.Name, err)
		}
		if img, err = b.store.put(made, map[string]string{RefName: reference, KeyLabel: key}); err != nil {
			return Image{}, fmt.Errorf("image %s: %w", r.Name, err)
		}
	}
	b.mu.Lock()
	b.done[r.Name] = img
	b.mu.Unlock()
	out := Image{Name: r.Name, Reference: reference, Digest: img.descriptor.Digest, Size: img.total(), Built: built, Engine: r.Engine}
	if built {
		out.Took = time.Since(begin)
	}
	b.tell(out)
	return out, nil
}

// assemble makes the layers of an image, whose blobs go to dir, and puts it
// together.
func (b *builder) assemble(ctx context.Context, r *Recipe, dir string) (v1.Image, error) {
	// Images are packed at once, so that one part is read for its check while
	// others are packed.
	for _, name := range r.packed() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if check := b.checks[name]; check != nil {
			if err := check(); err != nil {
				return nil, err
			}
		}
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	config := v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: runtime.GOOS, Created: v1.Time{Time: time.Unix(epoch, 0).UTC()},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: r.Entrypoint, Cmd: r.Cmd, User: r.User, WorkingDir: r.Workdir, Labels: b.labels(r)},
	}
	for k, v := range r.Env {
		config.Config.Env = append(config.Config.Env, k+"="+v)
	}
	slices.Sort(config.Config.Env)
	for _, v := range r.Volumes {
		if config.Config.Volumes == nil {
			config.Config.Volumes = map[string]struct{}{}
		}
		config.Config.Volumes[v] = struct{}{}
	}
	img, err := mutate.ConfigFile(img, &config)
	if err != nil {
		return nil, err
	}
	below, key := tree(nil), ""
	for _, l := range r.Layers {
		key = b.layerKey(key, l)
		made, err := b.layer(ctx, dir, key, l, &below)
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{Layer: made, MediaType: types.OCILayer,
			History: v1.History{Created: config.Created, CreatedBy: describe(l), Comment: made.note()}})
		if err != nil {
			return nil, err
		}
	}
	return img, nil
}

// describe says in an image's history what a layer is.
func describe(l Layer) string {
	if len(l.Only) > 0 {
		return "of the root of " + l.Root + ": " + strings.Join(l.Only, " ")
	}
	if l.Root != "" {
		return "root of " + l.Root
	}
	names := make([]string, len(l.Files))
	for i, f := range l.Files {
		names[i] = f.Path
	}
	return strings.Join(names, " ")
}

// labels are those of the OCI image specification, and where an image comes from;
// by the part, package cluster knows a container of the rig's.
func (b *builder) labels(r *Recipe) map[string]string {
	var pins []string
	for _, n := range r.parts() {
		pins = append(pins, n+"="+b.parts[n].Key)
	}
	labels := map[string]string{
		"org.opencontainers.image.version":  b.parts[r.Part].Version,
		"org.opencontainers.image.licenses": b.parts[r.Part].Licence,
		"dev.alertlab.rig.part":             r.Part,
		"dev.alertlab.rig.pins":             strings.Join(pins, " "),
	}
	if r.Source != "" {
		labels["org.opencontainers.image.source"] = r.Source
	}
	return labels
}

// layer gives a layer, written if no image has it, and adds to below what it
// leaves at its paths.
func (b *builder) layer(ctx context.Context, dir, key string, l Layer, below *tree) (*layer, error) {
	b.mu.Lock()
	w := b.layers[key]
	if w == nil {
		w = new(work)
		b.layers[key] = w
	}
	known := b.known[key]
	b.mu.Unlock()
	if l.Root != "" {
		under, err := b.root(key, l)
		if err != nil {
			return nil, err
		}
		*below = under
		w.once.Do(func() {
			if w.layer = known; known == nil {
				w.layer, w.err = writeLayer(dir, key, func(out io.Writer) error { return b.writeRoot(ctx, out, l) })
			}
		})
		return w.layer, w.err
	}
	entries, err := b.planFiles(*below, l)
	if err != nil {
		return nil, err
	}
	// The tree of a root is shared between images.
	above := make(tree, len(*below)+len(entries))
	for _, h := range *below {
		above.add(h)
	}
	for _, e := range entries {
		above.add(e.header)
	}
	*below = above
	w.once.Do(func() {
		if w.layer = known; known == nil {
			w.layer, w.err = writeLayer(dir, key, func(out io.Writer) error { return writeEntries(ctx, out, entries) })
		}
	})
	return w.layer, w.err
}

// openRoot opens the root.tar of a part.
func (b *builder) openRoot(part string) (*os.File, error) {
	const name = "root.tar"
	f, err := os.Open(filepath.Join(b.parts[part].Dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, missing(&File{Part: part, From: name}, b.parts[part].Dir)
	}
	return f, err
}

// root gives what a layer leaves of a Debian root at each path.
func (b *builder) root(key string, l Layer) (tree, error) {
	b.mu.Lock()
	r := b.roots[key]
	if r == nil {
		r = new(rootTree)
		b.roots[key] = r
	}
	b.mu.Unlock()
	r.once.Do(func() {
		r.tree = tree{}
		r.err = b.eachOf(l, func(h tar.Header, _ io.Reader) error {
			r.tree.add(h)
			return nil
		})
	})
	return r.tree, r.err
}

// eachOf calls each with what a layer takes of a Debian root.
func (b *builder) eachOf(l Layer, each func(tar.Header, io.Reader) error) error {
	f, err := b.openRoot(l.Root)
	if err != nil {
		return err
	}
	defer f.Close()
	if len(l.Only) > 0 {
		keep, err := pickFrom(f, l.Only)
		if err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		all := each
		each = func(h tar.Header, r io.Reader) error {
			if !keep[h.Name] {
				return nil
			}
			return all(h, r)
		}
	}
	if err := readRoot(f, each); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

func (b *builder) writeRoot(ctx context.Context, w io.Writer, l Layer) error {
	out := tar.NewWriter(w)
	err := b.eachOf(l, func(h tar.Header, content io.Reader) error {
		return writeEntry(ctx, out, entry{h, func() (io.ReadCloser, error) { return io.NopCloser(content), nil }})
	})
	if err != nil {
		return err
	}
	return out.Close()
}
