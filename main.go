// Command alertlab brings up the Rubin Observatory's alert distribution stack as a
// lab and proves that it works.
package main

import (
	"os"

	"github.com/alertlab/alertlab/cmd"
)

func main() { os.Exit(cmd.Main(os.Args, cmd.Hooks{})) }
