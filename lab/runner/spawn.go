//go:build unix

package runner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/alertlab/alertlab/lab/state"
)

// Spawn starts a runner for the lab as a process of its own session, so that a
// closed terminal does not reach it, and returns a client once it listens. The
// process runs executable with args; its output goes to the log "runner". It
// must call Ready.
func Spawn(ctx context.Context, dir state.Dir, executable string, args, environ []string) (*Client, error) {
	if err := dir.Create(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(dir.Log("runner"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	heard, said, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer heard.Close()
	cmd := exec.Command(executable, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, log, log
	cmd.ExtraFiles = []*os.File{said} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		said.Close()
		return nil, err
	}
	said.Close()
	// The pipe ends without a word when the process dies before it listens.
	stop := context.AfterFunc(ctx, func() { heard.Close() })
	defer stop()
	line, err := bufio.NewReader(heard).ReadString('\n')
	switch word := strings.TrimSpace(line); {
	case word == ready:
		// Nobody waits for the process: it outlives this one.
		return Dial(ctx, dir)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case word != "":
		cmd.Wait()
		return nil, errors.New(word)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("it ended before it listened (%w); see %s", cmd.Wait(), dir.Log("runner"))
	default:
		return nil, err
	}
}

const ready = "ready"

// Ready tells the process that spawned this one how the start went: err nil
// says that the runner listens.
func Ready(err error) {
	pipe := os.NewFile(3, "ready")
	if pipe == nil {
		return
	}
	defer pipe.Close()
	if err != nil {
		fmt.Fprintln(pipe, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Fprintln(pipe, ready)
}
