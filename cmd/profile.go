package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/render"
)

func (a *app) profile() *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "List, show and validate profiles",
		Long: `A profile is one environment as data: its brokers, users, topics, registry, alert
database and visits. The binary holds some; a file of your own, named by its path,
serves as well.`,
		Example: `  alertlab profile list
  alertlab profile show local > mine.yaml
  alertlab profile validate mine.yaml`,
	}
	c.AddCommand(a.profileList(), a.profileShow(), a.profileValidate())
	return c
}

func (a *app) profileList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the profiles that this binary holds",
		Long: `list prints the name of every profile that this binary holds, what its values come
from, and what it is for.`,
		Example: `  alertlab profile list
  alertlab profile list -o json | jq -r '.[].name'`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(*cobra.Command, []string) error {
		if *output == "json" {
			return a.printJSON(profiles.List())
		}
		table := render.NewTable(a.out, "PROFILE", "SOURCE", "DESCRIPTION")
		for _, p := range profiles.List() {
			table.Row(p.Name, p.Source, p.Description)
		}
		return table.Flush()
	}
	return c
}

func (a *app) profileShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show [NAME|FILE]",
		Short: "Print a profile with the overrides of the environment",
		Long: `show prints a profile as a file that can be edited and given to up, with its
comments, and with the values that the environment sets put in. Without a name it
shows the one that ALERTLAB_PROFILE names, else local. The variables are:
` + variables(),
		Example: `  alertlab profile show local > mine.yaml     # a profile of your own begins here
  alertlab profile show -o json | jq .simulator`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeProfiles,
	}
	output := outputFlag(c, "yaml", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		p, _, err := loadProfile(first(append(args, a.getenv("ALERTLAB_PROFILE"), "local")...))
		if err != nil {
			return profileMissing(err)
		}
		if p, err = profiles.Override(p, a.environ()); err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(p)
		}
		_, err = a.out.Write(p.Source())
		return err
	}
	return c
}

// validate loads a profile and plans with it, as far as that needs no lab.
func validate(ref string) error {
	p, path, err := loadProfile(ref)
	if err != nil {
		return profileMissing(err)
	}
	_, err = catalog.Wanted(state.Description{Name: "validate", Provider: catalog.Embedded, Profile: path, Stack: p.Stack, Resolved: string(p.Source())})
	return err
}

func (a *app) profileValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate NAME|FILE...",
		Short: "Check profiles and report every problem with file, line and column",
		Long: `validate reads profiles as up would, and plans with them as far as that needs no
lab. It reports all problems of a file at once: an unknown key with the nearest one
that exists, a wrong unit, a value out of its range. The exit code is 2 if there is
any.`,
		Example: `  alertlab profile validate mine.yaml
  alertlab profile validate local mine.yaml`,
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			var problems []string
			for _, ref := range args {
				if err := validate(ref); err != nil {
					problems = append(problems, err.Error())
					continue
				}
				fmt.Fprintf(a.out, "%s: valid\n", ref)
			}
			if len(problems) > 0 {
				return fault.New(fault.BadInput, strings.Join(problems, "\n"), "", "correct what is listed, then the same command again")
			}
			return nil
		},
	}
}
