package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/render/picture"
	"github.com/alertlab/alertlab/render/style"
	"github.com/alertlab/alertlab/tui"
	"github.com/alertlab/alertlab/tui/dash"
	"github.com/alertlab/alertlab/tui/kit"
)

func (a *app) tui() *cobra.Command {
	return &cobra.Command{
		Use:   "tui",
		Short: "Live in a lab: a dashboard on the terminal",
		Long: `tui opens the dashboard: the lab with its components, Kafka, alerts, visits, the
alert database, the registry, smoke, logs, and what can be done with the lab. On a
terminal, alertlab without a verb does the same. Where there is no lab yet, a profile
is chosen and the lab brought up. Leaving the dashboard changes nothing of the lab.

"?" shows the keys. Everything that is shown is also there as text: status, console,
logs, smoke, plan.`,
		Example: `  alertlab tui
  alertlab --lab mine tui`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !a.onTerminal() {
				return fault.New(fault.BadInput, "the dashboard cannot be drawn", "standard input and output are not both a terminal that can move its cursor",
					"alertlab status   # and alertlab console topics, alertlab logs, alertlab smoke give the same as text")
			}
			return a.dashboard(c.Context())
		},
	}
}

// onTerminal says whether there is a terminal to read from and to draw on.
func (a *app) onTerminal() bool { return style.Terminal(a.in) && tui.Suits(a.out) }

// dashboard shows the lab until the reader leaves.
func (a *app) dashboard(ctx context.Context) error {
	dir, err := a.dir()
	if err != nil {
		return err
	}
	// Nothing but the dashboard writes to the terminal meanwhile.
	quiet := *a
	quiet.out, quiet.err = io.Discard, io.Discard
	theme := kit.NewTheme(style.New(a.out, a.getenv))
	b := newBoard(&quiet, dir)
	b.depth = picture.DepthOf(a.out, a.getenv)
	defer b.close()
	err = dash.Run(ctx, dash.Options{In: a.in, Out: a.out, Theme: theme, Lab: dir.Lab(), Health: b.health,
		Pages: func(ctx context.Context) ([]dash.Entry, dash.Starter) {
			return b.pages(ctx, theme), b.starter(ctx, theme)
		},
		Trace: func(c *kit.Crash) (string, error) { return trace(dir, c, time.Now()) }})
	var crash *dash.CrashError
	if errors.As(err, &crash) {
		next := "alertlab support   # gathers what a bug report needs; the lab goes on"
		why := crash.Value
		if crash.Trace != "" {
			why += "; the trace is in " + crash.Trace
		} else if crash.Err != nil {
			why += fmt.Sprintf("; the trace could not be kept: %v\n%s", crash.Err, crash.Stack)
		}
		return &fault.Fault{What: "the dashboard crashed", Why: why, Next: next, Code: fault.StepFailed, Err: err}
	}
	return err
}

// trace keeps what is known of a crash, in the lab's directory or, while there is none,
// in the temporary one. Only this user can read it.
func trace(dir state.Dir, c *kit.Crash, now time.Time) (string, error) {
	place := dir.Path()
	if !dir.Exists() {
		place = os.TempDir()
	}
	f, err := os.CreateTemp(place, "tui-crash-"+now.UTC().Format("20060102-150405")+"-*.txt") // of mode 0600
	if err != nil {
		return "", err
	}
	v := build()
	_, err = fmt.Fprintf(f, "alertlab %s (%.12s), %s, %s\nlab %s, %s\n\npanic: %s\n\n%s", v.Version, v.Revision, v.Go, v.Platform, dir.Lab(), now.UTC().Format(time.RFC3339), c.Value, c.Stack)
	return filepath.Clean(f.Name()), errors.Join(err, f.Close())
}

// health looks at the lab for the frame.
func (b *board) health(ctx context.Context) dash.Health {
	desc, err := b.dir.Describe()
	if errors.Is(err, fs.ErrNotExist) {
		// One that comes up for the first time has a runner before it is described.
		if client, err := runner.Dial(ctx, b.dir); err == nil {
			if st, err := client.Status(ctx); err == nil && st.Walking {
				return dash.Health{Condition: dash.Coming, Why: "it was never ready before", Next: b.a.meant("alertlab attach")}
			}
		}
		return dash.Health{Condition: dash.Absent, Why: "nothing is kept under this name in " + b.dir.Root(), Next: b.a.meant("alertlab up")}
	}
	h := dash.Health{Profile: desc.Profile, Provider: desc.Provider}
	if filepath.IsAbs(h.Profile) {
		h.Profile = filepath.Base(h.Profile)
	}
	if err != nil {
		h.Condition, h.Why, h.Next = dash.Unreachable, err.Error(), b.a.meant("alertlab status")
		return h
	}
	st, err := b.status(ctx)
	switch {
	case errors.Is(err, runner.ErrNotRunning) && !errors.Is(err, context.DeadlineExceeded):
		h.Condition, h.Next = dash.Stopped, b.a.meant("alertlab up")
		h.Why = "its data lies in " + b.dir.Path()
	case err != nil:
		h.Condition, h.Next = dash.Unreachable, b.a.meant("alertlab logs runner")
		h.Why = "its runner is there and gives no answer: " + err.Error()
	case st.Walking && !st.Ready:
		h.Condition, h.Why, h.Next = dash.Coming, "a walk of its plan goes on", b.a.meant("alertlab attach")
	case st.Walking:
		h.Condition = dash.Changing
	case !st.Ready:
		h.Condition = dash.Faulty
	default:
		h.Condition = dash.Ready
	}
	return h
}
