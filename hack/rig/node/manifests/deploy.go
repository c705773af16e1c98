package manifests

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// interval is how often the folder is read.
const interval = time.Second

// Apply installs one file in the cluster.
type Apply func(ctx context.Context, file string) error

// Deploy applies every .yaml, .yml and .json file of a folder, in the order of
// their names, and again when its content changed, until ctx ends. What fails
// is tried again at the next look. The folder may come later.
func Deploy(ctx context.Context, dir string, apply Apply, log *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	d := deployer{dir: dir, apply: apply, log: log, done: map[string][32]byte{}, complained: map[string]string{}}
	for {
		d.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

type deployer struct {
	dir        string
	apply      Apply
	log        *slog.Logger
	done       map[string][32]byte // file -> sum of the content that was applied
	complained map[string]string   // file -> last complaint, so that each is made once
}

func (d *deployer) once(ctx context.Context) {
	entries, err := os.ReadDir(d.dir) // sorted by name
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.complain(d.dir, err)
		}
		return
	}
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".yaml", ".yml", ".json":
		default:
			continue
		}
		if ctx.Err() != nil {
			return
		}
		file := filepath.Join(d.dir, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			d.complain(file, err)
			continue
		}
		sum := sha256.Sum256(text)
		if d.done[file] == sum {
			continue
		}
		if err := d.apply(ctx, file); err != nil {
			if ctx.Err() == nil {
				d.complain(file, err)
			}
			continue
		}
		d.done[file] = sum
		delete(d.complained, file)
		d.log.Info("manifest applied", "file", file)
	}
}

func (d *deployer) complain(file string, err error) {
	if d.complained[file] != err.Error() {
		d.complained[file] = err.Error()
		d.log.Warn("a manifest is not applied yet", "file", file, "error", err)
	}
}
