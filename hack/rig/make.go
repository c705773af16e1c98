package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/hack/rig/charts"
	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/hack/rig/images"
	"github.com/alertlab/alertlab/hack/rig/parts"
	"github.com/alertlab/alertlab/lab/fault"
)

// all is what a cluster needs, made once.
func (r *rig) all() *cobra.Command {
	var extra []string
	c := &cobra.Command{
		Use:   "all",
		Short: "Make everything that a cluster needs: engine, parts, images, bundle",
		Long: `all looks for a Docker engine (and starts one where none answers), builds the parts
that the cache does not hold, packs them into images, and writes the bundle. Each
step says how long it took; what is there already is left as it is. Interrupted, it
goes on where it was.`,
		Example: "  rig all                   # what `make rig` does\n  rig all --images ./mine   # with image archives that you have at hand",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, begun := c.Context(), time.Now()
			if err := r.ready(ctx); err != nil {
				return err
			}
			var made images.Result
			worked := false
			err := r.withEngine(ctx, func(e *engine.Engine) error {
				r.say("engine: %s", e)
				file, result, err := r.makeBundle(ctx, extra)
				if err != nil {
					return err
				}
				made, worked = result, file.Written+file.Copied > 0
				return r.loadNode(ctx, e, made)
			})
			if err != nil {
				return err
			}
			took := time.Since(begun)
			if err := r.times().put("all", r.cold, !worked, took); err != nil {
				return err
			}
			r.say("all of it in %s; next: go run ./hack/rig cluster", round(took))
			return nil
		},
	}
	c.Flags().StringArrayVar(&extra, "images", nil, "folder or archive with images to add to the bundle; may be given again")
	return c
}

func (r *rig) partsVerb() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "parts [NAME...]",
		Short:   "Build the parts that the cache does not hold",
		Example: "  rig parts\n  rig parts kubernetes etcd\n  rig parts --output json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error {
			if output != "text" && output != "json" {
				return r.print(output, nil, nil)
			}
			built, err := r.build(c.Context(), names...)
			if err != nil {
				return err
			}
			type row struct {
				Name, Version, Licence, Key, Dir string
				Bytes                            int64
				Seconds                          float64
			}
			var rows []row
			for _, name := range slices.Sorted(maps.Keys(built)) {
				p := built[name]
				rows = append(rows, row{name, p.Version, p.Licence, p.Key, p.Dir, p.Bytes(), p.Took.Seconds()})
			}
			return r.print(output, rows, func(w io.Writer) {
				for _, p := range rows {
					fmt.Fprintf(w, "%-24s %-22s %9s  built in %s  %s\n", p.Name, p.Version, megabytes(p.Bytes), round(time.Duration(p.Seconds*float64(time.Second))), p.Licence)
				}
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return c
}

func (r *rig) imagesVerb() *cobra.Command {
	var output string
	var extra []string
	c := &cobra.Command{
		Use:     "images",
		Short:   "Pack the parts into images, in an OCI image layout",
		Example: "  rig images\n  rig images --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return r.print(output, nil, nil)
			}
			_, made, err := r.makeImages(c.Context(), extra)
			if err != nil {
				return err
			}
			return r.print(output, made, func(w io.Writer) {
				for _, i := range made.Images {
					fmt.Fprintf(w, "%-64s %10s  %s\n", i.Reference, megabytes(i.Size), i.Digest)
				}
				fmt.Fprintf(w, "%-64s %10s  %s\n", made.Node.Reference, megabytes(made.Node.Size), made.Node.File)
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	c.Flags().StringArrayVar(&extra, "images", nil, "folder or archive with images to add; may be given again")
	return c
}

func (r *rig) bundleVerb() *cobra.Command {
	var extra []string
	c := &cobra.Command{
		Use:     "bundle",
		Short:   "Write the bundle: one file with every image and chart",
		Example: "  rig bundle\n  rig bundle --images ./strimzi-operator.tar",
		RunE: func(c *cobra.Command, _ []string) error {
			saved, _, err := r.makeBundle(c.Context(), extra)
			if err != nil {
				return err
			}
			fmt.Fprintln(r.out, saved.Path)
			return nil
		},
	}
	c.Flags().StringArrayVar(&extra, "images", nil, "folder or archive with images to add, for instance of an operator; may be given again")
	return c
}

func (r *rig) pin() *cobra.Command {
	return &cobra.Command{
		Use:     "pin",
		Short:   "Write the go.mod files of hack/rig/modules from the pins",
		Long:    "pin writes go.mod and go.sum of every Go module below hack/rig/modules from\nhack/rig/parts.yaml. Run it after a pin was moved, and commit what it wrote.",
		Example: "  rig pin",
		RunE: func(c *cobra.Command, _ []string) error {
			pins, err := parts.Load(c.Context(), r.project)
			if err != nil {
				return err
			}
			return r.locked(c.Context(), "writes the modules", func() error { return parts.WriteModules(c.Context(), pins, r.store) })
		},
	}
}

// missing are the parts that have to be built, so that registries and space are needed.
func (r *rig) missing(ctx context.Context) (*parts.Pins, []string, error) {
	pins, err := parts.Load(ctx, r.project)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, name := range pins.Names() {
		key, err := pins.Key(name)
		if err != nil {
			return nil, nil, err
		}
		if _, ok := r.store.Built(name, key); !ok {
			names = append(names, name)
		}
	}
	return pins, names, nil
}

// build gives parts, building those that are not there; all when none is named.
func (r *rig) build(ctx context.Context, names ...string) (map[string]parts.Part, error) {
	pins, missing, err := r.missing(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && len(missing) > 0 && !r.checked {
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
	}
	begun, t := time.Now(), r.times()
	built, err := parts.Build(ctx, parts.Options{Pins: pins, Store: r.store, Only: names, Report: func(p parts.Progress) {
		switch p.State {
		case parts.Present:
		case parts.Started:
			last := ""
			if p.Took > 0 {
				last = ", last time " + round(p.Took)
			}
			r.say("parts: %s begins%s", p.Part, last)
		case parts.Done:
			r.fresh++
			r.say("parts: %s done in %s, %s", p.Part, round(p.Took), megabytes(p.Bytes))
		case parts.Failed:
			r.say("parts: %s stopped after %s", p.Part, round(p.Took))
		case parts.Note:
			r.say("parts: %s", p.Text)
		}
	}})
	if err != nil {
		return nil, err
	}
	r.building += time.Since(begun)
	if took := r.building; len(names) == 0 {
		r.say("parts: %d there, %d of them built now, in %s%s", len(built), r.fresh, round(took), t.last("parts"))
		r.cold = r.fresh == len(built)
		if err := t.put("parts", r.fresh == len(built), r.fresh == 0, took); err != nil {
			return nil, err
		}
	}
	return built, nil
}

// makeImages gives the images of all recipes.
func (r *rig) makeImages(ctx context.Context, extra []string) (map[string]parts.Part, images.Result, error) {
	for i, path := range extra { // a later run may have another working directory
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, images.Result{}, err
		}
		extra[i] = abs
	}
	recipes, err := images.Load(filepath.Join(r.project, "hack", "rig", "images.yaml"))
	if err != nil {
		return nil, images.Result{}, err
	}
	built, err := r.build(ctx)
	if err != nil {
		return nil, images.Result{}, err
	}
	from := map[string]images.Part{}
	for name, p := range built {
		from[name] = images.Part{Dir: p.Dir, Key: p.Key, Version: p.Version, Licence: p.Licence, Check: func() error { return r.check(p, "") }}
	}
	begun, t, fresh := time.Now(), r.times(), 0
	var result images.Result
	err = r.locked(ctx, "packs images", func() error {
		result, err = images.Build(ctx, images.Options{Recipes: recipes, Parts: from, Cache: r.cache, Extra: extra, Report: func(i images.Image) {
			if i.Built {
				fresh++
				r.say("images: %s done in %s, %s", i.Reference, round(i.Took), megabytes(i.Size))
			}
		}})
		return err
	})
	if err != nil {
		return nil, images.Result{}, r.damaged(err)
	}
	took := time.Since(begun)
	r.say("images: %d there, %d of them packed now, in %s%s", len(result.Images)+1, fresh, round(took), t.last("images"))
	return built, result, t.put("images", fresh == len(result.Images)+1, fresh == 0, took)
}

// check reads the files of a part that begin with prefix, and says how to get it again when it is damaged.
func (r *rig) check(p parts.Part, prefix string) error {
	err := p.Verify(prefix)
	if err == nil {
		return nil
	}
	var f *fault.Fault
	why := err.Error()
	if errors.As(err, &f) {
		why = f.Why
	}
	return &fault.Fault{What: "part " + p.Name + " in the cache is damaged", Why: why, Next: "rm -r " + p.Dir + " && " + r.again(), Code: fault.StepFailed, Err: err}
}

// damaged gives an error of packing, loading or saving images its remedy when a file
// of the cache is not what it was. What is packed is packed again once its folder is
// gone; the same parts give the same images.
func (r *rig) damaged(err error) error {
	folder := "images"
	var file *images.CorruptError
	var known *fault.Fault
	switch {
	case errors.As(err, &file):
		if rel, err := filepath.Rel(filepath.Join(r.cache, "node"), file.File); err == nil && filepath.IsLocal(rel) {
			folder = "node"
		}
	case errors.As(err, &known):
		return err // for instance of an archive that the user gave
	case !errors.Is(err, bundle.ErrSource) || !errors.Is(err, bundle.ErrDamaged):
		return err
	}
	folder = filepath.Join(r.cache, folder)
	return &fault.Fault{What: "an image in " + folder + " is damaged", Why: err.Error(), Next: "rm -r " + folder + " && " + r.again(), Code: fault.StepFailed, Err: err}
}

// extraFile keeps which images somebody added to the bundle.
func (r *rig) extraFile() string { return filepath.Join(r.cache, "extra.json") }

// remake is makeBundle with the extra images that the last bundle was made with.
func (r *rig) remake(ctx context.Context) (bundle.Saved, images.Result, error) {
	var extra []string
	if _, err := readJSON(r.extraFile(), &extra); err != nil {
		return bundle.Saved{}, images.Result{}, err
	}
	return r.makeBundle(ctx, extra)
}

// makeBundle writes the bundle of all images and the minimal charts. Extra images stay
// in it until a bundle is asked for without them.
func (r *rig) makeBundle(ctx context.Context, extra []string) (bundle.Saved, images.Result, error) {
	built, made, err := r.makeImages(ctx, extra)
	if err != nil {
		return bundle.Saved{}, made, err
	}
	if err := writeJSON(r.extraFile(), extra); err != nil {
		return bundle.Saved{}, made, err
	}
	begun, t := time.Now(), r.times()
	var saved bundle.Saved
	err = r.locked(ctx, "writes the bundle", func() error {
		crds := map[string]string{} // folder of definitions, by part
		for name, p := range built {
			if err := r.check(p, "files/crds/"); err != nil {
				return err
			}
			crds[name] = filepath.Join(p.Dir, "files", "crds")
		}
		files, err := charts.Package(filepath.Join(r.cache, "charts"), crds)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(r.bundleFile()), 0o755); err != nil {
			return err
		}
		meter := r.meter("bundle")
		saved, err = bundle.Save(ctx, r.bundleFile(), bundle.Contents{
			About:   bundle.About{Stack: "alerts-light", Profile: "rig", CreatedBy: "hack/rig"},
			Sources: []bundle.Source{bundle.Layout{Dir: made.Layout}, bundle.Charts(files)},
		}, func(p bundle.Progress) { meter(p.Step, p.Done, p.Total) })
		return fault.Wrap(fault.StepFailed, "the bundle could not be written", r.damaged(err), r.again())
	})
	if err != nil {
		return saved, made, err
	}
	took := time.Since(begun)
	if saved.Damage != nil {
		r.say("bundle: written again where it was damaged: %v", saved.Damage)
	}
	r.say("bundle: %s, %d images and %d charts, %s, in %s%s", saved.Path, saved.Images, saved.Charts, megabytes(saved.Bytes), round(took), t.last("bundle"))
	return saved, made, t.put("bundle", saved.Copied+saved.Kept == 0, saved.Written+saved.Copied == 0, took)
}

func (r *rig) bundleFile() string { return filepath.Join(r.cache, "bundle", "rig.tar") }

// meter tells how far a long step is, every ten seconds at most.
func (r *rig) meter(name string) func(step string, done, total int64) {
	var mu sync.Mutex
	next := time.Now().Add(10 * time.Second)
	return func(step string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.After(next) && total > 0 {
			next = now.Add(10 * time.Second)
			r.say("%s: %s, %d %% of %s", name, step, done*100/total, megabytes(total))
		}
	}
}
