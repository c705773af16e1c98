package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render"
)

func (a *app) overlay() *cobra.Command {
	c := &cobra.Command{
		Use:   "overlay",
		Short: "Show what was changed on a lab over its profile, and take it back",
		Long: `Verbs that change a living lab (user, topic and others) write down what they change:
it goes over the profile, and up keeps it, also with another profile, until the lab
is deleted. overlay shows it and drops single entries.`,
		Example: `  alertlab overlay show
  alertlab overlay drop reader/bob`,
	}
	c.AddCommand(a.overlayShow(), a.overlayDrop())
	return c
}

// describedLab gives the description of the lab.
func (a *app) describedLab() (state.Description, error) {
	dir, err := a.needLab()
	if err != nil {
		return state.Description{}, err
	}
	return dir.Describe()
}

func (a *app) overlayShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show",
		Short: "Show what was changed on a lab over its profile",
		Long: `show prints each entry of what was changed on a lab, with the name by which it can
be dropped. It reads what is wanted, so that a lab which is stopped answers too.`,
		Example: `  alertlab overlay show
  alertlab overlay show -o json | jq .readers`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(*cobra.Command, []string) error {
		desc, err := a.describedLab()
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(desc.Overlay)
		}
		if desc.Overlay.IsZero() {
			_, err := fmt.Fprintf(a.err, "nothing was changed on lab %s: it is as the profile %s says\n", desc.Name, desc.Profile)
			return err
		}
		table := render.NewTable(a.out, "ENTRY", "WHAT")
		for _, e := range desc.Overlay.Entries() {
			table.Row(e.ID, e.Text)
		}
		return table.Flush()
	}
	return c
}

func (a *app) overlayDrop() *cobra.Command {
	c := &cobra.Command{
		Use:   "drop ENTRY...",
		Short: "Take back what was changed, so that the profile counts again",
		Long: `drop takes entries out of what was changed on a lab, as "alertlab overlay show" names
them, and brings the lab to what its profile says there. Of a lab that does not run
it only changes what is wanted, for the next up. A topic that was added is deleted
with its records, which needs --allow-destroy, then for up, too. A changed password
stays: the one before is not kept.`,
		Example: `  alertlab overlay drop reader/bob
  alertlab overlay drop topic/short --allow-destroy`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			desc, err := a.describedLab()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var ids []string
			for _, e := range desc.Overlay.Entries() {
				ids = append(ids, e.ID+"\t"+e.Text)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
	how := editFlags(c).withDestroy(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		drop := func(e *edit) error { return dropEntries(e.Overlay, args) }
		dir, err := a.needLab()
		if err != nil {
			return err
		}
		if _, err := runner.Dial(c.Context(), dir); !errors.Is(err, runner.ErrNotRunning) {
			return a.said(a.edit(c, how, drop), "%s is as the profile says", strings.Join(args, ", "))
		}
		lost, err := editStopped(dir, *how.allowDestroy, drop)
		if err != nil {
			return err
		}
		then := ""
		if len(lost) > 0 {
			then = " --allow-destroy"
		}
		return a.said(nil, "%s is taken back; alertlab up%s brings the lab to it", strings.Join(args, ", "), then)
	}
	return c
}

func dropEntries(o *profiles.Overlay, ids []string) error {
	var known, unknown []string
	for _, e := range o.Entries() {
		known = append(known, e.ID)
	}
	for _, id := range ids {
		if !o.Drop(id) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		there := "nothing was changed on the lab"
		if len(known) > 0 {
			there = "there are: " + strings.Join(known, ", ")
		}
		return fault.New(fault.BadInput, "no entry to be dropped is called "+strings.Join(unknown, ", "), there, "alertlab overlay show")
	}
	return nil
}

// editStopped makes an edit of a lab that does not run: it is written down only. What
// the next up would destroy for it is returned, and refused here unless it is allowed:
// up would refuse it too, and a lab that does not come up takes no edit back.
func editStopped(dir state.Dir, allowDestroy bool, make func(*edit) error) (lost []string, err error) {
	lock, err := state.TryLock(dir.LockPath())
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	desc, err := dir.Describe()
	if err != nil {
		return nil, err
	}
	ch := runner.Change{Description: desc}
	if err := makeEdit(dir, &ch, make); err != nil {
		return nil, err
	}
	if lost, err = lostBetween(desc, ch.Description); err != nil {
		return nil, err
	}
	if len(lost) > 0 && !allowDestroy {
		return nil, fault.New(fault.BadInput, "this would destroy what the lab holds, and is refused; nothing was done", strings.Join(lost, "; "),
			"the same command with --allow-destroy, then alertlab up --allow-destroy, do it")
	}
	return lost, dir.SetDescription(ch.Description)
}

// lostBetween says what would be lost on the way from one description of a lab to
// another, a line for each.
func lostBetween(was, now state.Description) ([]string, error) {
	before, err := catalog.Wanted(was)
	if err != nil {
		return nil, err
	}
	after, err := catalog.Wanted(now)
	if err != nil {
		return nil, err
	}
	var lost []string
	for _, had := range before.Parts {
		var holds []plan.Hold
		if i := slices.IndexFunc(after.Parts, func(w plan.Want) bool { return w.Key == had.Key }); i >= 0 {
			holds = after.Parts[i].Holds
		}
		for _, what := range plan.Lost(had.Holds, holds) {
			lost = append(lost, had.Key+": "+what)
		}
	}
	return lost, nil
}
