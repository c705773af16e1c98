package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/alertlab/alertlab/internal/node"
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

// inside reaches into the node's container.
func (n *Node) inside() node.Node { return node.Node{Container: n.id, Label: n.name, Docker: n.docker} }

// Exec runs a command in the node; see node.Node.Exec.
func (n *Node) Exec(ctx context.Context, stdin io.Reader, command ...string) ([]byte, error) {
	return n.inside().Exec(ctx, stdin, command...)
}

// Images returns the images that the node's containerd has for Kubernetes; see
// node.Node.Images.
func (n *Node) Images(ctx context.Context) (map[string]string, error) {
	return n.inside().Images(ctx)
}

// Load imports a container archive into the node's containerd; see node.Node.Load.
func (n *Node) Load(ctx context.Context, r io.Reader) error { return n.inside().Load(ctx, r) }

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
