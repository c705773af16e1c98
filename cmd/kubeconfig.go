package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/lab/catalog"
	"github.com/alertlab/alertlab/lab/fault"
)

func (a *app) kubeconfig() *cobra.Command {
	var path bool
	c := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the kubeconfig of a lab on Kubernetes",
		Long: `kubeconfig prints the kubeconfig of the lab's cluster, or with --path the file that
holds it, which belongs to this user alone. Your own kubeconfig is never changed.`,
		Example: `  export KUBECONFIG=$(alertlab kubeconfig --path)
  alertlab kubeconfig > lab.kubeconfig`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&path, "path", false, "print the path of the file instead")
	c.RunE = func(*cobra.Command, []string) error {
		dir, err := a.needLab()
		if err != nil {
			return err
		}
		desc, err := dir.Describe()
		if err != nil {
			return err
		}
		if desc.Provider == catalog.Embedded {
			return fault.New(fault.BadInput, fmt.Sprintf("lab %s has no cluster", dir.Lab()), "it is embedded, and runs in one process", "alertlab up --lab ANOTHER --provider "+catalog.K3d)
		}
		text, err := os.ReadFile(dir.Kubeconfig())
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.NoLab, fmt.Sprintf("lab %s has no kubeconfig", dir.Lab()), "its cluster was never made", "alertlab up --lab "+dir.Lab())
		}
		if err != nil {
			return err
		}
		if path {
			_, err = fmt.Fprintln(a.out, dir.Kubeconfig())
			return err
		}
		_, err = a.out.Write(text)
		return err
	}
	return c
}
