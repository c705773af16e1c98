package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/profiles/phalanx"
	"github.com/alertlab/alertlab/render"
)

func (a *app) profile() *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "List, show, compare, validate and import profiles",
		Long: `A profile is one environment as data: its brokers, users, topics, registry, alert
database and visits. The binary holds some; a file of your own, named by its path,
serves as well.`,
		Example: `  alertlab profile list
  alertlab profile show local > mine.yaml
  alertlab profile validate mine.yaml
  alertlab profile diff local usdfdev`,
	}
	c.AddCommand(a.profileList(), a.profileShow(), a.profileDiff(), a.profileValidate(), a.profileImport(), a.profileSchema())
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
	var set []string
	var scaled bool
	c := &cobra.Command{
		Use:   "show [NAME|FILE]",
		Short: "Print a profile with the overrides of the environment",
		Long: `show prints a profile as a file that can be edited and given to up, with its
comments, and with the values that the environment and --set put in. Without a name it
shows the one that ALERTLAB_PROFILE names, else local. What its source has and nobody
can run today stands under concessions.

With --scaled it prints what an embedded lab makes of the profile, and says
what differs: from the source, from the profile, and what there is nothing of.

The variables are:
` + variables(),
		Example: `  alertlab profile show local > mine.yaml     # a profile of your own begins here
  alertlab profile show usdfdev --scaled
  alertlab profile show -o json | jq .simulator`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeProfiles,
	}
	setFlag(c, &set)
	c.Flags().BoolVar(&scaled, "scaled", false, "what an embedded lab makes of it, and why")
	output := outputFlag(c, "yaml", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		p, _, err := loadProfile(first(append(args, a.getenv("ALERTLAB_PROFILE"), "local")...))
		if err != nil {
			return profileMissing(err)
		}
		if p, err = profiles.Override(p, a.environ(), set...); err != nil {
			return err
		}
		if scaled {
			return a.showScaled(p, *output)
		}
		if *output == "json" {
			return a.printJSON(p)
		}
		_, err = a.out.Write(p.Source())
		return err
	}
	return c
}

// showScaled prints what an embedded lab makes of a profile; as YAML it is a
// profile again, which begins with what differs, as comments.
func (a *app) showScaled(p *profiles.Profile, output string) error {
	s, err := catalog.ScaleFor(p, catalog.Embedded)
	if err != nil {
		return err
	}
	if output == "json" {
		return a.printJSON(s)
	}
	var b strings.Builder
	list := func(heading string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "# %s\n", heading)
			for _, line := range lines {
				fmt.Fprintf(&b, "#   %s\n", line)
			}
			b.WriteString("#\n")
		}
	}
	texts := func(changes []profiles.Change) (lines []string) {
		for _, c := range changes {
			lines = append(lines, c.String())
		}
		return lines
	}
	fmt.Fprintf(&b, "# What an embedded lab makes of the profile %s.\n#\n", p.Name)
	list("Other than at its source:", texts(s.Conceded))
	list("Other than in the profile:", texts(s.Changed))
	list("What an embedded lab does otherwise:", s.Absent)
	b.Write(s.Profile.Source())
	_, err = a.out.Write([]byte(b.String()))
	return err
}

func (a *app) profileDiff() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff NAME|FILE NAME|FILE",
		Short: "Compare two profiles, value by value",
		Long: `diff lists the values in which two profiles differ, as their files have them:
the environment does not count, nor do names, descriptions and reasons.`,
		Example: `  alertlab profile diff usdfdev usdfprod
  alertlab profile diff local mine.yaml -o json | jq -r '.[].path'`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: completeProfiles,
	}
	output := outputFlag(c, "table", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		var both [2]*profiles.Profile
		for i, ref := range args {
			p, _, err := loadProfile(ref)
			if err != nil {
				return profileMissing(err)
			}
			both[i] = p
		}
		list := profiles.Diff(both[0], both[1])
		if *output == "json" {
			return a.printJSON(append([]profiles.Difference{}, list...))
		}
		if len(list) == 0 {
			fmt.Fprintf(a.out, "%s and %s say the same\n", args[0], args[1])
			return nil
		}
		table := render.NewTable(a.out, "VALUE", strings.ToUpper(both[0].Name), strings.ToUpper(both[1].Name))
		for _, d := range list {
			table.Row(d.Path, clip(d.A), clip(d.B))
		}
		return table.Flush()
	}
	return c
}

func (a *app) profileImport() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "import VALUES-FILE",
		Short: "Make a profile out of an environment's values file of Phalanx",
		Long: `import reads a values-ENVIRONMENT.yaml of Phalanx, that of the application
alert-stream-broker or that of sasquatch with its alert subcharts, and prints a
profile. It takes over what it knows; what it left, and what the file does not
say and a profile needs, stands at the head of the profile. Charts are not read:
what a file leaves to its chart's defaults is not known.`,
		Example: `  alertlab profile import values-usdfprod-prompt-processing.yaml > mine.yaml
  alertlab profile import values-idfint.yaml -o json | jq '.left[].path'`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&name, "name", "", "name of the profile (default: the environment in the file's name)")
	output := outputFlag(c, "yaml", "json")
	c.RunE = func(_ *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return fault.Wrap(fault.BadInput, "the values file cannot be read", err, "name a values-ENVIRONMENT.yaml of Phalanx")
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, phalanx.MaxSize+1))
		if err != nil {
			return fault.Wrap(fault.BadInput, "the values file cannot be read", err, "name a values-ENVIRONMENT.yaml of Phalanx")
		}
		environment := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(args[0]), ".yaml"), ".yml")
		r, err := phalanx.Import(first(name, strings.TrimPrefix(environment, "values-")), args[0], data)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(r)
		}
		if _, err := a.out.Write(r.Text(filepath.Base(args[0]))); err != nil {
			return err
		}
		fmt.Fprintf(a.err, "%d values taken over, %d left, %d added: the profile's head lists them\n", r.Taken, len(r.Left), len(r.Ours))
		return nil
	}
	return c
}

// clip keeps a cell of a table readable; JSON has the whole text.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

func (a *app) profileSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of profiles, for editors",
		Long: `schema prints the JSON schema of profiles: every key with its meaning, type and
default. An editor that knows it completes keys and marks mistakes as they are
typed; profile validate finds those too that a schema cannot, such as a topic
that is named and not declared.`,
		Example: `  alertlab profile schema > profile.schema.json
  # in a profile: yaml-language-server: $schema=profile.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(profiles.Schema())
			return err
		},
	}
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
