// node is the first program of a node of the rig, and, under other names, its
// k3s, systemctl and journalctl. Everything is in package hack/rig/node.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alertlab/alertlab/hack/rig/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := node.Main(ctx, node.System{Args: os.Args, Env: os.Getenv, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
