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
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/k3d"
)

// What nodes take of a machine's memory beside their pods: a server with the API server,
// its database and the system's pods, and an agent, as seen on the rig.
const (
	serverMemory = 700 << 20
	agentMemory  = 250 << 20
)

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

// Fit schedules a lab's pods on paper. It is pure; a machine of zeros is not known.
func Fit(desc state.Description, machine paper.Machine) (Fitting, error) {
	r, err := fitted(desc, machine, nil)
	f := Fitting{Result: r}
	if err != nil || r.Fits() {
		return f, err
	}
	p, err := resolved(desc)
	if err != nil {
		return f, err
	}
	for _, step := range smaller(p) {
		f.Settings, f.Loses = step.settings, step.loses
		r, err := fitted(desc, machine, step.settings)
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

// scaled is a profile made smaller.
type scaled struct{ settings, loses []string }

// smaller lists what may be tried, the least loss first.
func smaller(p *profiles.Profile) []scaled {
	var out []scaled
	var settings, loses []string
	last := func(setting, lost string) {
		out = append(out, scaled{append(slices.Clone(settings), setting), append(slices.Clone(loses), lost)})
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
func fitted(desc state.Description, machine paper.Machine, settings []string) (paper.Result, error) {
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
	nodes, err := nodesOf(w, machine)
	if err != nil {
		return paper.Result{}, err
	}
	classes := []string{"local-path"} // k3s brings it
	var pods []paper.Pod
	for _, want := range w.Parts {
		r, err := component.Read(want.Input)
		if err != nil || r.Chart == "" {
			continue // no release
		}
		if r.Outside != nil {
			for _, made := range r.Outside.Workloads {
				more, err := paper.Workload(want.Key, made.Name, made.Replicas, made.CPU, made.Memory)
				if err != nil {
					return paper.Result{}, err
				}
				pods = append(pods, more...)
			}
			continue
		}
		text, err := helm.Render(want.Input)
		if err != nil {
			return paper.Result{}, err
		}
		more, there, err := paper.Read(want.Key, text)
		if err != nil {
			return paper.Result{}, err
		}
		pods, classes = append(pods, more...), append(classes, there...)
	}
	machine.Reserved = serverMemory + int64(len(nodes)-1)*agentMemory
	return paper.Check(nodes, classes, pods, machine), nil
}

// nodesOf gives the nodes that the plan's cluster will have: each is the whole machine.
func nodesOf(w plan.Wanted, machine paper.Machine) ([]paper.Node, error) {
	i := slices.IndexFunc(w.Parts, func(p plan.Want) bool { return p.Key == "cluster" })
	if i < 0 {
		return nil, fmt.Errorf("stack %s has no cluster", w.Stack)
	}
	planned, err := k3d.Planned(w.Parts[i].Input)
	if err != nil {
		return nil, err
	}
	var nodes []paper.Node
	for _, n := range planned {
		node := paper.Node{Name: n.Name, CPU: machine.CPU, Memory: machine.Memory, Labels: map[string]string{}}
		if key, value, ok := strings.Cut(n.Label, "="); ok {
			node.Labels[key] = value
		}
		if head, effect, ok := strings.Cut(n.Taint, ":"); ok {
			key, value, _ := strings.Cut(head, "=")
			node.Taints = append(node.Taints, paper.Taint{Key: key, Value: value, Effect: effect})
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// CheckFit asks the engine for its machine and schedules the lab on it. Where there is
// no cluster to make, or no engine answers, it gives nothing: who is silent is said
// elsewhere.
func CheckFit(ctx context.Context, desc state.Description) ([]string, error) {
	if desc.Provider != K3d {
		return nil, nil
	}
	cpu, memory, err := (&k3d.Docker{}).Machine(ctx)
	if err != nil {
		cpu, memory = 0, 0
	}
	f, err := Fit(desc, paper.Machine{CPU: cpu, Memory: memory})
	if err != nil {
		return nil, err
	}
	return refused(desc, f, cpu == 0)
}

// refused gives what was found, and the error of a lab that does not fit.
func refused(desc state.Description, f Fitting, unknown bool) ([]string, error) {
	said := f.Sentences()
	if unknown {
		said = append(said, "how large the machine is is not known: its engine does not answer")
	}
	if f.Result.Fits() {
		return said, nil
	}
	next := "alertlab profile show " + desc.Profile + "   # the machine is too small for it; a larger one has room"
	if len(f.Settings) > 0 {
		next = "alertlab up --provider " + desc.Provider + " --profile " + desc.Profile + " " + strings.Join(f.Settings, " ")
	}
	return said, fault.New(fault.BadInput, "the lab does not fit on this machine, nothing was begun", strings.Join(said, "; "), next)
}
