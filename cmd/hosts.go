package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) hosts() *cobra.Command {
	c := &cobra.Command{
		Use:   "hosts",
		Short: "Print the host names of a lab, or put them into /etc/hosts",
		Long: `hosts prints the host names that the profile has for bootstrap, brokers and registry,
each with the address that it stands for in this lab. No lab changes by itself how a
machine finds names: whoever wants them adds the lines to /etc/hosts, or gives them to
a client, as curl --resolve does.

--install puts the lab's own names, bootstrap, broker-ID, registry and alertdb below
LAB.alertlab.test, into /etc/hosts, as a block that --remove takes away again. With
--real-names they are the profile's: this machine then finds the lab where the real
site is. Lines are shown before they are changed, and only shown with --dry-run.`,
		Example: `  sudo alertlab hosts --install
  alertlab hosts --install --file hosts --real-names
  alertlab hosts --remove --dry-run
  alertlab hosts -o json
  alertlab hosts set registry=registry.lab.example`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(a.hostsSet())
	output := outputFlag(c, "hosts", "json")
	var how hostsChange
	c.Flags().BoolVar(&how.install, "install", false, "put the lab's names into the hosts file")
	c.Flags().BoolVar(&how.remove, "remove", false, "take them out again; the lab need not be there any more")
	c.Flags().BoolVar(&how.real, "real-names", false, "with --install: the profile's names in the place of the lab's own")
	c.Flags().BoolVar(&how.dry, "dry-run", false, "with --install or --remove: only show what would be changed")
	c.Flags().StringVar(&how.file, "file", hostsFile, "with --install or --remove: the hosts file")
	c.RunE = func(*cobra.Command, []string) error {
		if err := eitherWay(how.install, how.remove, "hosts"); err != nil {
			return err
		}
		if how.install || how.remove {
			return a.changeHosts(how)
		}
		card, _, err := a.card()
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(append([]endpoints.Host{}, card.Hosts...)) // a list, also when it is empty
		}
		if len(card.Hosts) == 0 {
			_, err := fmt.Fprintf(a.err, "the profile of lab %s names no hosts\n", card.Lab)
			return err
		}
		for _, h := range card.Hosts {
			if _, err := fmt.Fprint(a.out, h.Line()); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

func (a *app) hostsSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set WHAT=HOST...",
		Short: "Give the registry, the bootstrap address or brokers other host names",
		Long: `set gives host names to parts of a living lab, in the place of the profile's: registry,
bootstrap, or a broker by its id, as in broker.0. Where the profile names no brokers,
all of them are named at a time. "alertlab overlay drop host/registry" goes back to
the profile's name.`,
		Example:           `  alertlab hosts set registry=registry.lab.example bootstrap=kafka.lab.example`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"registry=", "bootstrap=", "broker.0="}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace),
	}
	how := editFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		err := a.edit(c, how, func(e *edit) error {
			var unknown []string
			for _, arg := range args {
				of, host, ok := strings.Cut(arg, "=")
				if !ok || host == "" || !e.Overlay.SetHost(of, host) {
					unknown = append(unknown, arg)
				}
			}
			if len(unknown) > 0 {
				return fault.New(fault.BadInput, strings.Join(unknown, ", ")+" cannot be read", "each is written as registry=HOST, bootstrap=HOST or broker.ID=HOST",
					"alertlab hosts set registry=registry.lab.example")
			}
			return nil
		})
		return a.said(err, "the lab has the names; alertlab hosts prints them")
	}
	return c
}
