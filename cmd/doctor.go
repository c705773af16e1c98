package cmd

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/doctor"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) doctor() *cobra.Command {
	var ch choice
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether everything is there that a lab needs",
		Long: `doctor looks at what a lab of the profile needs on the provider, each thing with its
remedy, and changes nothing: memory, disk and limits of the kernel; the container
engine, its privileges and images; routes and addresses; on a cluster that is there
already nodes, rights, storage classes and namespaces. The exit code is 1 when
anything keeps a lab from coming up.`,
		Example: `  alertlab doctor
  alertlab doctor --provider k3d --profile ci
  alertlab doctor --provider existing --context my-cluster --images-loaded
  alertlab doctor -o json | jq '.[] | select(.grade != "ok")'`,
		Args: cobra.NoArgs,
	}
	ch.flags(c)
	output := outputFlag(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		desc, err := a.describe(dir, ch)
		if err != nil {
			return err
		}
		executable, err := os.Executable()
		if err != nil {
			return err
		}
		findings := catalog.Doctor(c.Context(), desc, dir.Root(), executable)
		if *output == "json" {
			err = a.printJSON(findings)
		} else {
			_, err = fmt.Fprint(a.out, doctor.Table(findings))
		}
		if err != nil {
			return err
		}
		if doctor.Failed(findings) {
			bad := 0
			for _, f := range findings {
				if f.Grade == doctor.Bad {
					bad++
				}
			}
			return fault.New(fault.StepFailed, "a lab would not come up", fmt.Sprintf("%d of %d things stand against it", bad, len(findings)), "do what stands under each that is bad, then: alertlab doctor")
		}
		return nil
	}
	return c
}
