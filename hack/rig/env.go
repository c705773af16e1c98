package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/hack/rig/images"
	"github.com/alertlab/alertlab/lab/fault"
)

// env gives the product itself what the rig made, as its user would.
func (r *rig) env() *cobra.Command {
	c := &cobra.Command{
		Use:   "env [-- COMMAND [ARGUMENT...]]",
		Short: "Print what a lab on Kubernetes needs of the rig, or run a command with it",
		Long: `env makes what is not there yet, as "all" does, and prints the variables with which
alertlab makes labs on the rig's engine, of its node image and bundle. With a command
it runs that with them, and ends as it does.`,
		Example: `  eval "$(go run ./hack/rig env)"; alertlab up --provider k3d --profile ci
  rig env -- make chaos-kubernetes`,
		RunE: func(c *cobra.Command, words []string) error {
			return r.withNode(c.Context(), func(e *engine.Engine, made images.Result) error {
				list := append(e.Environ(), "ALERTLAB_NODE_IMAGE="+made.Node.Reference, "ALERTLAB_BUNDLE="+r.bundleFile(), "K3D_IMAGE_TOOLS="+made.Reference("k3d-tools"))
				if len(words) == 0 {
					for _, line := range list {
						fmt.Fprintln(r.out, "export "+line)
					}
					return nil
				}
				cmd := exec.CommandContext(c.Context(), words[0], words[1:]...)
				cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), list...), r.in, r.out, r.err
				// Ctrl-C reaches it as it reaches us; it is given time to clean up.
				cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
				cmd.WaitDelay = 5 * time.Minute
				err := cmd.Run()
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					return fault.New(fault.StepFailed, words[0]+" failed", "see its output above", r.again())
				}
				return err
			})
		},
	}
	c.Args = cobra.ArbitraryArgs
	return c
}
