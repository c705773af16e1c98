package cluster

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// plainMaker makes clusters with the engine's API and the words of the rig's own
// node image (`plain server`, `plain agent`).
type plainMaker struct{}

// Where a server of the node image leaves its kubeconfig, and what the nodes say
// when they are up.
const (
	plainKubeconfig  = "/etc/rancher/k3s/k3s.yaml"
	plainServerReady = "k3s is up and running"
	apiPortInNode    = "6443/tcp"
)

func (plainMaker) make(ctx context.Context, j *job, apiPort int) ([]byte, error) {
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, err
	}
	net := networkName(Plain, j.cfg.Name)
	if _, err := j.docker.NetworkCreate(ctx, net, network.CreateOptions{Driver: "bridge", Labels: map[string]string{LabelCluster: j.cfg.Name}}); err != nil {
		return nil, fmt.Errorf("network %s: %w", net, err)
	}
	nodes := plainNodes(j.cfg, hex.EncodeToString(token), apiPort)
	// Agents wait for the first server by themselves, so their own preparations go
	// side by side with its; servers join one after the other, as etcd wants.
	g, gctx := errgroup.WithContext(ctx)
	for _, n := range nodes[j.cfg.Servers:] {
		g.Go(func() error { return j.runPlain(gctx, n) })
	}
	g.Go(func() error {
		for _, n := range nodes[:j.cfg.Servers] {
			if err := j.runPlain(gctx, n); err != nil {
				return err
			}
			if err := j.awaitLine(gctx, n.name, plainServerReady); err != nil {
				return err
			}
			j.say("server %s is up", n.name)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	raw, err := j.readFile(ctx, nodes[0].name, plainKubeconfig)
	if err != nil {
		return nil, err
	}
	return hostKubeconfig(raw, "rig-"+j.cfg.Name, fmt.Sprintf("https://127.0.0.1:%d", apiPort))
}

// plainNode is a container to be made.
type plainNode struct {
	name   string
	config container.Config
	host   container.HostConfig
}

// plainNodes lays out the containers, in the order of nodeNames.
func plainNodes(c Config, token string, apiPort int) []plainNode {
	agents := c.mustAgents()
	names := nodeNames(Plain, c.Name, c.Servers, len(agents))
	first := fmt.Sprintf("https://%s:6443", names[0])
	var nodes []plainNode
	for i, name := range names {
		role := Server
		var words []string
		env := []string{"K3S_TOKEN=" + token}
		if i > 0 {
			env = append(env, "K3S_URL="+first)
		}
		if i < c.Servers {
			words = append(words, "plain", "server", "--tls-san", "127.0.0.1")
			for _, part := range k3sDisabled {
				words = append(words, "--disable="+part)
			}
			if i == 0 && c.Servers > 1 {
				words = append(words, "--cluster-init")
			}
		} else {
			role = Agent
			words = append(words, "plain", "agent")
			a := agents[i-c.Servers]
			for _, l := range labelList(a.labels) {
				words = append(words, "--node-label", l)
			}
			for _, t := range a.taints {
				words = append(words, "--node-taint", taintText(t.Key, t.Value, string(t.Effect)))
			}
		}
		n := plainNode{
			name: name,
			config: container.Config{
				Hostname: name, Image: c.Image, Cmd: words, Env: env,
				Labels: map[string]string{LabelCluster: c.Name, labelRole: string(role)},
			},
			host: container.HostConfig{
				Privileged: true, SecurityOpt: []string{"seccomp=unconfined", "apparmor=unconfined"},
				Tmpfs: map[string]string{"/run": "", "/tmp": ""},
				Binds: []string{"/lib/modules:/lib/modules:ro"},
				// As k3d's and kind's: a cgroup namespace of their own also on cgroup v1.
				CgroupnsMode: container.CgroupnsModePrivate,
				NetworkMode:  container.NetworkMode(networkName(Plain, c.Name)),
			},
		}
		if i == 0 {
			n.config.ExposedPorts = nat.PortSet{apiPortInNode: {}}
			n.host.PortBindings = nat.PortMap{apiPortInNode: {{HostIP: "127.0.0.1", HostPort: fmt.Sprint(apiPort)}}}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func (j *job) runPlain(ctx context.Context, n plainNode) error {
	j.say("starting node %s", n.name)
	created, err := j.docker.ContainerCreate(ctx, &n.config, &n.host, nil, nil, n.name)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	if err := j.docker.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return fmt.Errorf("node %s: %w", n.name, err)
	}
	return nil
}

// awaitLine follows the log of a node until a line with the text, in any case of
// letters. A node that ends is an error.
func (j *job) awaitLine(ctx context.Context, name, text string) error {
	logs, err := j.docker.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	defer logs.Close()
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		_, err := stdcopy.StdCopy(w, w, logs)
		w.CloseWithError(err)
	}()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(strings.ToLower(lines.Text()), text) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(fmt.Errorf("node %s ended before it said %q", name, text), lines.Err())
}

// readFile returns one file of a container.
func (j *job) readFile(ctx context.Context, name, path string) ([]byte, error) {
	r, _, err := j.docker.CopyFromContainer(ctx, name, path)
	if err != nil {
		return nil, fmt.Errorf("%s of node %s: %w", path, name, err)
	}
	defer r.Close()
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s of node %s: %w", path, name, err)
		}
		if h.Typeflag == tar.TypeReg {
			return io.ReadAll(t)
		}
	}
}

// hostKubeconfig turns a kubeconfig of a node, in which everything is called
// default, into one for the host.
func hostKubeconfig(raw []byte, name, server string) ([]byte, error) {
	in, err := clientcmd.Load(raw)
	if err != nil {
		return nil, err
	}
	ctx := in.Contexts[in.CurrentContext]
	if ctx == nil || in.Clusters[ctx.Cluster] == nil || in.AuthInfos[ctx.AuthInfo] == nil {
		return nil, fmt.Errorf("the node's kubeconfig has no current context")
	}
	out := clientcmdapi.NewConfig()
	out.Clusters[name] = in.Clusters[ctx.Cluster]
	out.Clusters[name].Server = server
	out.AuthInfos["admin@"+name] = in.AuthInfos[ctx.AuthInfo]
	out.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: "admin@" + name}
	out.CurrentContext = name
	return clientcmd.Write(*out)
}

// remove has no way of its own: Delete sweeps.
func (plainMaker) remove(ctx context.Context, j *job) error {
	t, err := j.traces(ctx, traces{})
	if err != nil {
		return err
	}
	return j.sweep(ctx, t)
}
