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
		go cmd.Wait() // it usually outlives this process; if not, it is reaped
		return Dial(ctx, dir)
	case ctx.Err() != nil:
		// A runner that nobody asked for anything would own the lab for ever.
		cmd.Process.Kill()
		cmd.Wait()
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
// says that the runner listens. Only the first word is read; without a spawning
// process it says nothing.
func Ready(err error) {
	const pipe = 3
	var st syscall.Stat_t
	if syscall.Fstat(pipe, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return // started by hand: the descriptor is something else
	}
	syscall.CloseOnExec(pipe)
	word := ready
	if err != nil {
		word = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	// The descriptor stays open: were it closed, a second call could write
	// into whatever file has the number by then.
	syscall.Write(pipe, []byte(word+"\n"))
}
