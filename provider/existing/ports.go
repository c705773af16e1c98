package existing

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

// Ports is what was found of the node ports that a lab takes.
type Ports struct {
	Wanted []int  `json:"wanted"`
	Range  string `json:"range"` // that the cluster gives out
	From   string `json:"from"`  // who says so
	Hidden bool   `json:"hidden,omitempty"`
	bad    int    // how many stand against the lab
}

// usual is what Kubernetes gives out where its API server is told nothing else.
var usual = utilnet.PortRange{Base: 30000, Size: 2768}

// ports looks whether the ports are in the cluster's range and no Service of another
// owner has them. An API server does not tell its range, and a dry run does not look at
// it (Kubernetes v1.35, pkg/registry/core/service/portallocator/operation.go); it stands
// on its command line, which two kinds of clusters show.
func (s *Survey) ports(ctx context.Context, client *kube.Client, nodes *corev1.NodeList, need Need) error {
	if len(need.Ports) == 0 {
		return nil
	}
	given, from := givenOut(ctx, client, nodes)
	p := &Ports{Wanted: slices.Sorted(maps.Keys(need.Ports)), Range: given.String(), From: from}
	s.Ports = p
	api := client.Clientset.CoreV1()
	services, err := api.Services("").List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		p.Hidden, services = true, &corev1.ServiceList{}
	} else if err != nil {
		return err
	}
	owner, said := map[int]string{}, map[string]bool{}
	for i := range services.Items {
		v := &services.Items[i]
		home := s.owner(v.Namespace)
		if v.Labels[LabelLab] == need.Lab || home == need.Lab {
			continue
		}
		name := "the Service " + v.Name + " in namespace " + v.Namespace
		if lab := v.Labels[LabelLab]; lab != "" {
			name += ", lab " + lab + "'s"
		}
		said[name] = home != "" // that the namespace is another lab's was said already
		owner[int(v.Spec.HealthCheckNodePort)] = name
		for _, port := range v.Spec.Ports {
			owner[int(port.NodePort)] = name
		}
	}
	var taken, outside []string
	for _, port := range p.Wanted {
		what := fmt.Sprintf("%d (%s)", port, need.Ports[port])
		if name := owner[port]; name != "" {
			p.bad++
			if !said[name] {
				taken = append(taken, what+" is that of "+name)
			}
		}
		if !given.Contains(port) {
			p.bad++
			outside = append(outside, what)
		}
	}
	if len(taken) > 0 {
		s.against(fault.StepFailed, "node ports that the lab takes are somebody's: "+strings.Join(taken, "; "),
			"see to these Services, or let the brokers have other ports, by kafka.listener.nodePort in a copy of the profile: alertlab profile show > mine.yaml")
	}
	if len(outside) > 0 {
		s.against(fault.StepFailed, fmt.Sprintf("the cluster gives out the node ports %s (%s), and the lab takes %s", p.Range, p.From, strings.Join(outside, ", ")),
			"have the API server give them out: --service-node-port-range="+usual.String())
	}
	return nil
}

// owner is the lab that made a namespace which the lab wants; "" for none.
func (s *Survey) owner(namespace string) string {
	for _, n := range s.Namespaces {
		if n.Name == namespace {
			return n.Owner
		}
	}
	return ""
}

// String says it for people.
func (p *Ports) String() string {
	var runs []string
	for i := 0; i < len(p.Wanted); {
		j := i
		for j+1 < len(p.Wanted) && p.Wanted[j+1] == p.Wanted[j]+1 {
			j++
		}
		run := strconv.Itoa(p.Wanted[i])
		if j > i {
			run += " to " + strconv.Itoa(p.Wanted[j])
		}
		runs, i = append(runs, run), j+1
	}
	text := "the lab takes " + strings.Join(runs, ", ")
	switch {
	case p.Hidden:
		return text + "; whether Services of others have them is not known: this user may not list Services"
	case p.bad > 0:
		return fmt.Sprintf("%s; %d of them it cannot have", text, p.bad)
	}
	return text + ", which are free or its own"
}

// rangeFlag finds the range on the command line of an API server or of k3s.
var rangeFlag = regexp.MustCompile(`service-node-port-range[= ]([0-9]+[-+][0-9]+)`)

// givenOut finds the range of node ports, and says who told it.
func givenOut(ctx context.Context, client *kube.Client, nodes *corev1.NodeList) (utilnet.PortRange, string) {
	read := func(words []string) (utilnet.PortRange, bool) {
		m := rangeFlag.FindStringSubmatch(strings.Join(words, " "))
		if m == nil {
			return usual, false
		}
		r, err := utilnet.ParsePortRange(m[1])
		if err != nil {
			return usual, false
		}
		return *r, true
	}
	for _, n := range nodes.Items {
		// k3s notes its arguments as a JSON list (k3s v1.33, pkg/nodeconfig).
		args := strings.NewReplacer(`"`, "", ",", " ").Replace(n.Annotations["k3s.io/node-args"])
		if r, ok := read([]string{args}); ok {
			return r, "k3s on node " + n.Name
		}
	}
	// Who may not look there is told what is usual.
	pods, err := client.Clientset.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "component=kube-apiserver"})
	if err == nil {
		for _, pod := range pods.Items {
			for _, c := range pod.Spec.Containers {
				if r, ok := read(append(slices.Clone(c.Command), c.Args...)); ok {
					return r, "pod " + pod.Name
				}
			}
		}
	}
	return usual, "what is usual"
}
