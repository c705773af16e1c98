package cmd

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/alertlab/alertlab/lab/state"
)

// programs is the table of the observatory's own programs that this binary stands
// in for when it is called by their names, through a link: base name of argv[0] to
// the command that takes their command lines. Each is a root of its own, which
// knows no verb of alertlab and no lab.
func (a *app) programs() map[string]func() *cobra.Command {
	return map[string]func() *cobra.Command{
		"alertdb-ingester": a.referenceIngester,
		"alertdb":          a.referenceServer,
		"rubin-alert-sim":  a.referenceSimulator,
	}
}

// Programs gives the names under which this binary is another program, sorted.
func Programs() []string {
	return slices.Sorted(maps.Keys((&app{}).programs()))
}

// called gives the command that argv0 is the name of: one of the programs, else
// alertlab itself, under whatever name it was installed.
func (a *app) called(argv0 string) *cobra.Command {
	program, ok := a.programs()[filepath.Base(argv0)]
	if !ok {
		return a.root()
	}
	a.lab = state.DefaultLab // remedies name the lab that was asked for, here none
	c := program()
	checkArgs(c)
	c.SilenceUsage, c.SilenceErrors = true, true
	// Its names and nothing beside them: the programs have no verb of cobra's own.
	c.CompletionOptions.DisableDefaultCmd = true
	a.dress(c)
	return c
}

// abbreviated lets a command take a flag by any beginning of its name that no other
// flag has, as the observatory's programs do (Python's argparse). It is called when
// all flags are there.
func abbreviated(c *cobra.Command) {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, given string) pflag.NormalizedName {
		var fit []string
		for _, name := range names {
			if name == given {
				return pflag.NormalizedName(given)
			}
			if strings.HasPrefix(name, given) {
				fit = append(fit, name)
			}
		}
		if len(fit) == 1 {
			given = fit[0]
		}
		return pflag.NormalizedName(given)
	})
}
