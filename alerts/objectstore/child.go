package objectstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/alertlab/alertlab/alerts/objectstore/internal/childproto"
)

// Config says how to start the child process and what it serves.
type Config struct {
	// Executable is the program to run; empty means our own binary.
	Executable string
	// Args make that program call gateway.ServeMain.
	Args []string
	// Root is the folder that the child owns; it is made if missing. Objects
	// lie in Root/buckets/<bucket>/<key>.
	Root string
	// Address is host:port; port 0 takes any free one (see Child.Address).
	Address string
	// AccessKey and SecretKey are the only credentials that are accepted.
	AccessKey, SecretKey string
	// Region is us-east-1 if empty.
	Region string
	// Log receives the child's log lines; nil discards them.
	Log io.Writer
}

// StartError says why a child did not come up.
type StartError struct {
	Root, Address string
	// Reason is the child's own words where it could say them.
	Reason string
	Err    error
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("object store for %s at %s did not start", e.Root, e.Address)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *StartError) Unwrap() error { return e.Err }

// Child is a running object store process.
type Child struct {
	cmd      *exec.Cmd
	stdin    io.Closer
	address  string
	metadata string
	done     chan error
	exited   chan struct{}
	stopOnce sync.Once
	stopping chan struct{}
}

// StartChild starts the child and waits until it answers S3 requests. It fails
// with *StartError. The child outlives ctx: only Stop, or the end of our own
// process however it comes about, ends it.
func StartChild(ctx context.Context, cfg Config) (*Child, error) {
	failed := func(reason string, err error) error {
		return &StartError{Root: cfg.Root, Address: cfg.Address, Reason: reason, Err: err}
	}
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		return nil, failed("", err)
	}
	executable := cfg.Executable
	if executable == "" {
		if executable, err = os.Executable(); err != nil {
			return nil, failed("", err)
		}
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	line, err := json.Marshal(childproto.Config{
		Root: root, Address: cfg.Address, Region: cfg.Region,
		AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey,
	})
	if err != nil {
		return nil, failed("", err)
	}

	log := &lockedWriter{w: cfg.Log}
	cmd := exec.Command(executable, cfg.Args...)
	// A group of its own keeps the terminal's Ctrl-C away from the child: it
	// must outlive the writers in this process that are still draining.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, failed("", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, failed("", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, failed("", err)
	}

	c := &Child{
		cmd: cmd, stdin: stdin,
		done: make(chan error, 1), exited: make(chan struct{}), stopping: make(chan struct{}),
	}
	answer := make(chan childproto.Message, 1)
	go func() {
		readMessages(stdout, answer, log)
		c.reap()
	}()

	if _, err := stdin.Write(append(line, '\n')); err != nil {
		c.kill()
		return nil, failed("it did not take its configuration", err)
	}
	select {
	case m := <-answer:
		if m.Ready {
			c.address, c.metadata = m.Address, m.Metadata
			return c, nil
		}
		c.kill()
		return nil, failed(m.Failed, nil)
	case <-c.exited:
		// The answer and the exit may have come together.
		select {
		case m := <-answer:
			return nil, failed(m.Failed, nil)
		default:
			return nil, failed("it exited without an answer", <-c.done)
		}
	case <-ctx.Done():
		c.kill()
		return nil, failed("it gave no answer in time", ctx.Err())
	}
}

// readMessages passes the first message on and everything else to the log,
// until the child closes its end.
func readMessages(r io.Reader, answer chan<- childproto.Message, log io.Writer) {
	lines := bufio.NewReader(r)
	answered := false
	for {
		line, err := lines.ReadBytes('\n')
		var m childproto.Message
		if !answered && bytes.HasPrefix(line, []byte("{")) &&
			json.Unmarshal(line, &m) == nil && m.Alertlab == childproto.Mark {
			answered = true
			answer <- m
		} else if len(line) > 0 {
			log.Write(line)
		}
		if err != nil {
			return
		}
	}
}

// reap waits for the process and reports its end once.
func (c *Child) reap() {
	err := c.cmd.Wait()
	select {
	case <-c.stopping:
		err = nil // we asked for it, so however it ended is no news
	default:
		if err == nil {
			err = errors.New("object store exited by itself")
		}
	}
	c.done <- err
	close(c.done)
	close(c.exited)
}

func (c *Child) kill() {
	c.cmd.Process.Kill()
	c.stdin.Close()
	<-c.exited
}

// Address is the host:port at which the child answers.
func (c *Child) Address() string { return c.address }

// Endpoint is the URL for ClientConfig.Endpoint.
func (c *Child) Endpoint() string { return "http://" + c.address }

// Metadata says where object metadata is kept: "xattr", or "sidecar" on file
// systems without extended attributes (twice the files, slower).
func (c *Child) Metadata() string { return c.metadata }

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done yields one value when the process has ended and is then closed: nil
// after Stop, else the reason.
func (c *Child) Done() <-chan error { return c.done }

// Stop lets requests in progress finish and waits for the process to end. When
// ctx ends first, the process is killed; objects are put in place whole, so
// that a kill leaves none half written.
func (c *Child) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() {
		close(c.stopping)
		c.stdin.Close()
	})
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		c.cmd.Process.Kill()
		<-c.exited
		return ctx.Err()
	}
}

// lockedWriter joins the child's two output streams into one log.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	if l.w == nil {
		return len(p), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
