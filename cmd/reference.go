package cmd

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Reference gives the verbs as their documentation is made of: with nothing of this
// machine's environment in their defaults, and with completion, which cobra adds
// when a command line is run. The commands are for reading and are not to be run.
func Reference() *cobra.Command {
	nothing := func(string) string { return "" }
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: nothing, environ: func() []string { return nil }}
	root := a.root()
	root.InitDefaultCompletionCmd()
	return root
}
