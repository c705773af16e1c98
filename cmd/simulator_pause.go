package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
)

// simulatorComponent is the key of the part that plays visits.
const simulatorComponent = "simulator"

func (a *app) simulatorPause() *cobra.Command {
	return a.simulatorOrder("pause", "Let the lab's simulator start no more visits",
		`pause lets the visit under way end and starts no other, until "alertlab simulator
resume". The lab stays as it is: consumers find a topic that no longer grows.

A pause belongs to the running lab. It outlives a change of the lab by up; a lab
that was taken down, or that died, plays again when up brings it back. So does a pod
that Kubernetes makes anew by itself. status shows the pause, and how many visits it
has cost.`)
}

func (a *app) simulatorResume() *cobra.Command {
	return a.simulatorOrder("resume", "Let the lab's simulator play again after a pause",
		`resume ends a pause. Visits keep the grid of times that they had: the first one
starts at the next point of it, and the points that passed are not made up for.`)
}

// simulatorOrder is a verb that the lab's own simulator carries out.
func (a *app) simulatorOrder(verb, short, long string) *cobra.Command {
	c := &cobra.Command{Use: verb, Short: short, Long: long, Example: "  alertlab simulator " + verb, Args: cobra.NoArgs}
	output := outputFlag(c, "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, client, err := a.needRunning(c.Context())
		if err != nil {
			return err
		}
		said, err := client.Control(c.Context(), simulatorComponent, verb)
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.printJSON(struct {
				Lab  string `json:"lab"`
				Verb string `json:"verb"`
				Said string `json:"said"`
			}{dir.Lab(), verb, said})
		}
		_, err = fmt.Fprintf(a.out, "the simulator of lab %s: %s\n", dir.Lab(), said)
		return err
	}
	return c
}
