package existing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

// LabelLab is the label of what a lab owns.
const LabelLab = "alertlab.dev/lab"

// Selector finds what a lab owns.
func Selector(lab string) string { return LabelLab + "=" + lab }

// Need is what a lab wants of a cluster.
type Need struct {
	Lab         string
	Namespaces  []string
	Adopt       bool
	Class       string // that the profile's brokers name; "" for none
	Base        string // the cluster's class for what names none; "" for the default
	Reclaim     string // that the profile wants of the brokers' volumes; "" for any
	NodeAddress string
	Apart       int // brokers that may not share a node
	// Ports are the ports of the nodes that it takes, each with what answers there.
	Ports map[int]string
	// Rights are those that it needs beside Rights.
	Rights []Right
	// Shared is what it uses of which a cluster has one for everybody.
	Shared []Shared
	// IngressClass is the class of the cluster's own that its Ingresses are of; "": none.
	IngressClass string
}

// Survey is what was found of a cluster.
type Survey struct {
	Context    string      `json:"context"`
	Version    string      `json:"version"` // of Kubernetes
	Nodes      []Node      `json:"nodes"`
	PodsHidden bool        `json:"podsHidden,omitempty"` // this user may not list the pods of all namespaces
	Classes    []Class     `json:"classes"`
	Namespaces []Namespace `json:"namespaces"`
	Components []string    `json:"components"` // of other people's that the lab could meet
	Missing    []string    `json:"missing"`    // rights
	Address    string      `json:"address"`    // at which the lab's node ports would answer
	Ports      *Ports      `json:"ports,omitempty"`
	Announces  string      `json:"announces,omitempty"` // the real system's addresses that the lab would announce
	Shared     []Found     `json:"shared,omitempty"`    // of which the cluster has one for everybody
	Adds       []string    `json:"adds"`                // what the lab would add
	Problems   []Problem   `json:"problems"`            // that stand against it
}

// Node is one node of the cluster.
type Node struct {
	Name    string   `json:"name"`
	Ready   bool     `json:"ready"`
	Takes   bool     `json:"takes"` // pods that tolerate nothing
	Address string   `json:"address"`
	CPU     string   `json:"cpu"`
	Memory  int64    `json:"memory"` // bytes that pods may have
	Version string   `json:"version"`
	Taints  []string `json:"taints,omitempty"`
	// TakenCPU (thousandths of a processor) and TakenMemory (bytes) are what pods that are
	// not the lab's ask for there.
	TakenCPU    int64 `json:"takenCPU,omitempty"`
	TakenMemory int64 `json:"takenMemory,omitempty"`
}

// Class is one storage class.
type Class struct {
	Name        string `json:"name"`
	Default     bool   `json:"default,omitempty"`
	Provisioner string `json:"provisioner"`
	Reclaim     string `json:"reclaim"`
	Binding     string `json:"binding"`
	Expands     bool   `json:"expands,omitempty"`
	Owner       string `json:"owner,omitempty"` // the lab that made it
}

// Namespace is one that the lab wants.
type Namespace struct {
	Name  string `json:"name"`
	There bool   `json:"there"`
	Owner string `json:"owner,omitempty"` // the lab that made it
}

// Problem is one thing that stands against a lab on the cluster.
type Problem struct {
	What string     `json:"what"`
	Next string     `json:"next"`
	Code fault.Code `json:"-"`
}

// apis are groups of other people's components, by what they are called.
var apis = map[string]string{"cert-manager.io": "cert-manager", "metallb.io": "MetalLB", "kafka.strimzi.io": "Strimzi", "argoproj.io": "Argo CD",
	"roundtable.lsst.codes": "strimzi-registry-operator", "traefik.io": "Traefik", "gateway.networking.k8s.io": "Gateway API"}

// answerTime bounds the first question to a cluster.
const answerTime = 10 * time.Second

// Look finds out about a cluster, and changes nothing.
func Look(ctx context.Context, source Source, need Need) (*Survey, error) {
	kubeconfig, err := source.Kubeconfig()
	if err != nil {
		return nil, err
	}
	client, err := kube.New(kubeconfig)
	if err != nil {
		return nil, fault.Wrap(fault.BadInput, "the context "+source.Context+" cannot be used", err, "correct the kubeconfig")
	}
	return look(ctx, client, source.Context, need)
}

func look(ctx context.Context, client *kube.Client, name string, need Need) (*Survey, error) {
	s := &Survey{Context: name}
	var err error
	if s.Version, err = answers(ctx, client, name); err != nil {
		return nil, err
	}
	if s.Missing, err = Missing(ctx, client.Clientset, need.rights(), need.Namespaces); err != nil {
		return nil, err
	}
	if err := s.shared(ctx, client, need); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.Shared, func(f Found) bool { return !f.There || f.Mine }) {
		more, err := Missing(ctx, client.Clientset, bringing(), need.Namespaces)
		if err != nil {
			return nil, err
		}
		s.Missing = append(s.Missing, more...)
	}
	if len(s.Missing) > 0 {
		s.against(fault.StepFailed, "this user lacks rights on the cluster: "+strings.Join(s.Missing, "; "),
			"ask the cluster's owner for a ClusterRole with them, then: alertlab doctor --provider existing --context "+name)
	}
	nodes, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	if err != nil {
		nodes = &corev1.NodeList{} // this user may not see them
	} else {
		s.nodes(nodes.Items, need)
		if err := s.taken(ctx, client.Clientset, need.Lab); err != nil {
			return nil, err
		}
	}
	classes, err := client.Clientset.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	if err == nil {
		s.classes(classes.Items, need)
	}
	for _, name := range need.Namespaces {
		n, err := client.Clientset.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			s.Namespaces = append(s.Namespaces, Namespace{Name: name})
			s.Adds = append(s.Adds, "namespace "+name)
		case apierrors.IsForbidden(err):
		case err != nil:
			return nil, err
		default:
			s.Namespaces = append(s.Namespaces, Namespace{Name: name, There: true, Owner: n.Labels[LabelLab]})
			if err := owned(n, need.Lab, need.Adopt); err != nil {
				s.Problems = append(s.Problems, Problem{What: err.Error(), Next: err.Next, Code: err.Code})
			}
		}
	}
	if err := s.ports(ctx, client, nodes, need); err != nil {
		return nil, err
	}
	if groups, err := client.Clientset.Discovery().ServerGroups(); err == nil {
		for _, g := range groups.Groups {
			if word := apis[g.Name]; word != "" {
				s.Components = append(s.Components, word)
			}
		}
		slices.Sort(s.Components)
	}
	return s, s.ingress(ctx, client, need)
}

// shared looks at what a cluster has one of for everybody, and what the lab would bring.
func (s *Survey) shared(ctx context.Context, client *kube.Client, need Need) error {
	for _, one := range need.Shared {
		f, err := one.Find(ctx, client, need.Lab)
		if apierrors.IsForbidden(err) {
			continue // that the right is missing was said
		}
		if err != nil {
			return err
		}
		s.Shared = append(s.Shared, f)
		if f.Why != "" && !slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.What == f.Why }) {
			s.against(fault.StepFailed, f.Why, f.Next)
		}
		if f.There {
			continue
		}
		s.Adds = append(s.Adds, fmt.Sprintf("%s, as a release of the lab's in namespace %s", f.Brings, f.Namespace))
		n, err := client.Clientset.CoreV1().Namespaces().Get(ctx, f.Namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		case err != nil:
			return err
		default:
			if err := owned(n, need.Lab, need.Adopt); err != nil && !slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.What == err.Error() }) {
				s.Problems = append(s.Problems, Problem{What: err.Error(), Next: err.Next, Code: err.Code})
			}
		}
	}
	return nil
}

// found lists what was found of what is shared, a sentence each: an operator and its
// definitions are two parts, and one thing to find.
func (s *Survey) found() []string {
	var out []string
	for _, f := range s.Shared {
		if text := f.String(); f.There && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// Against notes a problem that somebody else found.
func (s *Survey) Against(err error, next string) {
	s.against(fault.BadInput, err.Error(), next)
}

// answers asks a cluster for its version.
func answers(ctx context.Context, client *kube.Client, name string) (string, error) {
	bound, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	type answer struct {
		version string
		err     error
	}
	result := make(chan answer, 1)
	go func() { // discovery takes no context
		v, err := client.Clientset.Discovery().ServerVersion()
		if err != nil {
			result <- answer{err: err}
			return
		}
		result <- answer{version: v.GitVersion}
	}()
	select {
	case a := <-result:
		return a.version, silent(name, a.err)
	case <-bound.Done():
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", silent(name, fmt.Errorf("nothing came for %s", answerTime))
	}
}

func (s *Survey) against(code fault.Code, what, next string) {
	s.Problems = append(s.Problems, Problem{What: what, Next: next, Code: code})
}

// nodes notes the nodes, and where node ports would answer.
func (s *Survey) nodes(list []corev1.Node, need Need) {
	for i := range list {
		s.Nodes = append(s.Nodes, describe(&list[i]))
	}
	address, err := address(list, need.NodeAddress, "")
	if err != nil {
		s.against(fault.StepFailed, err.Error(), "see to the nodes, or name an address that leads to their ports: --node-address ADDRESS")
	}
	s.Address = address
	takes := 0
	for _, n := range s.Nodes {
		if n.Ready && n.Takes {
			takes++
		}
	}
	if takes < need.Apart {
		s.against(fault.StepFailed, fmt.Sprintf("%d brokers may not share a node, and %d nodes take pods", need.Apart, takes),
			"add nodes, or use a copy of the profile without kafka.brokers.antiAffinity: alertlab profile show > mine.yaml")
	}
}

func describe(n *corev1.Node) Node {
	out := Node{Name: n.Name, Takes: !n.Spec.Unschedulable, Address: addressOf(n), CPU: n.Status.Allocatable.Cpu().String(),
		Memory: n.Status.Allocatable.Memory().Value(), Version: n.Status.NodeInfo.KubeletVersion}
	for _, c := range n.Status.Conditions {
		out.Ready = out.Ready || c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}
	for _, t := range n.Spec.Taints {
		out.Taints = append(out.Taints, t.ToString())
		out.Takes = out.Takes && t.Effect == corev1.TaintEffectPreferNoSchedule
	}
	return out
}

// addressOf is where a node is reached from outside.
func addressOf(n *corev1.Node) string {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, a := range n.Status.Addresses {
			if a.Type == kind {
				return a.Address
			}
		}
	}
	return ""
}

// address picks the address of the lab's node ports, which every node has: the one that
// was named, else the one that it was, else that of the first node that is Ready.
func address(list []corev1.Node, named, before string) (string, error) {
	if named != "" {
		return named, nil
	}
	var all []string
	for i := range list {
		if n := describe(&list[i]); n.Ready && n.Address != "" {
			all = append(all, n.Address)
		}
	}
	switch {
	case slices.Contains(all, before):
		return before, nil
	case len(all) == 0:
		return "", fmt.Errorf("none of the cluster's %d nodes is Ready and has an address", len(list))
	}
	return all[0], nil
}

const defaultClass = "storageclass.kubernetes.io/is-default-class"

func (s *Survey) classes(list []storagev1.StorageClass, need Need) {
	for i := range list {
		c := &list[i]
		s.Classes = append(s.Classes, Class{Name: c.Name, Default: c.Annotations[defaultClass] == "true", Provisioner: c.Provisioner,
			Reclaim: string(reclaim(c)), Binding: string(binding(c)), Expands: c.AllowVolumeExpansion != nil && *c.AllowVolumeExpansion, Owner: c.Labels[LabelLab]})
	}
	base, err := base(list, need.Base)
	if err != nil {
		s.against(fault.StepFailed, err.Error(), "name one that it has: --storage-class CLASS")
		return
	}
	if need.Class == "" {
		return
	}
	for _, c := range s.Classes {
		if c.Name == need.Class {
			return
		}
	}
	s.Adds = append(s.Adds, fmt.Sprintf("storage class %s, as the cluster's %s (%s)", need.Class, base.Name, base.Provisioner))
}

// base finds the class for what names none.
func base(list []storagev1.StorageClass, named string) (*storagev1.StorageClass, error) {
	var names []string
	for i := range list {
		c := &list[i]
		if c.Name == named || named == "" && c.Annotations[defaultClass] == "true" {
			return c, nil
		}
		names = append(names, c.Name)
	}
	there := "it has " + cmp.Or(strings.Join(names, ", "), "none")
	if named != "" {
		return nil, fmt.Errorf("the cluster has no storage class %s: %s", named, there)
	}
	return nil, fmt.Errorf("the cluster has no default storage class: %s", there)
}

func reclaim(c *storagev1.StorageClass) corev1.PersistentVolumeReclaimPolicy {
	if c.ReclaimPolicy == nil {
		return corev1.PersistentVolumeReclaimDelete
	}
	return *c.ReclaimPolicy
}

func binding(c *storagev1.StorageClass) storagev1.VolumeBindingMode {
	if c.VolumeBindingMode == nil {
		return storagev1.VolumeBindingImmediate
	}
	return *c.VolumeBindingMode
}

// owned says why a lab must not live in a namespace; nil when it may.
func owned(n *corev1.Namespace, lab string, adopt bool) *fault.Fault {
	owner := n.Labels[LabelLab]
	switch {
	case n.DeletionTimestamp != nil:
		return fault.New(fault.StepFailed, "the namespace "+n.Name+" is being deleted", "what is in it goes first", "wait until it is gone: kubectl wait --for=delete namespace/"+n.Name)
	case owner == lab:
		return nil
	case owner != "":
		return fault.New(fault.BadInput, fmt.Sprintf("the namespace %s is lab %s's", n.Name, owner), "a cluster has one lab at a time, since namespaces are called as at the real sites", "alertlab down --purge --lab "+owner)
	case adopt:
		return nil
	}
	return fault.New(fault.BadInput, fmt.Sprintf("the namespace %s is there, and no lab made it", n.Name), "what is in it may be somebody's",
		"alertlab up --provider existing --adopt   # lives in it all the same, beside what is there; or name another cluster: --context NAME")
}

// Err is everything that stands against the lab, nil when nothing does.
func (s *Survey) Err() error {
	if len(s.Problems) == 0 {
		return nil
	}
	var what, next []string
	code := s.Problems[0].Code
	for _, p := range s.Problems {
		what, next = append(what, p.What), append(next, p.Next)
		code = min(code, p.Code)
	}
	return fault.New(code, "the cluster of context "+s.Context+" cannot take the lab", strings.Join(what, "; "), strings.Join(slices.Compact(next), "\n"))
}

// realWords is what is said of the real system's addresses before a lab takes them.
const realWords = "the real system's addresses, announced by L2 (ARP) on the network of the nodes"

// Text is the survey for people, a line for each thing.
func (s *Survey) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "found at context %s, Kubernetes %s:\n", s.Context, s.Version)
	for _, n := range s.Nodes {
		state := "Ready"
		if !n.Ready {
			state = "not Ready"
		}
		if len(n.Taints) > 0 {
			state += ", tainted " + strings.Join(n.Taints, " ")
		}
		line("node", "%s at %s, %s, %s processors, %.1f GiB%s, %s", n.Name, n.Address, n.Version, n.CPU, float64(n.Memory)/(1<<30), n.others(), state)
	}
	for _, c := range s.Classes {
		word := ""
		if c.Default {
			word = ", the default"
		}
		if c.Owner != "" {
			word += ", made by lab " + c.Owner
		}
		line("class", "%s of %s, %s, %s%s", c.Name, c.Provisioner, c.Reclaim, c.Binding, word)
	}
	for _, n := range s.Namespaces {
		switch {
		case !n.There:
			line("namespace", "%s is not there", n.Name)
		case n.Owner == "":
			line("namespace", "%s is there, and no lab's", n.Name)
		default:
			line("namespace", "%s is lab %s's", n.Name, n.Owner)
		}
	}
	if len(s.Components) > 0 {
		line("components", "%s", strings.Join(s.Components, ", "))
	}
	for _, found := range s.found() {
		line("found", "%s", found)
	}
	if len(s.Missing) == 0 {
		line("rights", "all that a lab needs")
	}
	for _, m := range s.Missing {
		line("lacks right", "%s", m)
	}
	if s.Address != "" {
		line("address", "node ports are reached at %s", s.Address)
	}
	if s.Ports != nil {
		line("node ports", "%s", s.Ports)
	}
	for _, a := range s.Adds {
		line("would add", "%s", a)
	}
	if s.Announces != "" {
		line("ANNOUNCES", "%s: "+realWords, s.Announces)
	}
	return b.String()
}
