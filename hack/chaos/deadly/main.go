// Command deadly is alertlab, which dies or is interrupted where its environment says
// (chaos.CutAt); for hack/chaos alone.
package main

import (
	"os"

	"github.com/alertlab/alertlab/cmd"
	"github.com/alertlab/alertlab/internal/chaos"
)

func main() { os.Exit(cmd.Main(os.Args, cmd.Hooks{Recorder: chaos.Recorder})) }
