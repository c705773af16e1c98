package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/endpoints"
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
  alertlab hosts -o json`,
		Args: cobra.NoArgs,
	}
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
			if _, err := fmt.Fprintf(a.out, "%s\t%s\n", h.Address, h.Name); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
