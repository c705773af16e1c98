package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/lab/fault"
)

func (r *rig) doctor() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "doctor",
		Short:   "Look at everything the rig depends on, and change nothing",
		Example: "  rig doctor\n  rig doctor --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			needs, err := r.needs(c.Context())
			if err != nil {
				return err
			}
			needs.Registries, needs.Privileges = true, true
			list := engine.Doctor(c.Context(), r.engineOptions(), needs)
			if err := r.print(output, list, func(w io.Writer) {
				for _, f := range list {
					fmt.Fprintln(w, f)
				}
			}); err != nil {
				return err
			}
			return wrong(list)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return c
}

// wrong makes a fault of the findings that keep the rig from working.
func wrong(list []engine.Finding) error {
	bad := engine.Problems(list, engine.Bad)
	if len(bad) == 0 {
		return nil
	}
	var why, next []string
	for _, f := range bad {
		reason := f.Name + ": " + f.What
		if f.Why != "" {
			reason += " (" + f.Why + ")"
		}
		why = append(why, reason)
		if f.Next != "" {
			next = append(next, f.Next)
		}
	}
	return fault.New(fault.StepFailed, "this machine cannot run the rig", strings.Join(why, "; "), strings.Join(next, "\n"))
}

// needImages is what images, the node image, the bundle and the engine's copy of the
// node image take on the disk, in bytes, as was seen.
const needImages = 2.5e9

// needs are what is still to be made: little where every part is there.
func (r *rig) needs(ctx context.Context) (engine.Needs, error) {
	pins, missing, err := r.missing(ctx)
	if err != nil {
		return engine.Needs{}, err
	}
	if len(missing) == 0 {
		return engine.Needs{Disk: needImages}, nil
	}
	return engine.Needs{Registries: true, Disk: pins.Need(missing).Least + needImages}, nil
}

// ready looks at the machine before anything is begun. Warnings are printed.
func (r *rig) ready(ctx context.Context) error {
	needs, err := r.needs(ctx)
	if err != nil {
		return err
	}
	r.checked = true
	list := engine.Doctor(ctx, r.engineOptions(), needs)
	for _, f := range engine.Problems(list, engine.Warn) {
		if f.Grade == engine.Warn {
			r.say("doctor: %s", f)
		}
	}
	return wrong(list)
}

func (r *rig) engine() *cobra.Command {
	var stop bool
	c := &cobra.Command{
		Use:   "engine",
		Short: "Find a Docker engine, or start one of the rig's own",
		Long: `engine prints how a Docker client reaches the engine that the rig uses: the one
that DOCKER_HOST or a context names, the rig's own if it runs, the one at Docker's
usual place, else one that it installs (docker.io from Debian) and starts, as root on
Debian. An engine that is there is used as it is. --stop ends the rig's own, with
every cluster that runs on it, and keeps its images for the next start.`,
		Example: "  rig engine\n  eval \"$(go run ./hack/rig engine)\"; docker ps\n  rig engine --stop",
		RunE: func(c *cobra.Command, _ []string) error {
			if stop {
				return engine.Stop(c.Context(), r.engineOptions())
			}
			return r.withEngine(c.Context(), func(e *engine.Engine) error {
				r.say("engine: %s", e)
				for _, line := range e.Environ() {
					name, value, _ := strings.Cut(line, "=")
					fmt.Fprintf(r.out, "export %s=%q\n", name, value)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&stop, "stop", false, "stop the rig's own engine")
	return c
}
