package cmd

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Bytes do not go to a terminal: it would take them for its own orders. A pseudo-terminal
// stands for one.
func TestWireIsNotForATerminal(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux makes a pseudo-terminal by opening /dev/ptmx")
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	a := &app{in: strings.NewReader(""), out: tty, err: io.Discard, getenv: func(string) string { return "" }, environ: func() []string { return nil }}
	root := a.root()
	root.SetArgs([]string{"alertdb", "get", "1", "--output", "wire"})
	if err := root.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), "an alert's bytes are not for a terminal") {
		t.Errorf("got %v", err)
	}
}
