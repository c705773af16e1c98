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

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/lab/support"
	"github.com/alertlab/alertlab/render/style"
)

// logLimit is how much of each log goes into an archive, in bytes: a week of a
// lab's at the rate seen, and still to be sent by mail.
const logLimit = 8 << 20

func (a *app) support() *cobra.Command {
	return &cobra.Command{
		Use:   "support [FILE]",
		Short: "Write one archive for a bug report, without secrets",
		Long: `support writes a tar.gz with what is needed to understand what a lab does: version,
machine, profile, plan, journal, status, connection card, logs (the last 8 MiB of
each) and the list of the lab's files. CONTENTS.txt in it says what is there, and
why something is not: a lab that is down, or only half up, has an archive, too.

No password, key or token of the lab is in it: every file is searched for them. It
does hold addresses, paths and user names. Only you can read the archive (mode
0600). FILE is - for standard output; without FILE it is made in this directory.`,
		Example: `  alertlab support
  alertlab support report.tar.gz
  alertlab support - | tar tzv`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if !dir.Exists() {
				_, err := a.needLab()
				return err
			}
			made := time.Now().UTC()
			folder := fmt.Sprintf("alertlab-support-%s-%s", dir.Lab(), made.Format("20060102T150405Z"))
			path := folder + ".tar.gz"
			if len(args) == 1 {
				path = args[0]
			}
			archive := a.archive(dir, folder, made)
			if path == "-" {
				if style.Terminal(a.out) {
					return fault.New(fault.BadInput, "an archive is nothing for a terminal", "standard output is one", "alertlab support   # writes a file; or alertlab support - | tar tzv")
				}
				_, err := support.Write(c.Context(), a.out, archive)
				return err
			}
			entries, size, err := writeArchive(c.Context(), path, archive)
			if err != nil {
				return err
			}
			return a.printArchive(path, size, entries)
		},
	}
}

// writeArchive writes to a file that is there at once, and whole.
func writeArchive(ctx context.Context, path string, archive support.Archive) (entries []support.Entry, size int64, err error) {
	const again = "alertlab support ANOTHER-FILE.tar.gz"
	if _, err := os.Lstat(path); err == nil {
		return nil, 0, fault.New(fault.BadInput, "the archive cannot be written", path+" is there already", again)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".alertlab-support-*") // mode 0600
	if err != nil {
		return nil, 0, fault.Wrap(fault.BadInput, "the archive cannot be written", err, again)
	}
	defer os.Remove(tmp.Name())
	entries, err = support.Write(ctx, tmp, archive)
	if info, serr := tmp.Stat(); serr == nil {
		size = info.Size()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	return entries, size, fault.Wrap(fault.StepFailed, "the archive cannot be written", err, "free disk space, or: "+again)
}

func (a *app) printArchive(path string, size int64, entries []support.Entry) error {
	written, removed := 0, 0
	for _, e := range entries {
		if e.Missing != "" {
			fmt.Fprintf(a.err, "%s is left out: %s\n", e.Name, e.Missing)
			continue
		}
		written, removed = written+1, removed+e.Removed
	}
	if removed > 0 {
		fmt.Fprintf(a.err, "secrets stood in %d places and were removed; CONTENTS.txt says in which files\n", removed)
	}
	fmt.Fprintf(a.err, "%d files, %s; look through them before you send them: tar xzf %s\n", written, bytesText(&size), path)
	_, err := fmt.Fprintln(a.out, path)
	return err
}

// archive says what goes into a lab's archive.
func (a *app) archive(dir state.Dir, folder string, made time.Time) support.Archive {
	read := func(name string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return os.ReadFile(filepath.Join(dir.Path(), name)) }
	}
	files := []support.File{
		{Name: "version.json", Sound: true, Collect: func(context.Context) ([]byte, error) { return indented(build()) }},
		{Name: "machine.txt", Sound: true, Collect: func(context.Context) ([]byte, error) {
			return support.Machine(dir.Path(), os.TempDir()), nil
		}},
		{Name: "environment.txt", Collect: func(context.Context) ([]byte, error) { return a.ownEnvironment(), nil }},
		{Name: "lab.json", Collect: read("lab.json")},
		{Name: "profile.yaml", Collect: func(context.Context) ([]byte, error) {
			desc, err := dir.Describe()
			return []byte(desc.Resolved), err
		}},
		{Name: "endpoints.json", Collect: read("endpoints.json")},
		{Name: "journal.jsonl", Collect: func(context.Context) ([]byte, error) { return support.Tail(dir.Journal(), logLimit) }},
		{Name: "status.json", Collect: func(ctx context.Context) ([]byte, error) {
			st, err := runnerStatus(ctx, dir)
			if err != nil {
				return nil, err
			}
			return indented(st)
		}},
		{Name: "process.txt", Collect: func(ctx context.Context) ([]byte, error) {
			st, err := runnerStatus(ctx, dir)
			if err != nil {
				return nil, err
			}
			return support.Process(st.PID)
		}},
		{Name: "files.txt", Collect: func(context.Context) ([]byte, error) { return support.Listing(dir.Path(), "data") }},
	}
	files = append(files, support.File{Name: "plan.txt", Collect: func(ctx context.Context) ([]byte, error) {
		p, err := a.planned(ctx, dir)
		if err != nil {
			return nil, err
		}
		return []byte(p.String()), nil
	}}, support.File{Name: "plan.json", Collect: func(ctx context.Context) ([]byte, error) {
		p, err := a.planned(ctx, dir)
		if err != nil {
			return nil, err
		}
		return indented(p)
	}})
	names, err := logNames(dir)
	if err != nil {
		files = append(files, support.File{Name: "logs", Collect: func(context.Context) ([]byte, error) { return nil, err }})
	}
	for _, name := range names {
		files = append(files, support.File{Name: "logs/" + name + ".log", Collect: func(context.Context) ([]byte, error) {
			return support.Tail(dir.Log(name), logLimit)
		}})
	}
	return support.Archive{Folder: folder, Made: made, Files: files, Secrets: func() ([]string, error) {
		text, err := os.ReadFile(filepath.Join(dir.Path(), "credentials.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // this lab has none yet
		}
		if err != nil {
			return nil, err
		}
		return support.Secrets(text)
	}}
}

// runnerStatus asks the runner, if there is one.
func runnerStatus(ctx context.Context, dir state.Dir) (runner.Status, error) {
	client, err := runner.Dial(ctx, dir)
	if errors.Is(err, runner.ErrNotRunning) {
		return runner.Status{}, errors.New("the lab does not run")
	}
	if err != nil {
		return runner.Status{}, err
	}
	return client.Status(ctx)
}

// planned is what up would do now, without the flags that a user may give it.
func (a *app) planned(ctx context.Context, dir state.Dir) (*plan.Plan, error) {
	desc, err := dir.Describe()
	if err != nil {
		return nil, err
	}
	return a.planFor(ctx, dir, desc)
}

// ownEnvironment lists the variables that alertlab looks at; others are nobody's
// business.
func (a *app) ownEnvironment() []byte {
	var lines []string
	for _, v := range a.environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "ALERTLAB_") || slices.Contains([]string{"XDG_STATE_HOME", "TMPDIR", "TERM", "NO_COLOR", "LANG", "TZ", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG"}, name) {
			lines = append(lines, v)
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(append(lines, ""), "\n"))
}

func indented(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}
