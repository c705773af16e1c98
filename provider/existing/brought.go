package existing

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// Release is a part that brings something by a release.
type Release interface {
	plan.Part
	plan.Waiter
	// Attend follows what its pods write, given its input as it was last applied.
	Attend(input json.RawMessage)
	Activity() event.Activity
}

// Brought is the plan.Part of something shared: a release of the lab's own where the
// cluster has none, else what is there.
type Brought struct {
	Release
	// Shared says what it is, given a step's input.
	Shared func(input json.RawMessage) (Shared, error)
	Lab    string
	Adopt  bool // a namespace that somebody else made will do
	Open   func() (*kube.Client, error)
}

// outputNamespace is the output that says where it runs.
const outputNamespace = "namespace"

func (b *Brought) find(ctx context.Context, input json.RawMessage) (*kube.Client, Found, error) {
	s, err := b.Shared(input)
	if err != nil {
		return nil, Found{}, err
	}
	client, err := b.Open()
	if err != nil {
		return nil, Found{}, err
	}
	f, err := s.Find(ctx, client, b.Lab)
	if err == nil && f.Why != "" {
		err = fault.New(fault.StepFailed, "the cluster's "+f.Name+" cannot be used", f.Why, f.Next)
	}
	return client, f, err
}

// Observe implements plan.Part. What others brought is as it should be, whatever the
// lab would have brought instead.
func (b *Brought) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	client, f, err := b.find(ctx, look.Want.Input)
	if err != nil {
		return plan.Observation{}, err
	}
	if f.Foreign() {
		return plan.Observation{State: plan.Present, Why: f.String(), Applied: look.Want.Input, Resolved: look.Want.Input,
			Outputs: map[string]string{outputNamespace: f.Namespace}}, nil
	}
	brought := kube.LabelBrought
	if f.release != "" {
		brought += "=" + f.release
	}
	all, up, err := client.Workloads(ctx, f.Namespace, brought+","+Selector(b.Lab))
	if err != nil {
		return plan.Observation{}, err
	}
	if all > 0 && up == 0 {
		return plan.Observation{State: plan.Absent, Kept: true, Why: fmt.Sprintf("its %d workloads are scaled to zero", all)}, nil
	}
	return b.Release.Observe(ctx, look)
}

// Apply implements plan.Part.
func (b *Brought) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	client, f, err := b.find(ctx, order.Input)
	if err != nil {
		return nil, err
	}
	if f.Foreign() {
		return map[string]string{outputNamespace: f.Namespace}, nil
	}
	labels := map[string]string{LabelLab: b.Lab, kube.LabelBrought: f.Key, "app.kubernetes.io/part-of": "alertlab"}
	if err := claim(ctx, client, f.Namespace, labels, b.Adopt); err != nil {
		return nil, err
	}
	return b.Release.Apply(ctx, order)
}

// claim makes a namespace of the lab that labels name, or looks whose it is.
func claim(ctx context.Context, client *kube.Client, name string, labels map[string]string, adopt bool) error {
	api := client.Clientset.CoreV1().Namespaces()
	_, err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: maps.Clone(labels)}}, metav1.CreateOptions{})
	if err == nil || !apierrors.IsAlreadyExists(err) {
		return err
	}
	n, err := api.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := owned(n, labels[LabelLab], adopt); err != nil {
		return err
	}
	return nil
}

// Wait implements plan.Waiter. Nobody waits for what others brought: it was seen to run.
func (b *Brought) Wait(ctx context.Context, gate plan.Gate, order plan.Order, seen func(string)) error {
	_, f, err := b.find(ctx, order.Input)
	switch {
	case f.Why != "":
		return err
	case err == nil && f.Foreign():
		return nil
	}
	return b.Release.Wait(ctx, gate, order, seen)
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Brought)(nil)
