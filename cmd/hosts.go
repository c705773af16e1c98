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
		Short: "Print the host names of a lab as lines for /etc/hosts",
		Long: `hosts prints the host names that the profile has for bootstrap, brokers and registry,
each with the address that it stands for in this lab. No lab changes how a machine
finds names: whoever wants them adds the lines to /etc/hosts, or gives them to a
client, as curl --resolve does.`,
		Example: `  alertlab hosts | sudo tee -a /etc/hosts
  alertlab hosts -o json
  alertlab hosts set registry=registry.lab.example`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(a.hostsSet())
	output := outputFlag(c, "hosts", "json")
	c.RunE = func(*cobra.Command, []string) error {
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
