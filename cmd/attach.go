package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/event"
)

func (a *app) attach() *cobra.Command {
	c := &cobra.Command{
		Use:     "attach",
		Short:   "Follow the bring-up that goes on in the background",
		Long:    "attach shows the walk that goes on, from its beginning, or the last one, and at\nits end the connection card, as up does, when the lab is ready.\nCtrl-C leaves; the walk goes on.",
		Example: "  alertlab attach",
		Args:    cobra.NoArgs,
	}
	progress := progressFlag(c)
	tuiFlag(c, progress)
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, client, err := a.needRunning(c.Context())
		if err != nil {
			return err
		}
		err = a.follow(c.Context(), *progress, func(ctx context.Context, sink event.Sink) error { return client.Attach(ctx, sink) })
		if errors.Is(err, errDetached) || errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		// The walk may have been one that ended the lab, and its runner with it.
		if st, err := client.Status(c.Context()); err != nil || !st.Ready {
			return nil
		}
		return a.printCard(dir, "card")
	}
	return c
}
