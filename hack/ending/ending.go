// Package ending is how the programs of hack begin and end: signals in, an exit code out,
// as with alertlab itself. It knows nothing of what they do.
package ending

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alertlab/alertlab/lab/fault"
)

// Main runs a program, prints its error on standard error and gives its exit code: that
// of the fault, 1 for another error, 130 for an interruption. The first SIGINT or SIGTERM
// cancels the context and lets the program clean up, the second ends the process at
// once. A flag.ErrHelp is no error: who asked for help has it.
func Main(run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	err := run(ctx)
	if errors.Is(err, flag.ErrHelp) {
		return int(fault.OK)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, fault.Text(err))
	}
	if ctx.Err() != nil {
		return int(fault.Interrupted)
	}
	return int(fault.CodeOf(err))
}
