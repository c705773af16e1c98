package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
)

func (a *app) logs() *cobra.Command {
	var (
		follow bool
		tail   int
	)
	c := &cobra.Command{
		Use:   "logs [COMPONENT...]",
		Short: "Print the logs of components, of all by default",
		Long: `logs prints what the lab's components have written, each line with its time.
Without a name it merges all of them in order of time, each line with its
component before it. The logs of a lab that is stopped, or that failed to come up,
can be read too.`,
		Example: `  alertlab logs                      # all, in order of time
  alertlab logs simulator -f         # follow one
  alertlab logs runner --tail 20`,
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come, until Ctrl-C")
	c.Flags().IntVar(&tail, "tail", -1, "only this many last lines; 0 none, e.g. with -f (default: all)")
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		dir, err := a.dir()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names, err := logNames(dir)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		names, err := logNames(dir)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && len(names) == 0) {
			return fault.New(fault.NoLab, fmt.Sprintf("there is no lab %q", dir.Lab()), "it has no logs", "alertlab up --lab "+dir.Lab())
		}
		if err != nil {
			return err
		}
		// A component that has not written a line yet can be asked for, too.
		known := slices.Compact(slices.Sorted(slices.Values(append(components(dir), names...))))
		for _, arg := range args {
			if !slices.Contains(known, arg) {
				return fault.New(fault.BadInput, fmt.Sprintf("%q has no log", arg), "there are: "+strings.Join(known, ", "), "alertlab logs "+names[0])
			}
			if !slices.Contains(names, arg) {
				fmt.Fprintf(a.err, "%s has written nothing yet; what was done with it stands in: alertlab logs runner\n", arg)
			}
		}
		if len(args) > 0 {
			names = args
		}
		return a.printLogs(c.Context(), dir, names, tail, follow)
	}
	return c
}

func logNames(dir state.Dir) ([]string, error) {
	entries, err := os.ReadDir(dir.Logs())
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".log"); ok {
			names = append(names, name)
		}
	}
	return names, err
}

// components lists the components of the lab, none when that cannot be told.
func components(dir state.Dir) []string {
	desc, err := dir.Describe()
	if err != nil {
		return nil
	}
	wanted, err := catalog.Wanted(desc)
	if err != nil {
		return nil
	}
	var keys []string
	for _, part := range wanted.Parts {
		keys = append(keys, part.Key)
	}
	return keys
}

// logLine is a line with the time that it begins with, as text that sorts.
type logLine struct{ time, component, text string }

// lastLines reads the last lines of logs, in order of time; only the end of long files
// is read.
func lastLines(dir state.Dir, names []string, n int) ([]logLine, error) {
	t := newTail(dir, names, n)
	defer t.close()
	lines, err := t.read()
	return lines[max(len(lines)-n, 0):], err
}

// tail follows the logs of components.
type tail struct{ files []*tailed }

// newTail follows logs from their last lines on, n of each at least, or from their
// beginnings when n is negative.
func newTail(dir state.Dir, names []string, n int) *tail {
	t := &tail{}
	for _, name := range names {
		f := &tailed{name: name, path: dir.Log(name)}
		if n >= 0 {
			f.last = int64(n) * lineLength
		}
		t.files = append(t.files, f)
	}
	return t
}

// lineLength is more than most lines of a log have, in bytes.
const lineLength = 1024

// read gives the lines that came since the last call, in order of time.
func (t *tail) read() ([]logLine, error) { return readNew(t.files) }

func (t *tail) close() {
	for _, f := range t.files {
		f.close()
	}
}

func (a *app) printLogs(ctx context.Context, dir state.Dir, names []string, tail int, follow bool) error {
	logs := newTail(dir, names, -1)
	defer logs.close()
	lines, err := logs.read()
	if err != nil {
		return err
	}
	if tail >= 0 && len(lines) > tail {
		lines = lines[len(lines)-tail:]
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, l := range lines {
			prefix := ""
			if len(names) > 1 {
				prefix = l.component + " | "
			}
			if _, err := fmt.Fprintln(a.out, prefix+l.text); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how following ends
		case <-tick.C:
		}
		if lines, err = logs.read(); err != nil {
			return err
		}
	}
}

// tailed is a file that grows; rest holds a line that is not complete yet.
type tailed struct {
	name, path string
	file       *os.File // nil while there is none
	reader     *bufio.Reader
	rest       []byte
	last       int64 // only so many bytes of what is there at first; 0 for all
}

// open opens the file once it is there.
func (t *tailed) open() error {
	if t.file != nil {
		return nil
	}
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	t.file, t.reader = f, bufio.NewReader(f)
	if info, err := f.Stat(); err == nil && t.last > 0 && info.Size() > t.last {
		if _, err := f.Seek(-t.last, io.SeekEnd); err != nil {
			return err
		}
		_, err := t.reader.ReadBytes('\n') // the rest of a line
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func (t *tailed) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// readNew gives the lines that came since the last call, in order of time. A
// line without a time (a panic's trace) stays behind the one before it.
func readNew(files []*tailed) ([]logLine, error) {
	var lines []logLine
	for _, f := range files {
		if err := f.open(); err != nil {
			return nil, err
		}
		if f.file == nil {
			continue
		}
		last := ""
		for {
			part, err := f.reader.ReadBytes('\n')
			f.rest = append(f.rest, part...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			text := string(bytes.TrimRight(f.rest, "\r\n"))
			f.rest = nil
			if rest, ok := strings.CutPrefix(text, "time="); ok {
				last, _, _ = strings.Cut(rest, " ")
			}
			lines = append(lines, logLine{last, f.name, text})
		}
	}
	slices.SortStableFunc(lines, func(a, b logLine) int { return strings.Compare(a.time, b.time) })
	return lines, nil
}
