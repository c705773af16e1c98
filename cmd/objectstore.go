package cmd

import (
	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/provider/embedded/objectstore"
)

// objectStore is the hidden verb of the S3 server's child process.
func (a *app) objectStore() *cobra.Command {
	return &cobra.Command{
		Use: objectstore.Subcommand, Hidden: true, Args: cobra.NoArgs,
		Short: "Serve a folder as S3 (started by the lab; reads its configuration from standard input)",
		RunE:  func(c *cobra.Command, _ []string) error { return gateway.ServeMain(c.Context(), a.in, a.out) },
	}
}
