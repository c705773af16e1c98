package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// profile runs one of the figures of a visit again, with a build that profiles, and
// adds to the document where CPU time went.
func (b *bench) profile(ctx context.Context, group string) (err error) {
	fmt.Fprintf(b.say, "%s again, with the profiler\n", group)
	binary, dir := filepath.Join(b.work, "profiled"), filepath.Join(b.work, "profiles-"+group)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/alertlab/alertlab/hack/bench/profiled").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, text)
	}
	own := *b
	own.binary, own.doc = binary, newDocument() // slower than the program is
	l, err := own.fullVisits(ctx, "profiled-"+group, "ALERTLAB_BENCH_PROFILES="+dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.purge(ctx)) }()
	runner, store, err := l.processes()
	if err != nil {
		return err
	}
	signal := func(s syscall.Signal) error {
		return errors.Join(syscall.Kill(runner, s), syscall.Kill(store, s))
	}
	if err := signal(syscall.SIGUSR1); err != nil {
		return err
	}
	if err := own.visitFigures()[group](ctx, l); err != nil {
		return err
	}
	if err := signal(syscall.SIGUSR2); err != nil {
		return err
	}
	paths := map[string]string{
		"brokers, registry, ingester, server": filepath.Join(dir, fmt.Sprintf("runner-%d.pprof", runner)),
		"object store":                        filepath.Join(dir, fmt.Sprintf("object-store-%d.pprof", store)),
	}
	for _, path := range paths {
		if err := awaitFile(ctx, path); err != nil {
			return err
		}
	}
	players, err := filepath.Glob(filepath.Join(dir, "simulator-*.pprof"))
	if err != nil {
		return err
	}
	for _, path := range players {
		paths["player"] = path
	}
	for _, process := range slices.Sorted(maps.Keys(paths)) {
		text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount", "12", paths[process]).Output()
		if err != nil {
			return fmt.Errorf("pprof %s: %w", paths[process], err)
		}
		// What comes before names files and times of this run.
		if _, figures, ok := strings.Cut(string(text), "\nDuration:"); ok && !strings.Contains(figures, "Total samples = 0") {
			b.doc.profile(group, process, "Duration:"+figures)
		}
	}
	return nil
}

// awaitFile waits until a file is there: the profiler renames it when it is whole.
func awaitFile(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if err := sleep(ctx, lagPoll); err != nil {
			return fmt.Errorf("%s was not written: %w", path, err)
		}
	}
}
