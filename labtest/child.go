package labtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/alertlab/alertlab/alerts/objectstore/gateway"
	"github.com/alertlab/alertlab/provider/embedded/objectstore"
)

// A test binary that is started as the object store of its own lab never gets as far as
// its tests: see the package's comment.
func init() {
	if !testing.Testing() || len(os.Args) != 2 || os.Args[1] != objectstore.Subcommand {
		return
	}
	if err := gateway.ServeMain(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
