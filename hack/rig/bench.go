package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/hack/benchdoc"
	"github.com/alertlab/alertlab/lab/fault"
)

// benchVerb measures this command from outside, as its user would.
func (r *rig) benchVerb() *cobra.Command {
	var out string
	var rounds int
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the rig, and write its section of docs/benchmarks.md",
		Long: `bench runs "all" with everything there, and "cluster" and "down" for each maker, some
rounds of each, and writes medians beside what the last cold build took in this
cache. It needs what "all" makes.`,
		Example: "  rig bench\n  rig bench --rounds 5 --out docs/benchmarks.md",
		RunE: func(c *cobra.Command, _ []string) error {
			if rounds < 1 {
				return fault.New(fault.BadInput, fmt.Sprintf("--rounds %d cannot be run", rounds), "there has to be one", "go run ./hack/rig bench --rounds 3")
			}
			text, err := r.measure(c.Context(), rounds)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = fmt.Fprint(r.out, text)
				return err
			}
			return benchdoc.Put(out, "rig", text)
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write to (default: standard output)")
	c.Flags().IntVar(&rounds, "rounds", 3, "rounds of everything")
	return c
}

func (r *rig) measure(ctx context.Context, rounds int) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	run := func(words ...string) (float64, error) {
		cmd := exec.CommandContext(ctx, self, words...)
		var said bytes.Buffer
		cmd.Dir, cmd.Stderr = r.project, &said
		begun := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("rig %s: %w\n%s", strings.Join(words, " "), err, said.String())
		}
		return time.Since(begun).Seconds(), nil
	}
	type row struct {
		name, target string
		words        []string
		values       []float64
	}
	rows := []*row{{name: "everything there: `rig all`", target: "under 20", words: []string{"all"}}}
	for _, maker := range []string{"k3d", "kind", "plain"} {
		target := ""
		if maker == "k3d" {
			target = "under 45, aim 30"
		}
		rows = append(rows,
			&row{name: "a server and two agents Ready: `rig cluster --maker " + maker + "`", target: target, words: []string{"cluster", "--name", "bench", "--maker", maker}},
			&row{name: "gone again: `rig cluster delete`, " + maker, target: "under 10", words: []string{"cluster", "delete", "bench"}})
	}
	if _, err := run("all"); err != nil {
		return "", err
	}
	for i := range rounds {
		for _, one := range rows {
			r.say("bench: round %d of %d, rig %s", i+1, rounds, strings.Join(one.words, " "))
			s, err := run(one.words...)
			if err != nil {
				return "", err
			}
			one.values = append(one.values, s)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `## The rig

Made by the command below; do not edit by hand.

    go run ./hack/rig bench --out docs/benchmarks.md

- date: %s
- machine: %d cores, %s/%s, Go %s

Each is a whole command, from its start to its end.

| figure | target, s | min, s | median, s | max, s | rounds |
|---|---|---:|---:|---:|---:|
`, time.Now().UTC().Format("2006-01-02 15:04 MST"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, one := range rows {
		slices.Sort(one.values)
		n := len(one.values)
		fmt.Fprintf(&b, "| %s | %s | %.1f | %.1f | %.1f | %d |\n", one.name, one.target, one.values[0], (one.values[(n-1)/2]+one.values[n/2])/2, one.values[n-1], n)
	}
	b.WriteString("\nThe last time that this cache was empty, once:\n\n| step | time | target |\n|---|---|---|\n")
	t := r.times()
	for _, step := range []struct{ name, target string }{{"parts", ""}, {"images", ""}, {"bundle", ""}, {"all", "under 45 min"}} {
		s, ok := t.Cold[step.name]
		if !ok {
			fmt.Fprintf(&b, "| %s | not measured | %s |\n", step.name, step.target)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", step.name, round(time.Duration(s*float64(time.Second))), step.target)
	}
	kept, err := size(r.cache, "build", "engine", "log")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "\nThe cache keeps %.2f GB without the caches of the build tools (target: under 4 GB).\n", float64(kept)/1e9)
	return b.String(), nil
}

// size adds up the files of a folder, without some of its folders.
func size(dir string, without ...string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel, err := filepath.Rel(dir, path); err == nil && slices.Contains(without, rel) {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
