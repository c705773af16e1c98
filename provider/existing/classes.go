package existing

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// classesInput is the class that a profile's brokers name.
type classesInput struct {
	Lab     string `json:"lab"`
	Class   string `json:"class,omitempty"` // "": the cluster's default
	Base    string `json:"base,omitempty"`  // as which class of the cluster it is made; "": the default
	Reclaim string `json:"reclaim,omitempty"`
}

// WantClasses describes the class of a profile's brokers on a cluster with classes of its
// own.
func WantClasses(lab, class, base, reclaim string) plan.Want {
	as := "the cluster's default"
	if base != "" {
		as = base
	}
	title := "volumes are of " + as + " class"
	if base != "" {
		title = "volumes are of class " + as
	}
	if class != "" {
		title = fmt.Sprintf("storage class %s: the cluster's own, or a new one as %s", class, as)
	}
	return plan.Want{Title: title, Input: plan.Input(classesInput{lab, class, base, reclaim}), Behind: "cluster"}
}

// Classes is the plan.Part of the storage classes.
type Classes struct {
	Open func() (*kube.Client, error)
}

// Observe implements plan.Part.
func (c *Classes) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not seen to it yet"}, nil
	}
	var in classesInput
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	client, err := c.Open()
	if err != nil {
		return plan.Observation{}, err
	}
	list, err := client.Clientset.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return plan.Observation{}, err
	}
	if in.Class == "" {
		b, err := base(list.Items, in.Base)
		if err != nil {
			return plan.Observation{State: plan.Present, Why: "volumes have a class", Drift: err.Error()}, nil
		}
		return plan.Observation{State: plan.Present, Why: "volumes are of class " + b.Name}, nil
	}
	for i := range list.Items {
		if list.Items[i].Name == in.Class {
			return plan.Observation{State: plan.Present, Why: "the cluster has class " + in.Class + " of " + list.Items[i].Provisioner}, nil
		}
	}
	return plan.Observation{State: plan.Present, Why: "volumes have a class", Drift: "the class " + in.Class + " is missing"}, nil
}

// Apply implements plan.Part. A class that is there is used as it is.
func (c *Classes) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in classesInput
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	client, err := c.Open()
	if err != nil {
		return nil, err
	}
	api := client.Clientset.StorageV1().StorageClasses()
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	b, err := base(list.Items, in.Base)
	if err != nil || in.Class == "" {
		return nil, err
	}
	_, err = api.Create(ctx, class(in, b), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = nil
	}
	return nil, err
}

// class is the profile's class, as one that the cluster has.
func class(in classesInput, b *storagev1.StorageClass) *storagev1.StorageClass {
	policy, mode := reclaim(b), binding(b)
	if in.Reclaim != "" {
		policy = corev1.PersistentVolumeReclaimPolicy(in.Reclaim)
	}
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: in.Class, Labels: map[string]string{LabelLab: in.Lab, "app.kubernetes.io/part-of": "alertlab"}},
		Provisioner: b.Provisioner, Parameters: b.Parameters, MountOptions: b.MountOptions, AllowVolumeExpansion: b.AllowVolumeExpansion,
		AllowedTopologies: b.AllowedTopologies, ReclaimPolicy: &policy, VolumeBindingMode: &mode}
}

var _ plan.Part = (*Classes)(nil)
