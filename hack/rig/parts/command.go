package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// registry is a kind of package registry, for the message when it cannot be
// reached. Which one it is, only the settings of its client say.
type registry struct {
	name     string // what it serves
	settings string // what decides which one is asked
}

var (
	goRegistry     = registry{"Go modules", "`go env GOPROXY GOSUMDB` and HTTPS_PROXY"}
	mavenRegistry  = registry{"Maven artifacts", "settings.xml of Maven (`mvn help:effective-settings`)"}
	debianRegistry = registry{"Debian packages", "the sources and the proxy of apt (`apt-config dump Acquire`)"}
)

// stopGrace is how long a cancelled program may take to remove its temporary
// files before its process group is killed.
const stopGrace = 10 * time.Second

// command runs build tools. Their output goes to a log file, and its end into
// the error.
type command struct {
	dir      string    // working directory
	env      []string  // added to that of this process
	log      string    // path of the log file, appended to
	registry registry  // asked for what is missing
	stdout   io.Writer // when set, the program's output goes there instead of the log
	root     string    // when set, the program runs with this as its root directory
}

// run runs a program in a process group of its own, so that nothing it
// started survives a cancelled ctx. The error is that of ctx, of the log
// file, or a *fault.Fault.
func (c command) run(ctx context.Context, name string, args ...string) error {
	if err := os.MkdirAll(filepath.Dir(c.log), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "$ %s %s\n", name, strings.Join(args, " "))
	end := new(tail)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stderr = io.MultiWriter(log, end)
	cmd.Stdout = cmd.Stderr
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Chroot: c.root}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	err = cmd.Run()
	if cmd.Process != nil {
		// Whoever is left of the group has outlived its grace. No process is
		// the usual answer.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	fmt.Fprintf(log, "%v\n", err)
	return c.explain(name, err, end.String())
}

var (
	noNetwork = regexp.MustCompile(`(?i)dial tcp|no such host|connection (refused|reset|timed out)|i/o timeout|TLS handshake|proxyconnect|network is unreachable|temporary failure (in name resolution|resolving)|could not (resolve|connect)|unknown host|(403|404|410|429|5\d\d) [A-Z][a-z]+|status code: \d+|could not transfer artifact|failed to fetch|x509: `)
	noSpace   = regexp.MustCompile(`(?i)no space left on device|disk quota exceeded`)
	noMemory  = regexp.MustCompile(`(?i)signal: killed|cannot allocate memory|out of memory`)
)

// explain makes a fault of a program's failure from what it printed.
func (c command) explain(name string, err error, output string) error {
	f := &fault.Fault{
		What: name + " failed",
		Why:  fmt.Sprintf("%v; the end of its output:\n%s", err, output),
		Next: "read " + c.log,
		Err:  err,
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		f.Why = "it is not installed"
		f.Next = "install it, and put it on the PATH"
	case noSpace.MatchString(output):
		f.What = name + " failed for want of room on the disk"
		f.Next = "free some, or name a folder on another disk in ALERTLAB_RIG_CACHE; what is complete is kept"
	case noMemory.MatchString(output + err.Error()):
		f.What = name + " failed, most likely for want of memory"
		f.Next = "end other programs and run it again; what is complete is kept\nread " + c.log
	case c.registry.name != "" && noNetwork.MatchString(output):
		f.What = "the registry of " + c.registry.name + " did not give what " + name + " asked for"
		f.Next = "check " + c.registry.settings + ", which decide where it is\nread " + c.log
	}
	return f
}

// tail is a writer that keeps the last lines.
type tail struct{ data []byte }

const (
	tailLines = 12
	tailBytes = 4096
)

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if n := len(t.data) - tailBytes; n > 0 {
		t.data = append(t.data[:0], t.data[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	lines := bytes.Split(bytes.TrimSpace(t.data), []byte("\n"))
	return strings.ToValidUTF8(string(bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n"))), "?")
}
