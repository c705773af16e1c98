package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/internal/strictyaml"
	"github.com/alertlab/alertlab/lab/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	r := &rig{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, words: os.Args[1:]}
	root := r.root()
	err := root.ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if err == nil {
		return
	}
	code := fault.CodeOf(err)
	var problems *strictyaml.Problems
	var told *fault.Fault
	switch {
	case interrupted && !(code == fault.Interrupted && errors.As(err, &told)):
		// What a cancelled part says of itself is not the reason; what could not be
		// undone has this code already.
		err, code = fault.New(fault.Interrupted, "interrupted", "what is complete is kept", r.again()), fault.Interrupted
	case errors.As(err, &problems):
		code = fault.BadInput
	}
	fmt.Fprintln(r.err, fault.Text(err))
	os.Exit(int(code))
}

// root is the command line.
func (r *rig) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rig",
		Short: "Real Kubernetes and the stack's real components, from package registries alone",
		Long: `rig makes real Kubernetes clusters and the stack's real components on a machine
that reaches package registries only, no image registry. It builds every part from
its published source or package, makes images and a bundle of them without any
engine, and starts clusters out of them on a Docker engine: the one that is there,
or one of its own where none answers (root on Debian).

Everything is kept in one cache folder ($ALERTLAB_RIG_CACHE, else alertlab/rig in
the user's cache folder) under keys made of the pins: a second run only looks.

Exit codes of the built program (go run makes 1 of all but 0): 0 ok, 1 a step
failed, 2 bad input, 3 there is no such cluster, 130 interrupted.`,
		Example: `  go run ./hack/rig doctor     # what this machine has, before anything is done
  go run ./hack/rig all        # engine, parts, images, bundle
  go run ./hack/rig cluster    # a cluster; its kubeconfig is printed
  go run ./hack/rig down       # takes every cluster away`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return r.open() },
	}
	root.Args = cobra.NoArgs
	root.SetIn(r.in)
	root.SetOut(r.out)
	root.SetErr(r.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Wrap(fault.BadInput, "the command line cannot be read", err, "go run ./hack/"+c.CommandPath()+" --help")
	})
	root.AddCommand(r.all(), r.doctor(), r.engine(), r.partsVerb(), r.imagesVerb(), r.bundleVerb(),
		r.clusterVerb(), r.down(), r.clean(), r.pin(), r.e2e(), r.benchVerb(), r.env())
	strict(root)
	return root
}

// strict makes wrong words bad input, for every command below c.
func strict(c *cobra.Command) {
	for _, sub := range c.Commands() {
		args := sub.Args
		if args == nil {
			args = cobra.NoArgs
		}
		sub.Args = func(c *cobra.Command, words []string) error {
			return fault.Wrap(fault.BadInput, "the command line cannot be read", args(c, words), "go run ./hack/"+c.CommandPath()+" --help")
		}
		strict(sub)
	}
}
