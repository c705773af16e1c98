package nodes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// LabelLab is the label of a node's container that says whose it is, where its maker
// takes labels.
const LabelLab = "dev.alertlab.lab"

// Maker is what makes a cluster, in words.
type Maker struct {
	Name   string // k3d
	System string // what a cluster of it is called: k3s cluster
	Delete string // the command that deletes one, its name comes behind: k3d cluster delete
}

// input is a cluster as it should be.
type input struct {
	Name   string  `json:"name"`
	Lab    string  `json:"lab"`
	Image  string  `json:"image"` // of the nodes
	Agents []agent `json:"agents"`
}

// agent is one node beside the server.
type agent struct {
	Name  string `json:"name"`            // the agent's number
	Label string `json:"label,omitempty"` // key=value
	Taint string `json:"taint,omitempty"` // key=value:effect
}

// longestName is k3d's bound; kind has a wider one.
const longestName = 32

// Name gives the name of a lab's cluster. Names that would be too long keep their
// beginning and end in a digest.
func Name(lab string) string {
	name := "alertlab-" + lab
	if len(name) <= longestName {
		return name
	}
	sum := sha256.Sum256([]byte(lab))
	const tail = 7
	return strings.TrimRight(name[:longestName-tail-1], "-") + "-" + hex.EncodeToString(sum[:])[:tail]
}

// gateNodes opens when every node is Ready.
const gateNodes = "nodes-ready"

// Want describes the cluster of a profile: a server, and the nodes that its brokers
// ask for. Brokers that may not share a node get one each; a pool of nodes of their
// own is one node, since all nodes are this machine.
func Want(m Maker, p *profiles.Profile, lab, image string) plan.Want {
	in := input{Name: Name(lab), Lab: lab, Image: image}
	b := p.Kafka.Brokers
	agents := 0
	switch {
	case b.AntiAffinity:
		agents = b.Count
	case b.NodePool != profiles.NodePool{}:
		agents = 1
	}
	for i := range agents {
		in.Agents = append(in.Agents, agent{Name: fmt.Sprint(i), Label: b.NodePool.Label, Taint: b.NodePool.Taint})
	}
	title := m.System + " " + in.Name + " of one node"
	if agents > 0 {
		title = fmt.Sprintf("%s %s of a server and %s", m.System, in.Name, count(agents))
	}
	return plan.Want{
		Title: title, Input: plan.Input(in), Outputs: []string{"address", "name"},
		Gates: []plan.Gate{{Name: gateNodes, What: "every node is Ready", Deadline: 3 * time.Minute}},
		Runs:  true, Stores: "the nodes with every volume",
	}
}

// Planned is a node as a plan has it.
type Planned struct {
	Name  string
	Label string // key=value
	Taint string // key=value:effect
}

// PlannedBy gives the nodes of a cluster by the input of its step, the server first.
func PlannedBy(raw json.RawMessage) ([]Planned, error) {
	var in input
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("the input of a cluster: %w", err)
	}
	nodes := []Planned{{Name: "server-0"}}
	for _, a := range in.Agents {
		nodes = append(nodes, Planned{Name: "agent-" + a.Name, Label: a.Label, Taint: a.Taint})
	}
	return nodes, nil
}

// Container is one container of a cluster.
type Container struct {
	ID, Name string
	Role     string // Server, Agent, or a helper's
	Lab      string // the lab that made it; "" when none did
	Running  bool
	Started  time.Time
	Address  string // in the cluster's network; "" when it does not run
	Half     bool   // a node of a cluster whose making did not end, and that never will be one
}

// The roles of nodes.
const (
	Server = "server" // has the control plane
	Agent  = "agent"
)

// Node says whether the container is a node of Kubernetes.
func (c Container) Node() bool { return c.Role == Server || c.Role == Agent }

// Engine is what is asked of a container engine and of a maker.
type Engine interface {
	// Containers lists those of the maker's cluster of a name, stopped ones too.
	Containers(ctx context.Context, cluster string) ([]Container, error)
	// Create makes the cluster and returns when its server has started. What it began
	// and did not end is deleted.
	Create(ctx context.Context, spec Spec) error
	// Start and Stop start and stop one container; Stop lets what runs in it end, for 70 s.
	Start(ctx context.Context, id string) error
	Stop(ctx context.Context, id string) error
	// Delete deletes the cluster with its containers, volumes and network.
	Delete(ctx context.Context, cluster string) error
	// Left lists what there still is of a cluster.
	Left(ctx context.Context, cluster string) ([]string, error)
	// Kubeconfig reads the cluster's, for use on this machine.
	Kubeconfig(ctx context.Context, cluster string) ([]byte, error)
}

// Spec is a cluster to create.
type Spec struct {
	Name, Image string
	Lab         string // that every container says it belongs to
	Agents      []AgentSpec
}

// AgentSpec is one agent: its label in Kubernetes and its taint; both may be empty.
type AgentSpec struct{ Label, Taint string }

// Cluster is the plan.Part of the cluster.
type Cluster struct {
	Maker      Maker
	Lab        string
	Kubeconfig string // file
	Engine     Engine
	// Ready waits for nodes; nil: by the cluster's API.
	Ready func(ctx context.Context, kubeconfig []byte, since map[string]time.Time, seen func(string)) error

	mu      sync.Mutex
	running []Container // as last seen
}

// mine lists the nodes of the lab's cluster. A cluster that is not the lab's is an
// error.
func (c *Cluster) mine(ctx context.Context) ([]Container, error) {
	name := Name(c.Lab)
	list, err := c.Engine.Containers(ctx, name)
	if err != nil {
		return nil, err
	}
	var nodes []Container
	for _, one := range list {
		if one.Lab != c.Lab {
			why := errors.New("its container " + one.Name + " does not carry the lab's name")
			if !slices.ContainsFunc(list, func(other Container) bool { return other.Lab == c.Lab }) {
				why = errForeign{why}
			}
			return nil, fault.Wrap(fault.StepFailed, fmt.Sprintf("a %s cluster %s is there that lab %s did not make", c.Maker.Name, name, c.Lab), why,
				"alertlab up --lab ANOTHER   # or, where that cluster is of no use: "+c.Maker.Delete+" "+name)
		}
		if one.Node() {
			nodes = append(nodes, one)
		}
	}
	slices.SortFunc(nodes, func(a, b Container) int { // servers first
		return strings.Compare(order(a), order(b))
	})
	return nodes, nil
}

// errForeign says that nothing of the cluster is the lab's: there is nothing to stop and
// nothing to delete, and a lab that never had a cluster can go.
type errForeign struct{ error }

// own is mine for who takes away: of a cluster that is another's, it lists nothing.
func (c *Cluster) own(ctx context.Context) ([]Container, error) {
	nodes, err := c.mine(ctx)
	if errors.As(err, new(errForeign)) {
		return nil, nil
	}
	return nodes, err
}

func order(c Container) string {
	if c.Role == Server {
		return "0" + c.Name
	}
	return "1" + c.Name
}

// Observe implements plan.Part.
func (c *Cluster) Observe(ctx context.Context, _ plan.Look) (o plan.Observation, err error) {
	nodes, err := c.mine(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	c.note(nodes)
	var stopped []string
	for _, n := range nodes {
		if !n.Running {
			stopped = append(stopped, n.Name)
		}
	}
	switch {
	case len(nodes) == 0:
		return plan.Observation{State: plan.Absent, Why: "no cluster " + Name(c.Lab) + " is there"}, nil
	case len(stopped) == len(nodes):
		return plan.Observation{State: plan.Absent, Kept: true, Why: fmt.Sprintf("its %d nodes are stopped", len(nodes))}, nil
	}
	if halfMade(nodes) {
		// Kept, so that a purge deletes what there is of it.
		return plan.Observation{State: plan.Absent, Kept: true, Why: "its making did not end: it is made anew"}, nil
	}
	o = plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d of %d nodes run", len(nodes)-len(stopped), len(nodes)), Outputs: outputs(nodes)}
	// While a node is away, what is on it may not be seen: it is away too, and not lost.
	defer func() { o.Away = o.Drift }()
	if len(stopped) > 0 {
		o.Drift = o.Why + ": not " + strings.Join(stopped, ", ")
		return o, nil
	}
	kubeconfig, err := os.ReadFile(c.Kubeconfig)
	if errors.Is(err, fs.ErrNotExist) {
		o.Drift = "its kubeconfig " + c.Kubeconfig + " is missing"
		return o, nil
	}
	if err != nil {
		return plan.Observation{}, err
	}
	// The engine starts nodes again by itself after this machine did: then they run, and
	// nothing behind them can be looked at for some seconds.
	bound, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := c.ready(bound, kubeconfig, nodes, func(string) {}); err != nil {
		o.Drift = "not every node is Ready: " + err.Error()
	}
	return o, nil
}

// settleTime is how long a look waits for nodes that run to be Ready. They are at once
// but for the first half minute after a start.
const settleTime = 30 * time.Second

func halfMade(nodes []Container) bool {
	return slices.ContainsFunc(nodes, func(n Container) bool { return n.Half })
}

func (c *Cluster) note(nodes []Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = c.running[:0]
	for _, n := range nodes {
		if n.Running {
			c.running = append(c.running, n)
		}
	}
}

// outputs names the address at which the cluster's node ports answer: the server's.
func outputs(nodes []Container) map[string]string {
	return map[string]string{"address": nodes[0].Address, "name": nodes[0].Name}
}

// Apply implements plan.Part.
func (c *Cluster) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	nodes, err := c.mine(ctx)
	if err != nil {
		return nil, err
	}
	if halfMade(nodes) || unfinished(order, in, nodes) {
		// Whoever made it was cut short: it may lack a node, a network or a setting that
		// k3d makes only once, and nothing can have been put into it.
		if err := c.Engine.Delete(ctx, in.Name); err != nil {
			return nil, err
		}
		nodes = nil
	}
	if len(nodes) == 0 {
		spec := Spec{Name: in.Name, Image: in.Image, Lab: in.Lab}
		for _, a := range in.Agents {
			spec.Agents = append(spec.Agents, AgentSpec{Label: a.Label, Taint: a.Taint})
		}
		if err := c.Engine.Create(ctx, spec); err != nil {
			return nil, err
		}
	} else if want := 1 + len(in.Agents); len(nodes) != want {
		return nil, fault.New(fault.StepFailed, "the cluster's nodes cannot be changed", fmt.Sprintf("it has %d, and %d are wanted", len(nodes), want),
			"alertlab down --purge   # then alertlab up")
	}
	for _, n := range nodes { // servers first: agents join them
		if !n.Running {
			if err := c.Engine.Start(ctx, n.ID); err != nil {
				return nil, err
			}
		}
	}
	kubeconfig, err := c.Engine.Kubeconfig(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(c.Kubeconfig, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	if nodes, err = c.mine(ctx); err != nil {
		return nil, err
	}
	c.note(nodes)
	for _, n := range nodes {
		if n.Address == "" {
			return nil, fmt.Errorf("node %s ended right after its start", n.Name)
		}
	}
	return outputs(nodes), nil
}

// unfinished says that the making of the cluster began and did not end, and left
// something else than all of its nodes running.
func unfinished(order plan.Order, in input, nodes []Container) bool {
	if order.LastInput != nil || len(order.Begun) == 0 {
		return false
	}
	return len(nodes) != 1+len(in.Agents) || slices.ContainsFunc(nodes, func(n Container) bool { return !n.Running })
}

// Wait implements plan.Waiter.
func (c *Cluster) Wait(ctx context.Context, _ plan.Gate, _ plan.Order, seen func(string)) error {
	nodes, err := c.mine(ctx)
	if err != nil {
		return err
	}
	kubeconfig, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		return err
	}
	return c.ready(ctx, kubeconfig, nodes, seen)
}

// ready waits until each node's kubelet has said, since its start, that it is Ready.
func (c *Cluster) ready(ctx context.Context, kubeconfig []byte, nodes []Container, seen func(string)) error {
	since := map[string]time.Time{}
	for _, n := range nodes {
		since[n.Name] = n.Started
	}
	if c.Ready != nil {
		return c.Ready(ctx, kubeconfig, since, seen)
	}
	return waitNodes(ctx, kubeconfig, since, seen)
}

func waitNodes(ctx context.Context, kubeconfig []byte, since map[string]time.Time, seen func(string)) error {
	client, err := kube.New(kubeconfig)
	if err != nil {
		return err
	}
	return client.WaitNodes(ctx, since, seen)
}

// Stop implements plan.Stopper: agents first, then servers.
func (c *Cluster) Stop(ctx context.Context) error {
	nodes, err := c.own(ctx)
	if err != nil {
		return err
	}
	slices.Reverse(nodes)
	for _, n := range nodes {
		if n.Running {
			if err := c.Engine.Stop(ctx, n.ID); err != nil {
				return err
			}
		}
	}
	c.note(nil)
	return nil
}

// Remove implements plan.Remover.
func (c *Cluster) Remove(ctx context.Context) error {
	nodes, err := c.own(ctx)
	if err != nil {
		return err
	}
	if len(nodes) > 0 {
		if err := c.Engine.Delete(ctx, Name(c.Lab)); err != nil {
			return err
		}
	}
	if err := os.Remove(c.Kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Activity says what runs.
func (c *Cluster) Activity() event.Activity {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := event.Activity{Running: len(c.running) > 0}
	for _, n := range c.running {
		a.Facts = append(a.Facts, event.Fact{Name: n.Name, Value: n.Address})
	}
	return a
}

var _ interface {
	plan.Part
	plan.Waiter
	plan.Stopper
	plan.Remover
} = (*Cluster)(nil)

func count(agents int) string {
	if agents == 1 {
		return "1 agent"
	}
	return fmt.Sprintf("%d agents", agents)
}
