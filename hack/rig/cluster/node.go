package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/alertlab/alertlab/lab/fault"
)

// Node is one node: a container, and a node of Kubernetes of the same name.
type Node struct {
	name     string
	role     Role
	id       string
	docker   *client.Client
	clusters *Clusters
	cluster  *Cluster
}

// Name is the name of the node in Kubernetes and of its container.
func (n *Node) Name() string { return n.name }

// Role says whether it is a server or an agent.
func (n *Node) Role() Role { return n.role }

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
func (n *Node) Exec(ctx context.Context, stdin io.Reader, command ...string) ([]byte, error) {
	created, err := n.docker.ContainerExecCreate(ctx, n.id, container.ExecOptions{
		Privileged: true, AttachStdin: stdin != nil, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.name, err)
	}
	conn, err := n.docker.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.name, err)
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
		return nil, fmt.Errorf("the input of %s in node %s failed: %w", command[0], n.name, source.err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if copyErr != nil {
		return nil, fmt.Errorf("node %s: %w", n.name, copyErr)
	}
	code, err := n.exitCode(ctx, created.ID)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.name, err)
	}
	if code != 0 {
		text := strings.TrimSpace(problems.String())
		if len(text) > 2000 {
			text = "..." + text[len(text)-2000:]
		}
		return out.Bytes(), &ExecError{Node: n.name, Command: command, Code: code, Stderr: text}
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
func (n *Node) exitCode(ctx context.Context, id string) (int, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := n.docker.ContainerExecInspect(ctx, id)
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
func (n *Node) Images(ctx context.Context) (map[string]string, error) {
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
func (n *Node) Load(ctx context.Context, r io.Reader) error {
	_, err := n.Exec(ctx, r, "ctr", "-n", "k8s.io", "images", "import", "-")
	return err
}

// Address is the node's address in the cluster's network now; it may be another
// one after a restart. The error says so when the node does not run.
func (n *Node) Address(ctx context.Context) (string, error) {
	c, err := n.docker.ContainerInspect(ctx, n.id)
	if err != nil {
		return "", err
	}
	if c.NetworkSettings != nil {
		if e := c.NetworkSettings.Networks[n.cluster.Network]; e != nil && e.IPAddress != "" {
			return e.IPAddress, nil
		}
	}
	return "", fmt.Errorf("node %s has no address: it is %s", n.name, c.State.Status)
}

// LogTail returns the last lines that the node itself wrote.
func (n *Node) LogTail(ctx context.Context, lines int) (string, error) {
	r, err := n.docker.ContainerLogs(ctx, n.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines)})
	if err != nil {
		return "", err
	}
	defer r.Close()
	c, err := n.docker.ContainerInspect(ctx, n.id)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if c.Config != nil && c.Config.Tty { // kind's nodes: one stream, not framed
		_, err = io.Copy(&b, r)
	} else {
		_, err = stdcopy.StdCopy(&b, &b, r)
	}
	return strings.TrimRight(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n"), err
}

// stopGrace is how long a node may take to end, in seconds; it takes less than one.
const stopGrace = 20

// Stop stops the node, as a machine that goes away: Kubernetes is told nothing.
func (n *Node) Stop(ctx context.Context) error {
	grace := stopGrace
	err := n.docker.ContainerStop(ctx, n.id, container.StopOptions{Timeout: &grace})
	return fault.Wrap(fault.StepFailed, "node "+n.name+" cannot be stopped", err, "go run ./hack/rig cluster list")
}

// startTime bounds a Start; nodes of an idle machine take 2 s to 10 s.
const startTime = 2 * time.Minute

// Start starts a stopped node and returns when Kubernetes says that it is Ready
// and has said so since the start, at most 2 minutes later.
func (n *Node) Start(ctx context.Context) error {
	if err := n.docker.ContainerStart(ctx, n.id, container.StartOptions{}); err != nil {
		return fault.Wrap(fault.StepFailed, "node "+n.name+" cannot be started", err, "go run ./hack/rig cluster list")
	}
	c, err := n.docker.ContainerInspect(ctx, n.id)
	if err != nil {
		return err
	}
	began, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil {
		return fmt.Errorf("node %s: start time %q: %w", n.name, c.State.StartedAt, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it was not Ready after %s", startTime))
	defer cancel()
	if err := waitNodes(ctx, n.cluster.Kubeconfig, readiness{want: []string{n.name}, since: began}, func(string, ...any) {}); err != nil {
		tail, _ := n.LogTail(context.WithoutCancel(ctx), 10)
		return fault.New(fault.StepFailed, "node "+n.name+" did not become Ready after its start", err.Error()+indent("its log ends", tail), "docker logs "+n.name)
	}
	return nil
}

// indent puts a log's end below a line of its own; nothing for an empty log.
func indent(head, log string) string {
	if strings.TrimSpace(log) == "" {
		return ""
	}
	return "\n" + head + ":\n    " + strings.ReplaceAll(log, "\n", "\n    ")
}
