package existing

import (
	"bytes"
	"context"
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
)

// input is what a lab is on a cluster that was there.
type input struct {
	Lab         string   `json:"lab"`
	Context     string   `json:"context"`
	File        string   `json:"kubeconfig,omitempty"`
	Namespaces  []string `json:"namespaces"`
	Adopt       bool     `json:"adopt,omitempty"`
	NodeAddress string   `json:"nodeAddress,omitempty"`
}

// Want describes the lab's place on the cluster.
func Want(lab string, source Source, namespaces []string, adopt bool, nodeAddress string) plan.Want {
	in := input{Lab: lab, Context: source.Context, File: source.File, Namespaces: namespaces, Adopt: adopt, NodeAddress: nodeAddress}
	word := "namespace "
	if len(namespaces) > 1 {
		word = "namespaces "
	}
	return plan.Want{Title: word + strings.Join(namespaces, ", ") + " on the cluster of context " + source.Context,
		Input: plan.Input(in), Outputs: []string{"address", "name"}, Runs: true, Stores: "the lab's namespaces with every volume that is not retained"}
}

// Cluster is the plan.Part of the lab's place on the cluster.
type Cluster struct {
	Lab        string
	Kubeconfig string // file of the lab's own
	Namespaces []string
	// Homes gives the namespaces of what the lab may have brought for the whole cluster, the
	// last brought first; nil: it brings nothing.
	Homes func() []string
	// Uninstall takes away what the lab brought by releases in a namespace, but for the
	// definitions of custom resources; it gives the releases' names. nil: there are none.
	Uninstall func(client *kube.Client, namespace string) ([]string, error)
	// Operated is what operators run of the lab; nil: nothing.
	Operated Operated
	Say      func(string) // told what is waited for; nil: nobody

	// open makes a client; nil: kube.New.
	open func(kubeconfig []byte) (*kube.Client, error)

	mu      sync.Mutex
	running string // the address while the lab runs
}

func (c *Cluster) client(kubeconfig []byte) (*kube.Client, error) {
	if c.open != nil {
		return c.open(kubeconfig)
	}
	return kube.New(kubeconfig)
}

func (c *Cluster) say(text string) {
	if c.Say != nil {
		c.Say(text)
	}
}

func (c *Cluster) note(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = address
}

// Observe implements plan.Part.
func (c *Cluster) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	var in input
	if err := json.Unmarshal(look.Want.Input, &in); err != nil {
		return plan.Observation{}, err
	}
	kubeconfig, err := Source{in.Context, in.File}.Kubeconfig()
	if err != nil {
		return plan.Observation{}, err
	}
	client, err := c.client(kubeconfig)
	if err != nil {
		return plan.Observation{}, err
	}
	if _, err := answers(ctx, client, in.Context); err != nil {
		return plan.Observation{}, err
	}
	var missing []string
	all, up := 0, 0
	for _, name := range in.Namespaces {
		n, err := client.Clientset.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			missing = append(missing, name)
			continue
		}
		if err != nil {
			return plan.Observation{}, err
		}
		if err := owned(n, in.Lab, in.Adopt); err != nil {
			return plan.Observation{}, err
		}
		some, running, err := client.Workloads(ctx, name, Selector(in.Lab))
		if err != nil {
			return plan.Observation{}, err
		}
		all, up = all+some, up+running
	}
	switch {
	case len(missing) == len(in.Namespaces):
		return plan.Observation{State: plan.Absent, Why: "the lab has no namespace there"}, nil
	case look.Last == nil && all == 0 && in.Adopt:
		return plan.Observation{State: plan.Absent, Why: "the lab has nothing in the namespace that it adopts"}, nil
	case all > 0 && up == 0:
		return plan.Observation{State: plan.Absent, Kept: true, Why: fmt.Sprintf("its %d workloads are scaled to zero", all)}, nil
	}
	before := ""
	if look.Outputs != nil {
		before = look.Outputs["address"]
	}
	outputs, err := c.outputs(ctx, client, in, before)
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d of %d workloads are to run", up, all), Outputs: outputs}
	own, err := os.ReadFile(c.Kubeconfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.Drift = "its kubeconfig " + c.Kubeconfig + " is missing"
	case err != nil:
		return plan.Observation{}, err
	case !bytes.Equal(own, kubeconfig):
		o.Drift = "the context " + in.Context + " leads elsewhere, or logs in otherwise, than when it was applied"
	case len(missing) > 0:
		o.Drift = "there is no namespace " + strings.Join(missing, ", ")
	}
	o.Away = o.Drift
	c.note(outputs["address"])
	return o, nil
}

func (c *Cluster) outputs(ctx context.Context, client *kube.Client, in input, before string) (map[string]string, error) {
	nodes, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	at, err := address(nodes.Items, in.NodeAddress, before)
	return map[string]string{"address": at, "name": in.Context}, err
}

// Apply implements plan.Part.
func (c *Cluster) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	kubeconfig, err := Source{in.Context, in.File}.Kubeconfig()
	if err != nil {
		return nil, err
	}
	client, err := c.client(kubeconfig)
	if err != nil {
		return nil, err
	}
	// First of all, so that whoever stops and deletes finds what is made from here on.
	if err := renameio.WriteFile(c.Kubeconfig, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	outputs, err := c.outputs(ctx, client, in, order.Last["address"])
	if err != nil {
		return nil, err
	}
	for _, name := range in.Namespaces {
		if err := claim(ctx, client, name, map[string]string{LabelLab: in.Lab, "app.kubernetes.io/part-of": "alertlab"}, in.Adopt); err != nil {
			return nil, err
		}
	}
	c.note(outputs["address"])
	return outputs, nil
}

// own gives the cluster by the lab's own kubeconfig; nil when it has none, and so has
// made nothing.
func (c *Cluster) own() (*kube.Client, error) {
	kubeconfig, err := os.ReadFile(c.Kubeconfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.client(kubeconfig)
}

// Times of taking a lab down. Pods have a minute to end, those of StatefulSets end after
// the others, and those of brokers after them, before their controllers.
const (
	stopTime   = 6 * time.Minute
	removeTime = 8 * time.Minute
)

// Stop implements plan.Stopper. What the lab brought for the whole cluster ends first: its
// operators would make anew what is stopped behind them.
func (c *Cluster) Stop(ctx context.Context) error {
	client, err := c.own()
	if client == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	for _, name := range slices.Concat(c.homes(ctx, client), c.Namespaces) {
		if err := client.ScaleToZero(ctx, name, Selector(c.Lab)+",!"+podsOfSets, c.say); err != nil {
			return err
		}
	}
	if c.Operated != nil {
		if err := c.Operated.Halt(ctx, client, c.say); err != nil {
			return err
		}
	}
	c.note("")
	return nil
}

// Remove implements plan.Remover: what carries the lab's label goes, but for volumes that
// are retained; a namespace that was adopted stays, with what others have in it.
func (c *Cluster) Remove(ctx context.Context) error {
	client, err := c.own()
	if client == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	// The volumes are looked up first: afterwards their claims are gone.
	volumes, err := going(ctx, client, c.Lab, c.Namespaces)
	if err != nil {
		return err
	}
	pooled, err := pooledIn(ctx, client, c.Lab)
	if err != nil {
		return err
	}
	if c.Operated != nil {
		if err := c.Operated.Dissolve(ctx, client, c.say); err != nil {
			return err
		}
	}
	// What works on the lab's objects goes after them: it cleans up behind them.
	if err := client.DeleteLabelled(ctx, Selector(c.Lab)+",!"+kube.LabelBrought, slices.Concat(c.Namespaces, pooled), kept, c.say); err != nil {
		return err
	}
	if err := c.removeBrought(ctx, client, pooled); err != nil {
		return err
	}
	for _, v := range volumes {
		if err := client.WaitGone(ctx, v); err != nil {
			return err
		}
	}
	return os.Remove(c.Kubeconfig)
}

// kept says what a purge does not delete: volumes are their provisioner's to delete, and
// what depends on something goes with it.
func kept(o kube.Found) bool {
	return o.Resource.Resource == "persistentvolumes" || o.Dependent && o.Resource.Resource != "pods"
}

// Activity says what runs.
func (c *Cluster) Activity() event.Activity {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := event.Activity{Running: c.running != ""}
	if a.Running {
		a.Facts = append(a.Facts, event.Fact{Name: "address", Value: c.running})
	}
	return a
}

var _ interface {
	plan.Part
	plan.Stopper
	plan.Remover
} = (*Cluster)(nil)

// Left lists what carries a lab's label on the cluster; namespaces are all that it may have
// anything in.
func Left(ctx context.Context, source Source, lab string, namespaces []string) ([]string, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	pooled, err := pooledIn(ctx, client, lab)
	if err != nil {
		return nil, err
	}
	found, hidden, err := client.Labelled(ctx, Selector(lab), labelledHomes(ctx, client, lab, slices.Concat(namespaces, pooled))...)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, o := range found {
		if !kept(o) {
			left = append(left, o.String())
		}
	}
	for _, kind := range hidden {
		left = append(left, "perhaps "+kind+", which this user may not list")
	}
	return left, nil
}

func (s Source) client() (*kube.Client, error) {
	kubeconfig, err := s.Kubeconfig()
	if err != nil {
		return nil, err
	}
	return kube.New(kubeconfig)
}
