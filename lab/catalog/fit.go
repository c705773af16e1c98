package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/fault"
	paper "github.com/alertlab/alertlab/lab/fit"
	"github.com/alertlab/alertlab/lab/inprocess"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/existing"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/provider/kind"
	"github.com/alertlab/alertlab/provider/nodes"
)

// What nodes take of a machine's memory beside their pods: a server with the API server,
// its database and the system's pods, and an agent, as seen on the rig.
const (
	serverMemory = 700 << 20
	agentMemory  = 250 << 20
)

// overhead is what the pods ask for that come with a cluster: with its server, and with each
// agent.
type overhead struct{ server, agent paper.Amount }

// ownPods are those of the node images that each provider makes clusters of. k3s has its
// control plane in its own process, and of its packaged components coredns alone asks for
// something (k3s, manifests/coredns.yaml: 100m, 70Mi; metrics-server is switched off,
// local-path-provisioner asks for nothing). In kind's nodes kubeadm runs the control plane
// as pods: API server 250m, controller manager 200m, scheduler 100m (kubeadm,
// phases/controlplane/manifests.go), etcd 100m and 100Mi (phases/etcd/local.go), two of
// coredns (phases/addons/dns/manifests.go), and on each node kindnet with 100m and 50Mi
// (kind, images/base, manifests/default-cni.yaml).
var ownPods = map[string]overhead{
	K3d:  {server: paper.Amount{CPU: 100, Memory: 70 << 20}},
	Kind: {server: paper.Amount{CPU: 250 + 200 + 100 + 100 + 2*100 + 100, Memory: (100 + 2*70 + 50) << 20}, agent: paper.Amount{CPU: 100, Memory: 50 << 20}},
}

// Fitting is what was found of a lab on paper.
type Fitting struct {
	Result paper.Result
	// Settings are what to add to the command, --set PATH=VALUE each, so that it fits,
	// and Loses what the lab then no longer proves; both empty when it fits as it is, or
	// when nothing smaller would.
	Settings []string
	Loses    []string
}

// Sentences says it in words.
func (f Fitting) Sentences() []string {
	out := f.Result.Sentences()
	if f.Result.Fits() {
		return out
	}
	if len(f.Settings) == 0 {
		return append(out, "no smaller number of ingesters, controllers or brokers would fit")
	}
	out = append(out, "it would fit with "+strings.Join(f.Settings, " "))
	for _, l := range f.Loses {
		out = append(out, "which no longer proves "+l)
	}
	return out
}

// Room is where a lab is to run.
type Room struct {
	// Machine is what nodes that are containers share; of zeros it is not known.
	Machine paper.Machine
	// Nodes and Classes are those of a cluster that is there; of one that is to be made
	// its plan tells.
	Nodes   []paper.Node
	Classes []string
}

// Fit schedules a lab's pods on paper. It is pure.
func Fit(desc state.Description, room Room) (Fitting, error) {
	r, err := fitted(desc, room, nil)
	f := Fitting{Result: r}
	if err != nil || r.Fits() {
		return f, err
	}
	p, err := inprocess.Resolved(desc)
	if err != nil {
		return f, err
	}
	for _, step := range smaller(p) {
		f.Settings, f.Loses = step.settings, step.loses
		r, err := fitted(desc, room, step.settings)
		var problems *profiles.Problems
		if errors.As(err, &problems) {
			continue // what is smaller is no profile any more: topics have more copies than that
		}
		if err != nil {
			return f, err
		}
		if r.Fits() {
			return f, nil
		}
	}
	f.Settings, f.Loses = nil, nil
	return f, nil
}

// lesser is a profile made smaller.
type lesser struct{ settings, loses []string }

// smaller lists what may be tried, the least loss first.
func smaller(p *profiles.Profile) []lesser {
	var out []lesser
	var settings, loses []string
	last := func(setting, lost string) {
		out = append(out, lesser{append(slices.Clone(settings), setting), append(slices.Clone(loses), lost)})
	}
	keep := func() {
		if len(out) > 0 {
			settings, loses = out[len(out)-1].settings, out[len(out)-1].loses
		}
	}
	for n := p.AlertDatabase.Ingesters / 2; n >= 1; n /= 2 {
		last(fmt.Sprintf("--set alertDatabase.ingesters=%d", n), fmt.Sprintf("how a group of %d ingesters shares the partitions", p.AlertDatabase.Ingesters))
	}
	keep()
	if p.Kafka.Controllers.Count > 1 {
		last("--set kafka.controllers.count=1", "that the cluster outlives a controller")
		keep()
	}
	for n := p.Kafka.Brokers.Count - 1; n >= 1; n-- {
		last(fmt.Sprintf("--set kafka.brokers.count=%d", n), fmt.Sprintf("what depends on %d brokers", p.Kafka.Brokers.Count))
	}
	return out
}

// fitted schedules the pods of a lab whose profile has other values for some paths.
func fitted(desc state.Description, room Room, settings []string) (paper.Result, error) {
	if len(settings) > 0 {
		p, err := profiles.Parse(desc.Profile, []byte(desc.Resolved))
		if err != nil {
			return paper.Result{}, err
		}
		var set []string
		for _, s := range settings {
			set = append(set, strings.TrimPrefix(s, "--set "))
		}
		if p, err = profiles.Override(p, nil, set...); err != nil {
			return paper.Result{}, err
		}
		desc.Resolved = string(p.Source())
	}
	w, err := Wanted(desc)
	if err != nil {
		return paper.Result{}, err
	}
	list, classes, err := room.of(desc, w)
	if err != nil {
		return paper.Result{}, err
	}
	var pods []paper.Pod
	given := unknown(w.Parts)
	for _, want := range w.Parts {
		r, err := component.Read(want.Input)
		if err != nil || r.Chart == "" {
			continue // no release
		}
		if r.Repository != "" {
			// The chart may not be at hand; what it makes beside these asks for nothing.
			for _, made := range r.Workloads {
				more, err := paper.Workload(want.Key, made.Name, made.Replicas, made.CPU, made.Memory)
				if err != nil {
					return paper.Result{}, err
				}
				pods = append(pods, more...)
			}
			continue
		}
		input, err := plan.Resolve(want.Input, given)
		if err != nil {
			return paper.Result{}, fmt.Errorf("%s: %w", want.Key, err)
		}
		text, err := helm.Render(input)
		if err != nil {
			return paper.Result{}, err
		}
		more, there, err := paper.Read(want.Key, text)
		if err != nil {
			return paper.Result{}, err
		}
		pods, classes = append(pods, more...), append(classes, there...)
	}
	if room.Machine.Memory > 0 {
		room.Machine.Reserved = serverMemory + int64(len(list)-1)*agentMemory
	}
	return paper.Check(list, classes, pods, room.Machine), nil
}

// unknown stands for what parts will give to others: a chart is rendered with it, and no
// pod is larger or elsewhere for it.
func unknown(parts []plan.Want) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, want := range parts {
		out[want.Key] = map[string]string{}
		for _, name := range want.Outputs {
			out[want.Key][name] = "unknown:1"
		}
	}
	return out
}

// of gives the nodes and the storage classes that a lab finds: those of a cluster that is
// there, or those that its plan makes, each of them the whole machine.
func (r Room) of(desc state.Description, w plan.Wanted) (list []paper.Node, classes []string, err error) {
	if desc.Provider == Existing {
		p, _, err := profileOf(desc)
		if err != nil {
			return nil, nil, err
		}
		// The lab makes the class of the profile where the cluster has none of that name.
		return r.Nodes, append(slices.Clone(r.Classes), p.Kafka.Brokers.Storage.Class), nil
	}
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == "cluster" })
	if i < 0 {
		return nil, nil, fmt.Errorf("stack %s has no cluster", w.Stack)
	}
	planned, err := nodes.PlannedBy(w.Parts[i].Input)
	if err != nil {
		return nil, nil, err
	}
	for i, n := range planned {
		taken := ownPods[desc.Provider].agent
		if i == 0 {
			taken = ownPods[desc.Provider].server
		}
		node := paper.Node{Name: n.Name, CPU: r.Machine.CPU, Memory: r.Machine.Memory, TakenCPU: taken.CPU, TakenMemory: taken.Memory, Labels: map[string]string{}}
		if key, value, ok := strings.Cut(n.Label, "="); ok {
			node.Labels[key] = value
		}
		if n.Taint != "" {
			node.Taints = append(node.Taints, taint(n.Taint))
		}
		list = append(list, node)
	}
	// What comes with the cluster's maker.
	return list, []string{map[string]string{K3d: "local-path", Kind: kind.StorageClass}[desc.Provider]}, nil
}

// taint reads key=value:effect.
func taint(text string) paper.Taint {
	head, effect, _ := strings.Cut(text, ":")
	key, value, _ := strings.Cut(head, "=")
	return paper.Taint{Key: key, Value: value, Effect: effect}
}

// CheckFit looks at the machine of the engine, or at the nodes of a cluster that is there,
// and schedules the lab on it. An embedded lab has no pods. Who is silent is said
// elsewhere: here only what it would have told is not known.
func CheckFit(ctx context.Context, desc state.Description) ([]string, error) {
	var room Room
	var silent string
	switch desc.Provider {
	case Embedded:
		return nil, nil
	case Existing:
		s, err := Survey(ctx, desc)
		if err != nil {
			return nil, nil // there is no node on which anything could be placed
		}
		if room = roomOf(s); s.PodsHidden {
			silent = "what pods of others ask for on these nodes is not known: this user may not list them"
		}
	default:
		cpu, memory, err := (&k3d.Docker{}).Machine(ctx) // kind's is the same engine
		if err != nil {
			silent = "how large the machine is is not known: its engine does not answer"
		} else {
			room.Machine = paper.Machine{CPU: cpu, Memory: memory}
		}
	}
	f, err := Fit(desc, room)
	if err != nil {
		return nil, err
	}
	return refused(desc, f, silent)
}

// roomOf is the room of a cluster that is there, with what pods of others ask for there.
func roomOf(s *existing.Survey) Room {
	var room Room
	for _, n := range s.Nodes {
		if !n.Ready {
			continue
		}
		node := paper.Node{Name: n.Name, Memory: n.Memory, TakenCPU: n.TakenCPU, TakenMemory: n.TakenMemory}
		if cpu, err := paper.ParseCPU(n.CPU); err == nil {
			node.CPU = cpu
		}
		for _, t := range n.Taints {
			node.Taints = append(node.Taints, taint(t))
		}
		room.Nodes = append(room.Nodes, node)
	}
	for _, c := range s.Classes {
		room.Classes = append(room.Classes, c.Name)
	}
	return room
}

// refused gives what was found, and the error of a lab that does not fit.
func refused(desc state.Description, f Fitting, silent string) ([]string, error) {
	said := f.Sentences()
	if silent != "" {
		said = append(said, silent)
	}
	if f.Result.Fits() {
		return said, nil
	}
	next := "alertlab profile show " + desc.Profile + "   # the machine is too small for it; a larger one has room"
	if len(f.Settings) > 0 {
		next = "alertlab up --provider " + desc.Provider + " --profile " + desc.Profile
		if p, err := inprocess.Resolved(desc); err == nil && p.Stack != desc.Stack {
			next += " --stack " + desc.Stack
		}
		if desc.Cluster.Context != "" {
			next += " --context " + desc.Cluster.Context
		}
		next += " " + strings.Join(f.Settings, " ")
	}
	return said, fault.New(fault.BadInput, "the lab does not fit on this machine, nothing was begun", strings.Join(said, "; "), next)
}
