package existing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// ingressInput is the class of a lab's Ingresses.
type ingressInput struct {
	Class string `json:"class"`
}

// WantIngressClass describes an ingress class that the cluster has. It is looked for before
// the lab has a place there.
func WantIngressClass(class string) plan.Want {
	return plan.Want{Title: "ingress class " + class + ", the cluster's own", Input: plan.Input(ingressInput{class})}
}

// IngressClass is the plan.Part of an ingress class that the cluster has. It makes nothing.
type IngressClass struct {
	Open func() (*kube.Client, error)
}

// Observe implements plan.Part.
func (c *IngressClass) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	client, err := c.Open()
	if err != nil {
		return plan.Observation{}, err
	}
	seen, err := ingressClass(ctx, client, look.Want.Input)
	if err != nil {
		return plan.Observation{}, err
	}
	return plan.Observation{State: plan.Present, Why: seen, Applied: look.Want.Input, Resolved: look.Want.Input}, nil
}

// Apply implements plan.Part.
func (c *IngressClass) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	client, err := c.Open()
	if err != nil {
		return nil, err
	}
	_, err = ingressClass(ctx, client, order.Input)
	return nil, err
}

// ingressClass looks for the class that an input names, and says what it is.
func ingressClass(ctx context.Context, client *kube.Client, input json.RawMessage) (string, error) {
	var in ingressInput
	if err := json.Unmarshal(input, &in); err != nil {
		return "", err
	}
	classes, err := ingressClasses(ctx, client)
	if err != nil {
		return "", err
	}
	for _, c := range classes {
		if c.Name == in.Class {
			return fmt.Sprintf("the ingress class %s of %s was there: it is used, and left as it is", c.Name, c.Controller), nil
		}
	}
	return "", noIngressClass(in.Class, classes)
}

// noIngressClass says that a cluster lacks a class.
func noIngressClass(name string, there []Ingresses) *fault.Fault {
	has := "it has none"
	if len(there) > 0 {
		var names []string
		for _, c := range there {
			names = append(names, c.Name)
		}
		has = "it has " + strings.Join(names, ", ")
	}
	return fault.New(fault.StepFailed, "the cluster has no ingress class "+name, has, "name one that it has: --ingress class:NAME; or --ingress traefik, which the lab brings")
}

// Ingresses is an ingress class of a cluster.
type Ingresses struct {
	Name       string `json:"name"`
	Controller string `json:"controller"`
	Owner      string `json:"owner,omitempty"` // the lab that made it
}

// ingressClasses lists those of a cluster, sorted by name.
func ingressClasses(ctx context.Context, client *kube.Client) ([]Ingresses, error) {
	list, err := client.Clientset.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var out []Ingresses
	for i := range list.Items {
		c := &list.Items[i]
		out = append(out, Ingresses{Name: c.Name, Controller: c.Spec.Controller, Owner: c.Labels[LabelLab]})
	}
	slices.SortFunc(out, func(a, b Ingresses) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// ingress looks for the class that the lab wants of the cluster.
func (s *Survey) ingress(ctx context.Context, client *kube.Client, need Need) error {
	classes, err := ingressClasses(ctx, client)
	if apierrors.IsForbidden(err) {
		return nil // that the right is missing was said, where it is needed
	}
	if err != nil {
		return err
	}
	for _, c := range classes {
		s.Components = append(s.Components, "ingress class "+c.Name)
	}
	if need.IngressClass != "" && !slices.ContainsFunc(classes, func(c Ingresses) bool { return c.Name == need.IngressClass }) {
		f := noIngressClass(need.IngressClass, classes)
		s.Problems = append(s.Problems, Problem{What: f.Error(), Next: f.Next, Code: f.Code})
	}
	return nil
}

// findClass looks whether an ingress class is there that the lab would bring. One that
// somebody else made is nobody's to bring, and is used only where it is asked for: where
// its controller is reached the lab does not decide.
func (s Shared) findClass(ctx context.Context, client *kube.Client, lab string, f Found) (Found, error) {
	classes, err := ingressClasses(ctx, client)
	if err != nil {
		return f, err
	}
	for _, c := range classes {
		switch {
		case c.Name != s.Class:
		case c.Owner == lab:
			f.There, f.Mine = true, true
		default:
			f.There = true
			f.Why = fmt.Sprintf("the ingress class %s is there, of %s, and the lab did not make it", c.Name, c.Controller)
			f.Next = "alertlab up --provider existing --ingress class:" + c.Name + "   # uses it"
		}
	}
	return f, nil
}

// IngressRights lists what it takes to have Ingresses; brings says that the lab brings
// their class.
func IngressRights(brings bool) []Right {
	classes := []string{"get", "list"}
	if brings {
		classes = writes
	}
	return []Right{
		{"networking.k8s.io", "ingresses", append(slices.Clone(writes), "watch"), false},
		{"networking.k8s.io", "ingressclasses", classes, true},
	}
}
