package parts

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/alertlab/alertlab/lab/fault"
)

// State is what happens to a part.
type State int

// The states that are reported, in no fixed order but Started before Done.
const (
	Present State = iota // the store holds it
	Started              // its build begins
	Done                 // it was built
	Failed               // its build failed, or was interrupted
	Note                 // something that is done to the machine, or waited for
)

// String gives the state as a word.
func (s State) String() string {
	return [...]string{"present", "started", "done", "failed", "note"}[s]
}

// Progress is one event of a build.
type Progress struct {
	Part  string // empty for a Note
	State State
	Took  time.Duration // building it: now for Done and Failed, else the last time; zero when unknown
	Bytes int64         // size of the part, for Present and Done
	Text  string        // of a Note
}

// Options says what to build.
type Options struct {
	Pins   *Pins
	Store  *Store
	Only   []string       // names of parts; all when empty. What they need is built too.
	Memory int64          // bytes that builds may use together; what is available when 0
	Report func(Progress) // one call at a time; may be nil
	Locked bool           // the caller holds the Lock of the store's folder
}

// actionMemory is what one action of the go command may need, in bytes: linking
// Traefik takes the most, 2.5 GB were seen, and the kubelet 1.5 GB.
const actionMemory = 3 << 30

// mostLanes is how many Go lines are built side by side. One alone leaves
// cores idle while it links; more only take turns.
const mostLanes = 2

// Build gives the parts, building those that the store does not hold. Go lines
// are built side by side as far as memory allows, parts of one line one after
// another, since each leaves the next less to compile; Debian and Maven parts,
// which wait for a registry most of the time, beside them.
//
// When ctx ends or a part fails, everything that runs is stopped, and what is
// complete stays in the store. The error is that of ctx, of the file system,
// or a *fault.Fault.
func Build(ctx context.Context, o Options) (map[string]Part, error) {
	b := &builder{pins: o.Pins, store: o.Store, onProgress: o.Report, parts: map[string]Part{}, keys: map[string]string{}}
	names, err := o.Pins.selection(o.Only)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if b.keys[name], err = o.Pins.Key(name); err != nil {
			return nil, err
		}
	}
	missing := b.lookup(names)
	if len(missing) == 0 {
		return b.parts, nil
	}
	if !o.Locked {
		release, err := Lock(ctx, o.Store.dir, "builds the rig's parts", func(h Holder) {
			b.report(Progress{State: Note, Text: "waits for " + h.String() + ", which writes to " + o.Store.dir})
		})
		if err != nil {
			return nil, err
		}
		// When this fails, the end of the process releases it.
		defer func() { _ = release() }()
	}
	if err := o.Store.sweep(); err != nil {
		return nil, err
	}
	// Whoever held the lock may have built some.
	if missing = b.lookup(missing); len(missing) == 0 {
		return b.parts, nil
	}
	if err := b.prepare(missing, o.Memory); err != nil {
		return nil, err
	}
	return b.parts, b.buildAll(ctx, missing)
}

// selection gives the parts of these names and those that they need, in the
// order of the file.
func (p *Pins) selection(only []string) ([]string, error) {
	if len(only) == 0 {
		return p.Names(), nil
	}
	chosen := map[string]bool{}
	for _, name := range only {
		pin, ok := p.Part(name)
		if !ok {
			return nil, p.unknown(name)
		}
		chosen[name] = true
		if root := pin.Maven.Run.Root; root != "" {
			chosen[root] = true
		}
	}
	return slices.DeleteFunc(p.Names(), func(name string) bool { return !chosen[name] }), nil
}

type builder struct {
	pins  *Pins
	store *Store
	keys  map[string]string
	jobs  int // actions of one go command at once
	lanes int64
	// frugal gives each line caches of its own, which are dropped when it is
	// built: slower by what lines have in common, and all that a small disk holds.
	frugal bool

	installing sync.Mutex // one run of apt-get at a time

	mu         sync.Mutex
	parts      map[string]Part
	onProgress func(Progress)
}

func (b *builder) report(p Progress) {
	if b.onProgress == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onProgress(p)
}

func (b *builder) result(name string) (Part, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	part, ok := b.parts[name]
	return part, ok
}

func (b *builder) command(name string, from registry) command {
	return command{log: b.store.logFile(name), registry: from}
}

// lookup takes the parts that the store holds, and gives the others.
func (b *builder) lookup(names []string) (missing []string) {
	for _, name := range names {
		part, ok := b.store.Built(name, b.keys[name])
		if !ok {
			missing = append(missing, name)
			continue
		}
		b.parts[name] = part
		b.report(Progress{Part: name, State: Present, Took: part.Took, Bytes: part.Bytes()})
	}
	return missing
}

// prepare checks the machine before anything is downloaded, and shares out
// its memory.
func (b *builder) prepare(missing []string, limit int64) error {
	space, err := Room(b.store.dir)
	if err != nil {
		return err
	}
	need := b.pins.Need(missing)
	if err := space.CheckDisk(need.Least); err != nil {
		return err
	}
	if b.frugal = space.Disk < need.Most; !b.frugal {
		// What an earlier, frugal build did not come to drop.
		if err := os.RemoveAll(filepath.Dir(b.store.buildDir("line"))); err != nil {
			return err
		}
	} else {
		b.report(Progress{State: Note, Text: fmt.Sprintf("%.1f GB of disk are free, %.1f would hold all build caches: those of a line are dropped when it is built", float64(space.Disk)/1e9, float64(need.Most)/1e9)})
	}
	if err := space.CheckMemory(); err != nil {
		return err
	}
	if limit <= 0 {
		limit = space.Available
	}
	actions := max(1, limit/actionMemory)
	b.lanes = min(mostLanes, actions, int64(runtime.NumCPU()))
	b.jobs = int(min(max(1, actions/b.lanes), int64(runtime.NumCPU())))
	return nil
}

// buildAll builds parts, each after those that it needs.
func (b *builder) buildAll(ctx context.Context, missing []string) error {
	group, ctx := errgroup.WithContext(ctx)
	done := map[string]chan struct{}{}
	var order []string // lanes, by the part that stands first in the file
	lanes := map[string][]Pin{}
	for _, name := range missing {
		pin, _ := b.pins.Part(name) // the name comes from there
		lane := "go " + pin.Go.Line
		switch {
		case len(pin.Maven.Artifacts) > 0:
			lane = "maven"
		case pin.Debian.Suite != "":
			lane = "debian"
		}
		if lanes[lane] == nil {
			order = append(order, lane)
		}
		lanes[lane] = append(lanes[lane], pin)
		done[name] = make(chan struct{})
	}
	turns := semaphore.NewWeighted(b.lanes)
	var stopped error
	for _, lane := range order {
		pins := lanes[lane]
		compiles := pins[0].Go.Line != ""
		if compiles {
			// In order: the lane that stands first in the file begins first.
			if stopped = turns.Acquire(ctx, 1); stopped != nil {
				break
			}
		}
		group.Go(func() error {
			if compiles {
				defer turns.Release(1)
			}
			for _, pin := range pins {
				if need := done[pin.Maven.Run.Root]; need != nil {
					select {
					case <-need:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				if err := b.buildPart(ctx, pin); err != nil {
					return err
				}
				close(done[pin.Name])
			}
			if compiles {
				return b.drop(pins[0].Go.Line)
			}
			return nil
		})
	}
	return cmp.Or(group.Wait(), stopped)
}

// goEnv is the environment in which a part is compiled.
func (b *builder) goEnv(pin Pin) []string {
	line := ""
	if b.frugal {
		line = pin.Go.Line
	}
	return goEnv(b.store.buildDir(line), "-mod=readonly")
}

// drop removes the caches of a line that has been built, where there is no room
// to keep them.
func (b *builder) drop(line string) error {
	if !b.frugal {
		return nil
	}
	size, err := dirSize(b.store.buildDir(line))
	if err != nil {
		return err
	}
	b.report(Progress{State: Note, Text: fmt.Sprintf("drops the build caches of line %s, %.1f GB", line, float64(size)/1e9)})
	return os.RemoveAll(b.store.buildDir(line))
}

func (b *builder) buildPart(ctx context.Context, pin Pin) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.report(Progress{Part: pin.Name, State: Started, Took: b.store.lastTook(pin.Name)})
	start := time.Now()
	defer func() {
		if err != nil {
			b.report(Progress{Part: pin.Name, State: Failed, Took: time.Since(start)})
		}
	}()
	if err := os.RemoveAll(b.store.logFile(pin.Name)); err != nil {
		return err
	}
	dir, err := b.store.begin(pin.Name, b.keys[pin.Name])
	if err != nil {
		return err
	}
	// Renamed when all went well, so that nothing is left to remove.
	defer os.RemoveAll(dir)
	switch {
	case len(pin.Maven.Artifacts) > 0:
		err = b.buildMaven(ctx, pin, dir)
	case pin.Debian.Suite != "":
		err = b.buildDebian(ctx, pin, dir)
	default:
		err = b.buildGo(ctx, pin, dir)
		if err == nil && len(pin.CRDs) > 0 {
			err = b.buildCRDs(ctx, pin, dir)
		}
	}
	var part Part
	if err == nil {
		part, err = b.store.commit(dir, pin, b.keys[pin.Name], time.Since(start))
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("part %s: %w", pin.Name, fault.Wrap(fault.StepFailed, "building part "+pin.Name+" failed", err, "read "+b.store.logFile(pin.Name)))
	}
	b.mu.Lock()
	b.parts[pin.Name] = part
	b.mu.Unlock()
	b.report(Progress{Part: pin.Name, State: Done, Took: part.Took, Bytes: part.Bytes()})
	return nil
}
