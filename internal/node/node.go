// Package node reaches into a node of a cluster that is a container: it runs
// commands there, and brings images into its containerd. It knows the engine's API
// and nothing of Kubernetes, labs and whoever made the cluster.
package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// Docker is what is used of an engine's client.
type Docker interface {
	ContainerExecCreate(ctx context.Context, container string, options container.ExecOptions) (container.ExecCreateResponse, error)
	ContainerExecAttach(ctx context.Context, execID string, options container.ExecAttachOptions) (types.HijackedResponse, error)
	ContainerExecInspect(ctx context.Context, execID string) (container.ExecInspect, error)
}

// Node is one node. It is a bundle.Node.
type Node struct {
	Label     string // the node's name
	Container string // its id, or its name
	Docker    Docker
}

// Name is the name of the node in Kubernetes and of its container.
func (n Node) Name() string { return n.Label }

// ExecError is a command that ended badly in a node.
type ExecError struct {
	Node    string
	Command []string
	Code    int    // exit code
	Stderr  string // its end, at most 2000 bytes
}

func (e *ExecError) Error() string {
	text := fmt.Sprintf("%s in node %s ended with exit code %d", strings.Join(e.Command, " "), e.Node, e.Code)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}
	return text
}

// Exec runs a command in the node, with stdin when it is not nil, and returns what
// it wrote to its standard output. The error is an *ExecError when the command
// ended with an exit code other than zero, and the reader's own when stdin failed.
// When ctx ends the connection is cut; the command itself sees its input end.
func (n Node) Exec(ctx context.Context, stdin io.Reader, command ...string) ([]byte, error) {
	created, err := n.Docker.ContainerExecCreate(ctx, n.Container, container.ExecOptions{
		Privileged: true, AttachStdin: stdin != nil, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Label, err)
	}
	conn, err := n.Docker.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Label, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)()

	source := &watchedReader{r: stdin}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if stdin == nil {
			return
		}
		_, err := io.Copy(conn.Conn, source)
		if err != nil && source.err != nil {
			conn.Close() // half an input must not look like a whole one
			return
		}
		_ = conn.CloseWrite() // fails when the command has ended, which is seen below
	}()
	var out, problems bytes.Buffer
	_, copyErr := stdcopy.StdCopy(&out, &problems, conn.Reader)
	conn.Close() // a command that ended early reads no more
	select {
	case <-fed:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if source.err != nil {
		return nil, fmt.Errorf("the input of %s in node %s failed: %w", command[0], n.Label, source.err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if copyErr != nil {
		return nil, fmt.Errorf("node %s: %w", n.Label, copyErr)
	}
	code, err := n.exitCode(ctx, created.ID)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.Label, err)
	}
	if code != 0 {
		text := strings.TrimSpace(problems.String())
		if len(text) > 2000 {
			text = "..." + text[len(text)-2000:]
		}
		return out.Bytes(), &ExecError{Node: n.Label, Command: command, Code: code, Stderr: text}
	}
	return out.Bytes(), nil
}

// watchedReader keeps the error of a reader, so that it can be told from an error
// of the writer.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(p []byte) (int, error) {
	k, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return k, err
}

// exitCode waits for the engine to notice that a command has ended, which it does
// a little after its output ended and tells by no event on every version.
func (n Node) exitCode(ctx context.Context, id string) (int, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := n.Docker.ContainerExecInspect(ctx, id)
		if err != nil {
			return 0, err
		}
		if !state.Running {
			return state.ExitCode, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// Images returns the images that the node's containerd has for Kubernetes, full
// reference to digest of the manifest (or of the index, where it was imported
// with one).
func (n Node) Images(ctx context.Context) (map[string]string, error) {
	out, err := n.Exec(ctx, nil, "ctr", "-n", "k8s.io", "images", "ls")
	if err != nil {
		return nil, err
	}
	return parseImages(out)
}

// parseImages reads the table of `ctr images ls`: a head line whose first three
// columns are REF, TYPE and DIGEST, then a line for each image.
func parseImages(out []byte) (map[string]string, error) {
	images := map[string]string{}
	head := true
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 {
			return nil, fmt.Errorf("ctr images ls: %q is no line of its table", lines.Text())
		}
		if head {
			if f[0] != "REF" || f[1] != "TYPE" || f[2] != "DIGEST" {
				return nil, fmt.Errorf("ctr images ls: unknown columns %q", lines.Text())
			}
			head = false
			continue
		}
		if !strings.HasPrefix(f[2], "sha256:") {
			return nil, fmt.Errorf("ctr images ls: %q has no digest", lines.Text())
		}
		images[f[0]] = f[2]
	}
	return images, lines.Err()
}

// Load imports a container archive (of `docker save`, or an OCI image layout as a
// tar) into the node's containerd, for Kubernetes. It reads r to its end, or
// until the node fails.
func (n Node) Load(ctx context.Context, r io.Reader) error {
	_, err := n.Exec(ctx, r, "ctr", "-n", "k8s.io", "images", "import", "-")
	return err
}
