package cmd

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestUsagesAreShort keeps what a flag's line says short enough to be read beside its
// name: explanations are the help's body.
func TestUsagesAreShort(t *testing.T) {
	const most = 92 // columns; with the longest names a line has 120
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if n := len(f.Usage); n > most {
				t.Errorf("%s --%s: %d columns: %s", c.CommandPath(), f.Name, n, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(testRoot())
}
