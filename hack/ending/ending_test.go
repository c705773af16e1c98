package ending_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"syscall"
	"testing"

	"github.com/alertlab/alertlab/hack/ending"
	"github.com/alertlab/alertlab/lab/fault"
)

// Not parallel: a signal is the whole process's.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		what string
		run  func(context.Context) error
		code int
	}{
		{"well", func(context.Context) error { return nil }, 0},
		{"help", func(context.Context) error { return fmt.Errorf("flags: %w", flag.ErrHelp) }, 0},
		{"badly", func(context.Context) error { return errors.New("no") }, 1},
		{"bad input", func(context.Context) error { return fault.New(fault.BadInput, "no", "", "") }, 2},
		{"interrupted", func(ctx context.Context) error {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
				return err
			}
			<-ctx.Done()
			return fault.New(fault.StepFailed, "what was left could not be deleted", "", "")
		}, 130},
		{"interrupted, and ended well", func(ctx context.Context) error {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}, 130},
	} {
		if got := ending.Main(c.run); got != c.code {
			t.Errorf("%s: exit code %d, want %d", c.what, got, c.code)
		}
	}
}
