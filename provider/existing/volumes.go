package existing

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// volumesInput is how the lab's volumes should be.
type volumesInput struct {
	Lab       string `json:"lab"`
	Namespace string `json:"namespace"`
	Cluster   string `json:"cluster"` // Kafka's name, whose volumes
	Policy    string `json:"policy"`  // Retain or Delete
}

// WantVolumes describes what becomes of the brokers' volumes when their claims are
// deleted. At the real site each volume was patched too: a class that is there cannot be
// changed.
func WantVolumes(lab, namespace, cluster, policy string) plan.Want {
	title := "the volumes of " + cluster + " are deleted with their claims, as their class says"
	if policy == string(corev1.PersistentVolumeReclaimRetain) {
		title = "the volumes of " + cluster + " outlive their claims"
	}
	return plan.Want{Title: title, Input: plan.Input(volumesInput{lab, namespace, cluster, policy}), Behind: "cluster"}
}

// Volumes is the plan.Part of the brokers' volumes.
type Volumes struct {
	Open func() (*kube.Client, error)
}

// Volume is one volume of a lab.
type Volume struct {
	Name, Claim, Size, Where string
	Policy                   corev1.PersistentVolumeReclaimPolicy
}

func (v Volume) String() string {
	text := fmt.Sprintf("volume %s of %s, %s", v.Name, v.Claim, v.Size)
	if v.Where != "" {
		text += ", " + v.Where
	}
	return text
}

// volumes lists the volumes that claims of a selector have in a namespace.
func volumes(ctx context.Context, client *kube.Client, namespace, selector string) ([]Volume, error) {
	claims, err := client.Clientset.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var out []Volume
	for _, c := range claims.Items {
		if c.Spec.VolumeName == "" {
			continue
		}
		pv, err := client.Clientset.CoreV1().PersistentVolumes().Get(ctx, c.Spec.VolumeName, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		size := pv.Spec.Capacity[corev1.ResourceStorage]
		v := Volume{Name: pv.Name, Claim: c.Name, Size: size.String(), Policy: pv.Spec.PersistentVolumeReclaimPolicy}
		switch {
		case pv.Spec.HostPath != nil:
			v.Where = pv.Spec.HostPath.Path + " of its node"
		case pv.Spec.Local != nil:
			v.Where = pv.Spec.Local.Path + " of its node"
		}
		out = append(out, v)
	}
	return out, nil
}

// going lists the volumes of a lab that their provisioner deletes after their claims.
func going(ctx context.Context, client *kube.Client, lab string, namespaces []string) ([]kube.Ref, error) {
	var out []kube.Ref
	for _, name := range namespaces {
		all, err := volumes(ctx, client, name, Selector(lab))
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			if v.Policy == corev1.PersistentVolumeReclaimDelete {
				out = append(out, kube.Ref{Kind: corev1.SchemeGroupVersion.WithKind("PersistentVolume"), Name: v.Name})
			}
		}
	}
	return out, nil
}

// Retained lists the volumes of a lab that stay when it is deleted.
func Retained(ctx context.Context, client *kube.Client, lab string, namespaces []string) ([]Volume, error) {
	var out []Volume
	for _, name := range namespaces {
		all, err := volumes(ctx, client, name, Selector(lab))
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			if v.Policy == corev1.PersistentVolumeReclaimRetain {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// RetainedAt is Retained of a context.
func RetainedAt(ctx context.Context, source Source, lab string, namespaces []string) ([]Volume, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	if _, err := answers(ctx, client, source.Context); err != nil {
		return nil, err
	}
	return Retained(ctx, client, lab, namespaces)
}

// chosen lists the volumes that are to be otherwise.
func (v *Volumes) chosen(ctx context.Context, in volumesInput) (all, other []Volume, client *kube.Client, err error) {
	if client, err = v.Open(); err != nil {
		return nil, nil, nil, err
	}
	if all, err = volumes(ctx, client, in.Namespace, Selector(in.Lab)+",strimzi.io/cluster="+in.Cluster); err != nil {
		return nil, nil, nil, err
	}
	if in.Policy != string(corev1.PersistentVolumeReclaimRetain) {
		return all, nil, client, nil // as their class says
	}
	for _, one := range all {
		if string(one.Policy) != in.Policy {
			other = append(other, one)
		}
	}
	return all, other, client, nil
}

// Observe implements plan.Part.
func (v *Volumes) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not seen to it yet"}, nil
	}
	var in volumesInput
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	all, other, _, err := v.chosen(ctx, in)
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d volumes are as they should be", len(all))}
	if len(other) > 0 {
		var names []string
		for _, one := range other {
			names = append(names, one.Claim)
		}
		o.Drift = "the volumes of " + strings.Join(names, ", ") + " are not retained"
	}
	return o, nil
}

// Apply implements plan.Part.
func (v *Volumes) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in volumesInput
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	all, other, client, err := v.chosen(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no claim of %s in namespace %s has a volume", in.Cluster, in.Namespace)
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"persistentVolumeReclaimPolicy": in.Policy}})
	if err != nil {
		return nil, err
	}
	for _, one := range other {
		if _, err := client.Clientset.CoreV1().PersistentVolumes().Patch(ctx, one.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

var _ plan.Part = (*Volumes)(nil)
