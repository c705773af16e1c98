package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
)

func (a *app) down() *cobra.Command {
	var purge, verify, forget bool
	c := &cobra.Command{
		Use:   "down",
		Short: "Stop the lab and keep its data, or delete it",
		Long: `down stops everything in the opposite order of its making, the simulator first,
the brokers last. The data stays and the next up goes on with it; alerts that were
published and not archived yet are archived then. With --purge the lab is deleted;
--verify then looks whether anything is left and exits with 1 and a list if so.

A lab on Kubernetes whose cluster cannot be reached is not deleted. Where the cluster
is gone for good, --purge --forget deletes what this machine has of the lab, and says
what it could not look at.`,
		Example: `  alertlab down
  alertlab down --purge --verify
  alertlab down --purge --forget   # the cluster is gone for good`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&purge, "purge", false, "delete the lab with everything that it stored")
	c.Flags().BoolVar(&verify, "verify", false, "with --purge: prove that nothing is left")
	c.Flags().BoolVar(&forget, "forget", false, "with --purge: delete the lab here, where its cluster cannot be reached any more")
	progress := progressFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if forget && !purge {
			return fault.New(fault.BadInput, "--forget goes with --purge", "without it everything stored is kept", "alertlab down --purge --forget")
		}
		if verify && !purge {
			return fault.New(fault.BadInput, "--verify goes with --purge", "without it everything stored is kept", "alertlab down   # or, to delete the lab: --purge")
		}
		dir, err := a.dir()
		if err != nil {
			return err
		}
		if !dir.Exists() {
			// No error, so that a clean-up can be repeated; but a name that was
			// mistyped should show.
			there := "there is none"
			if labs, err := state.Labs(dir.Root()); err == nil && len(labs) > 0 {
				there = "there are: " + strings.Join(labs, ", ")
			}
			fmt.Fprintf(a.err, "lab %s is not there: nothing to do (%s)\n", dir.Lab(), there)
			return nil
		}
		if forget {
			left, err := a.forgetLab(c.Context(), dir)
			if err != nil || !verify {
				return err
			}
			return a.verifyGone(dir, left)
		}
		had, err := a.endLab(c.Context(), dir, purge, func(walk walking) error { return a.follow(c.Context(), *progress, walk) })
		if err != nil {
			return err
		}
		for _, r := range had.retained {
			fmt.Fprintf(a.err, "kept, %s\n  delete it: %s\n", r.what, r.command)
		}
		if !verify {
			return nil
		}
		more, err := catalog.Left(c.Context(), had.description)
		if err != nil {
			return err
		}
		return a.verifyGone(dir, append(had.left, more...))
	}
	return c
}

// walking carries a plan out, and tells of it.
type walking func(context.Context, event.Sink) error

// ended is what there is of a lab after its end.
type ended struct {
	description state.Description
	left        []string   // in spite of a purge
	retained    []retained // because its profile wants it so, or others use it
}

type retained struct{ what, command string } // command deletes it

// endLab takes the lab down, and deletes it when purge is set. show is given what walks
// the plan.
func (a *app) endLab(ctx context.Context, dir state.Dir, purge bool, show func(walking) error) (ended, error) {
	var e ended
	// What the lab had is read before it is gone.
	entries, err := run.ReadJournal(dir.Journal())
	if err != nil {
		return e, err
	}
	had := run.Outputs(entries)["addresses"]
	desc, err := dir.Describe()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	e.description = desc
	if purge {
		stays, commands, err := catalog.Retained(ctx, desc)
		if err == nil && (desc.Provider == catalog.K3d || desc.Provider == catalog.Kind) {
			err = unreachable(ctx, dir, desc)
		}
		if err != nil {
			return e, unlooked(dir, desc, err)
		}
		for i := range stays {
			e.retained = append(e.retained, retained{stays[i], commands[i]})
		}
	}
	if err := a.takeDown(ctx, dir, desc.Provider, purge, show); err != nil || !purge {
		return e, err
	}
	e.left, err = loopback.CleanUp(ctx, had)
	return e, err
}

func (a *app) takeDown(ctx context.Context, dir state.Dir, provider string, purge bool, show func(walking) error) error {
	client, err := runner.Dial(ctx, dir)
	if errors.Is(err, runner.ErrNotRunning) && !purge && provider != "" && provider != catalog.Embedded {
		// What is not in this process runs on without its runner.
		client, err = a.ensureRunner(ctx, dir)
	}
	switch {
	case err == nil:
		return show(func(ctx context.Context, sink event.Sink) error { return client.Down(ctx, purge, sink) })
	case !errors.Is(err, runner.ErrNotRunning):
		return err
	case !purge:
		fmt.Fprintf(a.err, "lab %s does not run: nothing to do\n", dir.Lab())
		return nil
	}
	// Nothing runs, so this process deletes what is stored itself, as the owner.
	lock, err := state.TryLock(dir.LockPath())
	if err != nil {
		return err
	}
	defer lock.Release()
	return show(func(ctx context.Context, sink event.Sink) error {
		server, err := a.server(dir)
		if err != nil {
			return err
		}
		return server.Purge(ctx, sink)
	})
}

// verifyGone adds to what is left of a deleted lab and lists it.
func (a *app) verifyGone(dir state.Dir, left []string) error {
	for _, path := range []string{dir.Path(), dir.LockPath(), dir.Socket()} {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	left = append(left, processesUnder(dir.Path())...)
	if len(left) > 0 {
		return fault.New(fault.StepFailed, "something of lab "+dir.Lab()+" is left", strings.Join(left, "; "), "remove what is listed, then: alertlab down --purge --verify")
	}
	fmt.Fprintf(a.err, "nothing of lab %s is left: no directory, no socket, no address in use, no process\n", dir.Lab())
	return nil
}

// processesUnder lists processes that work in a directory, where /proc tells.
func processesUnder(dir string) []string {
	var left []string
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			left = append(left, "process "+strings.Split(link, "/")[2]+" in "+cwd)
		}
	}
	return left
}
