package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/run"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

func (a *app) plan() *cobra.Command {
	var ch choice
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what up would do, and why, without doing it",
		Long: `plan compares what the profile says with what is there, and prints the steps that
up would take, in their order, each with its cause, and what is kept as it is. It
changes nothing and needs no lab. The exit code is 2 when up would refuse the plan,
because it destroys what the lab holds (--allow-destroy shows it as up would do it), or
because the machine has no room for the lab.`,
		Example: `  alertlab plan
  alertlab plan --profile my-profile.yaml
  alertlab plan -o json | jq '.steps[].key'`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	allowDestroy := destroyFlag(c)
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		desc, err := a.describe(dir, ch)
		if err != nil {
			return err
		}
		if err := a.survey(c.Context(), desc); err != nil && *output != "json" {
			fmt.Fprintf(a.err, "%s\n\n", fault.Text(err))
		}
		p, err := a.planFor(c.Context(), dir, desc)
		if err != nil {
			return err
		}
		var crowded error
		if p.Fit, crowded = catalog.CheckFit(c.Context(), desc); crowded != nil && p.Fit == nil {
			return crowded
		}
		if *output == "json" {
			err = a.printJSON(p)
		} else {
			_, err = fmt.Fprint(a.out, p)
		}
		if err != nil {
			return err
		}
		if refused := runner.Refused(p, *allowDestroy); refused != nil {
			refused.Next = ch.again(c, "up", "--allow-destroy") + "   # deletes it, for good"
			return refused
		}
		return crowded
	}
	return c
}

// planFor is what would bring the lab to a description.
func (a *app) planFor(ctx context.Context, dir state.Dir, desc state.Description) (*plan.Plan, error) {
	wanted, seen, err := a.observed(ctx, dir, desc)
	if err != nil {
		return nil, err
	}
	return plan.Make(wanted, seen)
}

// planDown is what would take the lab down, or delete it.
func (a *app) planDown(ctx context.Context, dir state.Dir, goal plan.Goal) (*plan.Plan, error) {
	desc, err := dir.Describe()
	if err != nil {
		return nil, err
	}
	wanted, seen, err := a.observed(ctx, dir, desc)
	if err != nil {
		return nil, err
	}
	return plan.MakeDown(wanted, seen, goal)
}

// observed gives what a description wants, and what is there of it.
func (a *app) observed(ctx context.Context, dir state.Dir, desc state.Description) (plan.Wanted, plan.Snapshot, error) {
	wanted, err := catalog.Wanted(desc)
	if err != nil {
		return plan.Wanted{}, nil, err
	}
	seen, err := a.snapshot(ctx, dir, desc, wanted)
	return wanted, seen, err
}

// snapshot asks the runner what it sees, or looks at what a lab that does not run
// has kept.
func (a *app) snapshot(ctx context.Context, dir state.Dir, desc state.Description, wanted plan.Wanted) (plan.Snapshot, error) {
	client, err := runner.Dial(ctx, dir)
	if err == nil {
		return client.Snapshot(ctx, desc)
	}
	if !errors.Is(err, runner.ErrNotRunning) {
		return nil, err
	}
	server, err := a.server(dir)
	if err != nil {
		return nil, err
	}
	lab, err := server.Open(desc)
	if err != nil {
		return nil, err
	}
	// What runs on a cluster is looked at as its users are.
	creds, err := dir.Credentials()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lab.SetCredentials(creds)
	entries, err := run.ReadJournal(dir.Journal())
	if err != nil {
		return nil, err
	}
	return run.Observe(ctx, wanted, lab.Parts(), entries), nil
}
