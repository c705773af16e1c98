package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/hack/rig/parts"
	"github.com/alertlab/alertlab/lab/fault"
)

// rig is what every verb shares.
type rig struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	words   []string // of the command line
	project string   // root of the checkout
	cache   string   // the rig's cache folder
	store   *parts.Store
	checked bool // this machine was looked at

	// The wrapper of runc is built before the other parts.
	fresh    int           // parts that this run has built
	building time.Duration // how long it took
	cold     bool          // they are all

	mu sync.Mutex // of lines to err
}

// open finds the checkout and the cache folder.
func (r *rig) open() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, parts.PinsFile)); err == nil {
			r.project = dir
			break
		}
		if dir == filepath.Dir(dir) {
			return fault.New(fault.BadInput, "this is no checkout of alertlab", "neither this folder nor one above it has "+parts.PinsFile,
				"cd to the checkout, then "+r.again())
		}
	}
	r.cache = r.getenv("ALERTLAB_RIG_CACHE")
	if r.cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return fault.Wrap(fault.BadInput, "there is no folder for the rig's cache", err, "set ALERTLAB_RIG_CACHE to a folder with 15 GB of free disk")
		}
		r.cache = filepath.Join(base, "alertlab", "rig")
	}
	if r.cache, err = filepath.Abs(r.cache); err != nil {
		return err
	}
	r.store = parts.Open(r.cache)
	return nil
}

// again is the command that goes on with what was interrupted: the same words.
func (r *rig) again() string {
	return strings.Join(append([]string{"go run ./hack/rig"}, r.words...), " ")
}

// say writes a line of progress.
func (r *rig) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.err, format+"\n", args...)
}

// locked runs f while no other rig writes to the cache.
func (r *rig) locked(ctx context.Context, what string, f func() error) (err error) {
	release, err := parts.Lock(ctx, r.cache, what, func(h parts.Holder) {
		r.say("waits for %s, which writes to %s", h, r.cache)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return f()
}

// engineOptions are how this rig uses an engine.
func (r *rig) engineOptions() engine.Options {
	return engine.Options{
		Cache: r.cache, Getenv: r.getenv,
		Say: func(line string) { r.say("engine: %s", line) },
		Program: func(ctx context.Context) (string, error) {
			// The wrapper is one of our own small programs.
			built, err := r.build(ctx, "own")
			if err != nil {
				return "", err
			}
			return built["own"].Path("bin/runc")
		},
	}
}

// withEngine runs f with an engine, which is started if need be, and names it to
// this process's environment, by which k3d and kind find it.
func (r *rig) withEngine(ctx context.Context, f func(*engine.Engine) error) error {
	e, err := engine.Ensure(ctx, r.engineOptions())
	if err != nil {
		return err
	}
	defer e.Close() //nolint:errcheck // a connection
	if err := os.Setenv("DOCKER_HOST", e.Host); err != nil {
		return err
	}
	return f(e)
}

// times are how long each step took the last time that it had everything to do, and
// that it had nothing to do.
type times struct {
	file string
	Cold map[string]float64 `json:"cold"` // seconds, by step
	Warm map[string]float64 `json:"warm"`
}

func (r *rig) times() *times {
	t := &times{file: filepath.Join(r.cache, "times.json"), Cold: map[string]float64{}, Warm: map[string]float64{}}
	data, err := os.ReadFile(t.file)
	if err == nil {
		// A file that cannot be read is one of no times.
		_ = json.Unmarshal(data, t)
	}
	return t
}

// put records a step that did everything, or nothing. What a step in between took says
// nothing of another one.
func (t *times) put(step string, everything, nothing bool, took time.Duration) error {
	switch {
	case everything:
		t.Cold[step] = took.Seconds()
	case nothing:
		t.Warm[step] = took.Seconds()
	default:
		return nil
	}
	return writeJSON(t.file, t)
}

// last tells how long a step took from nothing, the last time.
func (t *times) last(step string) string {
	if s, ok := t.Cold[step]; ok {
		return " (from nothing: " + round(time.Duration(s*float64(time.Second))) + ")"
	}
	return ""
}

// round prints a duration for people.
func round(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// megabytes prints a size for people.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// writeJSON replaces a file in one step.
func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(file, append(data, '\n'), 0o600)
}

// readJSON reads a file that writeJSON wrote; false when there is none.
func readJSON(file string, v any) (bool, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, v)
}

// print writes a result: JSON for scripts, else text.
func (r *rig) print(format string, v any, text func(io.Writer)) error {
	switch format {
	case "json":
		enc := json.NewEncoder(r.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "text":
		text(r.out)
		return nil
	}
	return fault.New(fault.BadInput, "--output "+format+" is not known", "there are text and json", "go run ./hack/rig parts --output json")
}
