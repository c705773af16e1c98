package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/hack/rig/node/k3s"
	"github.com/alertlab/alertlab/hack/rig/node/service"
	"github.com/alertlab/alertlab/lab/fault"
)

// System is what the program gets from its process.
type System struct {
	Args     []string // with the program's name
	Env      func(string) string
	Out, Err io.Writer
}

// Main does what the program's name and words ask for and returns the exit
// code. A node runs until ctx ends.
func Main(ctx context.Context, s System) int {
	name, words := filepath.Base(s.Args[0]), s.Args[1:]
	switch name {
	case "systemctl":
		return service.Systemctl(ctx, controlSocket, words, s.Out, s.Err)
	case "journalctl":
		return code(s.Err, journal(words, logDir, s.Out))
	}
	if name != "k3s" && len(words) > 0 && (words[0] == "plain" || words[0] == "k3s") {
		words = words[1:]
	}
	if len(words) > 0 {
		switch words[0] {
		case "noop":
			<-ctx.Done()
			return 0
		case "kubectl", "ctr", "crictl":
			return code(s.Err, become(words))
		case "--version", "-v":
			release, err := version()
			if err == nil {
				fmt.Fprintf(s.Out, "k3s version %s (kubeadm; not k3s itself)\n", release)
			}
			return code(s.Err, err)
		}
	}
	return code(s.Err, s.run(ctx, name, words))
}

// code prints an error and gives its exit code.
func code(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(w, fault.Text(err))
	return int(fault.CodeOf(err))
}

// run is a node. Its error is also the last line of its log.
func (s System) run(ctx context.Context, name string, words []string) error {
	log := NewLog(s.Err)
	services := service.New(log)
	ctx, cancel := context.WithCancel(ctx)
	b := &base{log: log, services: services}
	err := func() error {
		if name != "k3s" && len(words) == 0 {
			// kind sets KUBECONFIG on control planes, and only there.
			return b.runKind(ctx, s.Env("KUBECONFIG") != "", s.Out)
		}
		o, err := k3s.Parse(words, s.Env)
		if err != nil {
			return err
		}
		return b.runK3s(ctx, o)
	}()
	stopped := ctx.Err() != nil
	cancel()
	services.Wait()
	if stopped && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	if err != nil {
		log.Log(context.Background(), levelFatal, err.Error())
	}
	return err
}

// become replaces the process by another program.
func become(words []string) error {
	path, err := exec.LookPath(words[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, words, os.Environ())
}

// journal prints the log of one service, or of all: what kind collects.
func journal(words []string, dir string, out io.Writer) error {
	only := ""
	for i, w := range words {
		if w == "-u" && i+1 < len(words) {
			only = words[i+1]
		} else if v, ok := strings.CutPrefix(w, "--unit="); ok {
			only = v
		}
	}
	names := []string{"containerd", "kubelet"}
	if only != "" {
		names = []string{strings.TrimSuffix(filepath.Base(only), ".service")}
	}
	for _, n := range names {
		f, err := os.Open(filepath.Join(dir, n+".log"))
		if errors.Is(err, os.ErrNotExist) {
			continue // it never ran
		}
		if err != nil {
			return err
		}
		_, err = io.Copy(out, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
