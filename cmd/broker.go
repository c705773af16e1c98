package cmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) broker() *cobra.Command {
	c := &cobra.Command{
		Use:   "broker",
		Short: "Kill a broker, restart it",
		Long: `broker takes single brokers of the running lab away and brings them back, so that a
client can be tried while its cluster is incomplete. "alertlab status" and "alertlab
console brokers" show a killed broker; "alertlab up" brings every one back.`,
		Example: `  alertlab broker kill 2
  alertlab broker restart 2
  alertlab broker restart --all`,
	}
	c.AddCommand(a.brokerKill(), a.brokerRestart())
	return c
}

func (a *app) brokerKill() *cobra.Command {
	return &cobra.Command{
		Use:   "kill ID",
		Short: "Kill a broker, as if its machine had gone",
		Long: `kill cuts the connections of a broker and lets nothing answer at its address.

The embedded brokers store every record once, on one disk, whatever the number of
replicas says: partitions of a killed broker are led by the others, with all that is
stored. So this tries what a client does when a broker goes and its leaders move,
not whether a cluster survives the loss of a disk.

On Kubernetes the broker's pod is deleted without a time for its end. Nobody says
goodbye to clients, and Kubernetes makes the pod anew at once, on the same volume:
"alertlab status" and "alertlab broker restart" tell when it is back.`,
		Example: `  alertlab broker kill 2
  alertlab console brokers`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeBrokers,
		RunE: func(c *cobra.Command, args []string) error {
			b, control, err := a.controlled(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := control.KillBroker(c.Context(), b.ID); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, brokerKilled(b))
			return err
		},
	}
}

// What is said of brokers that were killed and came back.
const brokersRestarted = "all brokers are restarted and answer"

func brokerKilled(b endpoints.Broker) string {
	return fmt.Sprintf("broker %d at %s is killed", b.ID, b.Address)
}
func brokerAnswers(b endpoints.Broker) string {
	return fmt.Sprintf("broker %d answers at %s", b.ID, b.Address)
}

func (a *app) brokerRestart() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "restart ID | --all",
		Short: "Bring a killed broker back, or restart all of them",
		Long: `restart brings a killed broker back at its address and returns when it answers; a
broker that lives is left alone. With --all every broker is ended, and all of them
start again on what they have stored, as after a restart of the whole cluster.

On Kubernetes, where a killed broker comes back by itself, restart ends the pod of one
that lives as Kubernetes ends any, with a minute for its goodbyes, and returns when the
one that is made anew answers.`,
		Example: `  alertlab broker restart 2
  alertlab broker restart --all`,
		ValidArgsFunction: a.completeBrokers,
		Args:              cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&all, "all", false, "end every broker and start all of them again")
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) == 1) {
			return fault.New(fault.BadInput, "a broker's id or --all is needed, and not both", "each says what to restart", "alertlab broker restart --help")
		}
		if all {
			control, err := a.brokerControl(c.Context())
			if err != nil {
				return err
			}
			if err := control.RestartBrokers(c.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, brokersRestarted)
			return err
		}
		b, control, err := a.controlled(c.Context(), args[0])
		if err != nil {
			return err
		}
		if err := control.RestartBroker(c.Context(), b.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, brokerAnswers(b))
		return err
	}
	return c
}

// controlled finds a broker of the running lab by its id, and the lab's control of
// its brokers.
func (a *app) controlled(ctx context.Context, arg string) (endpoints.Broker, endpoints.BrokerControl, error) {
	const next = "alertlab console brokers"
	id, err := console.ParseBroker(arg)
	if err != nil {
		return endpoints.Broker{}, nil, fault.Wrap(fault.BadInput, "the broker cannot be found", err, next)
	}
	control, err := a.brokerControl(ctx)
	if err != nil {
		return endpoints.Broker{}, nil, err
	}
	card, _, err := a.card()
	if err != nil {
		return endpoints.Broker{}, nil, err
	}
	i := slices.IndexFunc(card.Kafka.Brokers, func(b endpoints.Broker) bool { return b.ID == id })
	if i < 0 {
		var known []string
		for _, b := range card.Kafka.Brokers {
			known = append(known, strconv.Itoa(int(b.ID)))
		}
		return endpoints.Broker{}, nil, fault.New(fault.BadInput, fmt.Sprintf("lab %s has no broker %d", card.Lab, id), "there are: "+strings.Join(known, ", "), next)
	}
	return card.Kafka.Brokers[i], control, nil
}

func (a *app) brokerControl(ctx context.Context) (endpoints.BrokerControl, error) {
	dir, client, err := a.needRunning(ctx)
	if err != nil {
		return nil, err
	}
	control, err := client.BrokerControl(ctx)
	if err == nil && control == nil {
		err = fault.New(fault.StepFailed, fmt.Sprintf("lab %s has no broker control", dir.Lab()), "its brokers do not run yet, or its provider offers none", "alertlab status")
	}
	return control, err
}

// completeBrokers offers the ids of the card.
func (a *app) completeBrokers(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	dir, err := a.dir()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	card, err := dir.Endpoints()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, b := range card.Kafka.Brokers {
		ids = append(ids, fmt.Sprintf("%d\t%s", b.ID, b.Address))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
