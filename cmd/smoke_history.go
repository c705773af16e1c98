package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/render"
	"github.com/alertlab/alertlab/render/phrase"
	"github.com/alertlab/alertlab/smoke"
)

// runsKept is how many runs of smoke a lab remembers.
const runsKept = 50

// keepSmoke remembers a run in the lab's directory, and forgets the oldest.
func keepSmoke(dir state.Dir, r smoke.Report) error {
	if len(r.Results) == 0 || !dir.Exists() {
		return nil
	}
	if err := os.MkdirAll(dir.Smoke(), 0o700); err != nil {
		return err
	}
	// Names sort by time.
	path := filepath.Join(dir.Smoke(), r.Started.UTC().Format("20060102T150405.000000000Z")+".json")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(r.JSON(f), f.Close()); err != nil {
		return err
	}
	paths, err := runPaths(dir)
	for _, old := range paths[min(runsKept, len(paths)):] {
		err = errors.Join(err, os.Remove(old))
	}
	return err
}

// runPaths lists the files of the runs, the newest first.
func runPaths(dir state.Dir) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir.Smoke(), "*.json"))
	slices.Sort(paths)
	slices.Reverse(paths)
	return paths, err
}

// smokeHistory reads the runs that the lab remembers, the newest first. One that was
// cut short by a crash is left out.
func smokeHistory(ctx context.Context, dir state.Dir) ([]smoke.Document, error) {
	paths, err := runPaths(dir)
	if err != nil {
		return nil, err
	}
	runs := []smoke.Document{}
	for _, path := range paths {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return nil, err
		}
		var run smoke.Document
		if json.Unmarshal(text, &run) == nil {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// printSmokeHistory lists runs.
func (a *app) printSmokeHistory(runs []smoke.Document, output string) error {
	if output == "json" {
		return a.printJSON(runs)
	}
	if len(runs) == 0 {
		fmt.Fprintln(a.err, "no run is remembered; alertlab smoke makes one")
		return nil
	}
	table := render.NewTable(a.out, "BEGUN", "TOOK", "PASSED", "FAILED", "SKIPPED", "SEED", "WHICH FAILED")
	for _, r := range runs {
		var bad []string
		for _, c := range r.Checks {
			if c.Status == smoke.Failed {
				bad = append(bad, c.Name)
			}
		}
		table.Row(r.Started.Local().Format("2006-01-02 15:04:05"), phrase.Elapsed(time.Duration(r.Seconds*float64(time.Second))), r.Passed, r.Failed, r.Skipped, r.Seed, strings.Join(bad, ", "))
	}
	return table.Flush()
}
