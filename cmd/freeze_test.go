package cmd_test

import (
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/alertlab/alertlab/internal/chaos"
)

// freeze VERB stops the script's processes that were started with a verb where they
// are; "! freeze VERB" lets them go on.
func freeze(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: freeze VERB")
	}
	found := chaos.Running(ts.Getenv("ALERTLAB_STATE_DIR"), args[0])
	if len(found) == 0 {
		ts.Fatalf("no %s runs", args[0])
	}
	with := syscall.SIGSTOP
	if neg {
		with = syscall.SIGCONT
	}
	for _, p := range found {
		ts.Check(syscall.Kill(p.PID, with))
	}
}
