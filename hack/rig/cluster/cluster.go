package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/alertlab/alertlab/hack/rig/node/machine"
	"github.com/alertlab/alertlab/lab/fault"
)

// Labels of containers and networks.
const (
	// LabelCluster has the cluster's name; it is on every container that the rig's
	// k3d and plain clusters have, and on the network of a plain one.
	LabelCluster = "dev.alertlab.rig.cluster"
	labelRole    = "dev.alertlab.rig.role" // plain only: server or agent
)

// TestPrefix begins the names of the clusters that this package's tests make; they
// keep no record of them.
const TestPrefix = "cl-"

// Images of k3d's two helpers, the rig's own; they have the tag of the node image.
const (
	toolsRepository = "rig.local/k3d-tools"
	proxyRepository = "rig.local/k3d-proxy"
)

// Options say what clusters are made with.
type Options struct {
	// Docker is the engine. DOCKER_HOST in the environment has to name the same
	// one, for k3d and kind; see Open.
	Docker *client.Client
	// State is the folder of records and kubeconfigs; it is made when needed.
	State string
	// ToolsImage and ProxyImage are k3d's helpers; empty: the rig's own with the tag
	// of the node image.
	ToolsImage, ProxyImage string
}

// Clusters makes, finds and deletes the rig's clusters on one engine.
type Clusters struct {
	docker *client.Client
	state  records
	tools  string
	proxy  string
}

// Open takes hold of an engine. It fails when k3d and kind, which go by the
// environment, would reach another one.
func Open(o Options) (*Clusters, error) {
	if o.State == "" {
		return nil, errors.New("cluster: no state folder is given")
	}
	env := os.Getenv(client.EnvOverrideHost)
	if env == "" {
		env = client.DefaultDockerHost
	}
	if host := o.Docker.DaemonHost(); host != env {
		return nil, fault.New(fault.BadInput, "clusters cannot be made on the engine at "+host,
			"k3d and kind would use the one at "+env, "export DOCKER_HOST="+host)
	}
	return &Clusters{docker: o.Docker, state: records{dir: o.State}, tools: o.ToolsImage, proxy: o.ProxyImage}, nil
}

// helpers are the images of k3d's tools node and load balancer for a node image.
func (c *Clusters) helpers(node string) (tools, proxy string) {
	tag := "latest"
	if i := strings.LastIndexByte(node, ':'); i > strings.LastIndexByte(node, '/') {
		tag = node[i+1:]
	}
	tools, proxy = toolsRepository+":"+tag, proxyRepository+":"+tag
	if c.tools != "" {
		tools = c.tools
	}
	if c.proxy != "" {
		proxy = c.proxy
	}
	return tools, proxy
}

// Cluster is one cluster of the rig.
type Cluster struct {
	Name    string
	Maker   Maker
	Network string // of the engine
	// Kubeconfig is what KubeconfigFile holds; nil for a cluster whose Create never
	// came that far.
	Kubeconfig     []byte
	KubeconfigFile string
	Nodes          []*Node // servers first, each in the order of their numbers
	// Helpers are the containers that are no nodes: k3d's load balancer and tools.
	Helpers []string
}

// Node finds a node by name; nil when there is none.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// job is one operation and what it tells.
type job struct {
	*Clusters
	cfg   Config
	began time.Time
	mu    sync.Mutex
}

func (c *Clusters) job(cfg Config) *job { return &job{Clusters: c, cfg: cfg, began: time.Now()} }

func (j *job) say(format string, a ...any) {
	if j.cfg.Report == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cfg.Report(Progress{Cluster: j.cfg.Name, Text: fmt.Sprintf(format, a...), Elapsed: time.Since(j.began)})
}

// maker is what k3d, kind and plain have to do. make returns a kubeconfig that
// holds on the host. Both are called with a context that may end; make leaves
// what it began for the caller to delete.
type maker interface {
	make(ctx context.Context, j *job, apiPort int) (kubeconfig []byte, err error)
	remove(ctx context.Context, j *job) error
}

func (c *Clusters) maker(m Maker) maker {
	switch m {
	case K3d:
		return k3dMaker{}
	case Kind:
		return kindMaker{}
	}
	return plainMaker{}
}

// cleanupTime bounds the deletion of what a failed or cancelled Create began.
const cleanupTime = time.Minute

// Create makes a cluster and returns when every node is Ready. When it fails or
// ctx ends, what was begun is deleted, and the error is a fault that says what was
// last seen, with the end of the log of the nodes it concerns; of code
// Interrupted when ctx was cancelled.
func (c *Clusters) Create(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	j := c.job(cfg)
	if err := j.preconditions(ctx); err != nil {
		return nil, err
	}
	rec, err := j.record(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.StepFailed, "the cluster "+cfg.Name+" cannot be recorded", err, "make the folder "+c.state.dir+" writable")
	}

	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it was not ready after %s", timeout))
	defer cancel()
	j.say("making %d server(s) and %d agent(s) with %s from %s", cfg.Servers, len(cfg.mustAgents()), cfg.Maker, cfg.Image)
	cl, err := j.create(limited, rec)
	if err == nil {
		j.say("%d nodes are Ready", len(cl.Nodes))
		return cl, nil
	}

	cleanup, done := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer done()
	why := err.Error() + j.tails(cleanup, err)
	j.say("deleting what was begun")
	next := "go run ./hack/rig doctor"
	again := "go run ./hack/rig cluster delete " + cfg.Name
	if derr := c.Delete(cleanup, cfg.Name, cfg.Report); derr != nil {
		why += "\nand what was begun could not be deleted: " + derr.Error()
		next = again
	}
	var going *stillGoing
	if errors.As(err, &going) {
		next = again // and it has to know of the cluster
		if werr := c.state.write(rec); werr != nil {
			why += "\nand that could not be recorded: " + werr.Error()
		}
	}
	f := fault.New(fault.StepFailed, fmt.Sprintf("cluster %q was not made", cfg.Name), why, next)
	f.Err = err
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		f.Code, f.Why, f.Next = fault.Interrupted, "it was interrupted, and what was begun is deleted", "run the command again"
		if next == again {
			f.Why, f.Next = "it was interrupted; "+why, next
		}
	}
	return nil, f
}

func (c Config) mustAgents() []agent {
	agents, _ := c.agents() // check was called
	return agents
}

// portRetries bounds how often another port is tried when somebody took the
// chosen one before the engine could.
const portRetries = 3

// create is Create without its preparations and without its cleaning up.
func (j *job) create(ctx context.Context, rec record) (*Cluster, error) {
	names := nodeNames(j.cfg.Maker, j.cfg.Name, j.cfg.Servers, len(j.cfg.mustAgents()))
	for try := 1; ; try++ {
		kubeconfig, err := j.makeOnce(ctx, names)
		if err != nil {
			if try < portRetries && portTaken(err) && ctx.Err() == nil {
				j.say("the port for the API server was taken meanwhile, trying another")
				if err := j.maker(j.cfg.Maker).remove(ctx, j); err != nil {
					return nil, err
				}
				continue
			}
			return nil, err
		}
		if err := j.state.writeKubeconfig(rec.Name, kubeconfig); err != nil {
			return nil, err
		}
		break
	}
	return j.Get(ctx, j.cfg.Name)
}

// makeOnce makes the cluster with a port of its own, and waits for its nodes. A
// node that ends ends it.
func (j *job) makeOnce(ctx context.Context, names []string) ([]byte, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := j.watchDeaths(ctx, names, cancel)
	defer watch()

	kubeconfig, err := j.maker(j.cfg.Maker).make(ctx, j, port)
	if err == nil {
		j.say("Kubernetes is set up, waiting for %d nodes to be Ready", len(names))
		err = waitReady(ctx, kubeconfig, names, j.say)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, trimmed{err})
	}
	return kubeconfig, err
}

// trimmed says an error that follows from a cause that was already said.
type trimmed struct{ err error }

func (t trimmed) Error() string {
	text := t.err.Error()
	if len(text) > 600 {
		text = text[:600] + "..."
	}
	return "last seen: " + text
}
func (t trimmed) Unwrap() error { return t.err }

// portTaken tells the engine's words for a port of the host that is in use.
func portTaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use")
}

// freePort asks the kernel for a port of 127.0.0.1 that is free now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// preconditions are what would otherwise fail late, or by a pull from a registry
// that nobody reaches.
func (j *job) preconditions(ctx context.Context) error {
	found, err := j.find(ctx)
	if err != nil {
		return err
	}
	if f, ok := found[key{j.cfg.Maker, j.cfg.Name}]; ok {
		if f.owned {
			return fault.New(fault.BadInput, fmt.Sprintf("there is a cluster %q already", j.cfg.Name), "it was made with "+string(f.maker),
				"go run ./hack/rig cluster delete "+j.cfg.Name)
		}
		return fault.New(fault.BadInput, fmt.Sprintf("a %s cluster %q is there, which the rig did not make", f.maker, j.cfg.Name), "it is left alone", "choose another name")
	}
	for k, f := range found {
		if k.name == j.cfg.Name && f.owned {
			return fault.New(fault.BadInput, fmt.Sprintf("there is a cluster %q already", k.name), "it was made with "+string(k.maker),
				"go run ./hack/rig cluster delete "+k.name)
		}
	}
	_, err = j.recordOf(ctx, j.cfg.Name)
	var f *fault.Fault
	switch {
	case err == nil:
		j.say("deleting what an earlier attempt left behind")
		if err := j.Delete(ctx, j.cfg.Name, j.cfg.Report); err != nil {
			return err
		}
	case asFault(err, &f) && f.Code == fault.NoLab: // another engine's: here it is the name that cannot be used
		return fault.New(fault.BadInput, f.What, f.Why, "choose another name\nor "+f.Next)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	images := []string{j.cfg.Image}
	if j.cfg.Maker == K3d {
		tools, proxy := j.helpers(j.cfg.Image)
		images = append(images, tools, proxy)
	}
	for _, image := range images {
		if _, err := j.docker.ImageInspect(ctx, image); cerrdefs.IsNotFound(err) {
			return fault.New(fault.StepFailed, fmt.Sprintf("cluster %q cannot be made", j.cfg.Name),
				"the engine at "+j.docker.DaemonHost()+" does not have the image "+image, "go run ./hack/rig all")
		} else if err != nil {
			return fault.Wrap(fault.StepFailed, "the Docker engine does not answer", err, "go run ./hack/rig doctor")
		}
	}
	// The nodes are root's, whoever runs the engine.
	if why := inotifyShort("/proc", 0, j.cfg.Servers, len(j.cfg.mustAgents())); why != "" {
		return fault.New(fault.StepFailed, fmt.Sprintf("cluster %q cannot be made", j.cfg.Name), why,
			fmt.Sprintf("delete a cluster you do not need (go run ./hack/rig cluster list)\nor raise the limit until the next boot: sysctl -w fs.inotify.max_user_instances=%d", machine.ManyWatchers))
	}
	if j.cfg.Maker == Kind {
		if _, err := exec.LookPath("docker"); err != nil {
			return fault.New(fault.StepFailed, fmt.Sprintf("cluster %q cannot be made", j.cfg.Name), "kind runs the docker command, which is not on the PATH",
				"install Docker's command line, or choose k3d or plain")
		}
	}
	return nil
}

// Get returns one of the rig's clusters; the error is a fault of code NoLab when
// there is none of that name on this engine, and names the engine that has it.
func (c *Clusters) Get(ctx context.Context, name string) (*Cluster, error) {
	all, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, cl := range all {
		if cl.Name == name {
			return cl, nil
		}
	}
	if _, err := c.recordOf(ctx, name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return nil, fault.New(fault.NoLab, fmt.Sprintf("there is no cluster %q", name), "the rig has none of that name on the engine at "+c.docker.DaemonHost(), "go run ./hack/rig cluster list")
}

// List returns the rig's clusters on this engine, sorted by name, with those that
// are stopped or were never finished.
func (c *Clusters) List(ctx context.Context) ([]*Cluster, error) {
	found, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	mine, others, err := c.recorded(ctx)
	if err != nil {
		return nil, err
	}
	elsewhere := sets.New[string]()
	for _, r := range others {
		elsewhere.Insert(r.Name)
	}
	var all []*Cluster
	for _, f := range found {
		if !f.owned {
			continue
		}
		cl := c.cluster(f)
		if elsewhere.Has(cl.Name) { // the file of that name leads to the other engine's cluster
			cl.Kubeconfig, cl.KubeconfigFile = nil, ""
		}
		all = append(all, cl)
	}
	for _, r := range mine {
		if _, ok := found[key{r.Maker, r.Name}]; !ok {
			all = append(all, &Cluster{Name: r.Name, Maker: r.Maker})
		}
	}
	slices.SortFunc(all, func(a, b *Cluster) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (c *Clusters) cluster(f *found) *Cluster {
	cl := &Cluster{Name: f.name, Maker: f.maker, Network: f.network, KubeconfigFile: c.state.kubeconfig(f.name)}
	if b, err := os.ReadFile(cl.KubeconfigFile); err == nil {
		cl.Kubeconfig = b
	}
	for _, m := range f.members {
		if m.role == roleHelper {
			cl.Helpers = append(cl.Helpers, m.name)
			continue
		}
		cl.Nodes = append(cl.Nodes, &Node{name: m.name, role: m.role, id: m.id, docker: c.docker, clusters: c, cluster: cl})
	}
	slices.SortFunc(cl.Nodes, func(a, b *Node) int { return compareNodes(a, b) })
	return cl
}

// compareNodes sorts servers first, then by number: node 10 after node 9.
func compareNodes(a, b *Node) int {
	if a.role != b.role {
		return strings.Compare(string(b.role), string(a.role)) // server before agent
	}
	if len(a.name) != len(b.name) {
		return len(a.name) - len(b.name)
	}
	return strings.Compare(a.name, b.name)
}
