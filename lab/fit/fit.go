package fit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Node is where pods run.
type Node struct {
	Name   string
	Labels map[string]string
	Taints []Taint
	// CPU (thousandths of a processor) and Memory (bytes) are what pods may ask for; 0:
	// not known, and not held against them.
	CPU, Memory int64
	// TakenCPU and TakenMemory are what pods ask for there that are no lab's: the node's own,
	// and those of others.
	TakenCPU, TakenMemory int64
}

// Taint keeps pods off a node that do not tolerate it.
type Taint struct{ Key, Value, Effect string }

// String is key=value:effect.
func (t Taint) String() string { return t.Key + "=" + t.Value + ":" + t.Effect }

// Pod is one pod as it is asked for.
type Pod struct {
	Name        string
	Component   string // whose it is, e.g. kafka
	Labels      map[string]string
	CPU, Memory int64 // requests, as in Node
	// Tolerations are the taints that it bears; an empty Effect is every one.
	Tolerations []Taint
	// Apart lists the labels of pods that it may not share a node with, each of them
	// enough.
	Apart []map[string]string
	// Classes are the storage classes of its volumes; "" is the cluster's default.
	Classes []string
}

// Machine is what all nodes share; 0 is not known.
type Machine struct {
	CPU    int64 // thousandths of a processor
	Memory int64 // bytes
	// Reserved is what the nodes themselves take of the memory.
	Reserved int64
}

// Problem is a pod without a node.
type Problem struct {
	Pod string
	Why string
}

// Result says what fits.
type Result struct {
	Pods, Nodes int
	CPU, Memory int64             // the sum of requests
	Taken       Amount            // what pods ask for beside that are no lab's
	Placed      map[string]string // node by pod
	Problems    []Problem         // pods that find no node
	Over        []string          // what the machine has less of than all pods ask for, a sentence each
}

// Amount is processors, in thousandths, and memory, in bytes.
type Amount struct{ CPU, Memory int64 }

// Fits says whether everything does.
func (r Result) Fits() bool { return len(r.Problems) == 0 && len(r.Over) == 0 }

// Sentences says it in words: first the sums, then what does not fit.
func (r Result) Sentences() []string {
	sums := fmt.Sprintf("%d pods on %d nodes ask for %s processors and %s", r.Pods, r.Nodes, CPU(r.CPU), Bytes(r.Memory))
	if r.Taken != (Amount{}) {
		sums += fmt.Sprintf(", beside %s and %s of pods that the nodes have anyway", CPU(r.Taken.CPU), Bytes(r.Taken.Memory))
	}
	out := []string{sums}
	for _, p := range r.Problems {
		out = append(out, "no node for "+p.Pod+": "+p.Why)
	}
	return append(out, r.Over...)
}

// Check places the pods. Those that are hardest to place come first: which may not share
// a node with others, then the largest. A pod goes to the node with the most room, as
// Kubernetes' scheduler has it. classes are the storage classes that there are.
func Check(nodes []Node, classes []string, pods []Pod, m Machine) Result {
	r := Result{Pods: len(pods), Nodes: len(nodes), Placed: map[string]string{}}
	state := make([]placed, len(nodes))
	for i, n := range nodes {
		state[i] = placed{Node: n, cpu: n.TakenCPU, memory: n.TakenMemory}
		r.Taken.CPU += n.TakenCPU
		r.Taken.Memory += n.TakenMemory
	}
	order := slices.Clone(pods)
	slices.SortStableFunc(order, func(a, b Pod) int {
		return cmp.Or(len(b.Apart)-len(a.Apart), cmp.Compare(b.Memory, a.Memory), cmp.Compare(b.CPU, a.CPU), strings.Compare(a.Name, b.Name))
	})
	for _, p := range order {
		r.CPU += p.CPU
		r.Memory += p.Memory
		best := -1
		reasons := map[string]int{}
		for i := range state {
			if why := state[i].not(p); why != "" {
				reasons[why]++
				continue
			}
			if best < 0 || state[i].memory < state[best].memory || state[i].memory == state[best].memory && state[i].cpu < state[best].cpu {
				best = i
			}
		}
		var missing []string
		for _, class := range p.Classes {
			if !slices.Contains(classes, class) && class != "" {
				missing = append(missing, class)
			}
		}
		switch {
		case len(missing) > 0:
			r.Problems = append(r.Problems, Problem{p.Name, "there is no storage class " + strings.Join(missing, ", ")})
		case best < 0:
			r.Problems = append(r.Problems, Problem{p.Name, because(reasons, len(nodes))})
		default:
			state[best].take(p)
			r.Placed[p.Name] = state[best].Name
		}
	}
	slices.SortFunc(r.Problems, func(a, b Problem) int { return strings.Compare(a.Pod, b.Pod) })
	if all := r.CPU + r.Taken.CPU; m.CPU > 0 && all > m.CPU {
		r.Over = append(r.Over, fmt.Sprintf("all pods ask for %s processors, and the machine has %s: every node reports the same ones", CPU(all), CPU(m.CPU)))
	}
	// What the nodes take of the memory is what their own pods were seen to use, too.
	if m.Memory > 0 && r.Memory+m.Reserved > m.Memory {
		r.Over = append(r.Over, fmt.Sprintf("all pods ask for %s, and the machine has %s, of which the nodes take %s themselves", Bytes(r.Memory), Bytes(m.Memory), Bytes(m.Reserved)))
	}
	return r
}

// because counts the nodes by what keeps a pod off them, as Kubernetes' scheduler says it.
func because(reasons map[string]int, nodes int) string {
	if nodes == 0 {
		return "there are no nodes"
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%d of %d %s", reasons[why], nodes, why))
	}
	return strings.Join(parts, ", ")
}

// placed is a node with the pods that it was given.
type placed struct {
	Node
	pods        []Pod
	cpu, memory int64
}

func (n *placed) take(p Pod) {
	n.pods = append(n.pods, p)
	n.cpu += p.CPU
	n.memory += p.Memory
}

// not says why a pod cannot run here, "" when it can.
func (n *placed) not(p Pod) string {
	for _, t := range n.Taints {
		if t.Effect != "PreferNoSchedule" && !slices.ContainsFunc(p.Tolerations, func(o Taint) bool {
			return o.Key == t.Key && o.Value == t.Value && (o.Effect == "" || o.Effect == t.Effect)
		}) {
			return "have the taint " + t.String()
		}
	}
	for _, other := range n.pods {
		if slices.ContainsFunc(p.Apart, other.has) || slices.ContainsFunc(other.Apart, p.has) {
			return "have a pod that it may not share a node with"
		}
	}
	if n.CPU > 0 && n.cpu+p.CPU > n.CPU {
		return "have too few processors left"
	}
	if n.Memory > 0 && n.memory+p.Memory > n.Memory {
		return "have too little memory left"
	}
	return ""
}

// has says whether the pod has all of these labels.
func (p Pod) has(labels map[string]string) bool {
	for key, value := range labels {
		if p.Labels[key] != value {
			return false
		}
	}
	return true
}
