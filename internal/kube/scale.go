package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Stopped is the annotation of a Deployment or StatefulSet that was scaled to zero to be
// scaled back: how many pods it had.
const Stopped = "alertlab.dev/stopped-replicas"

// LeastReplicas is the annotation of a Deployment that a program of ours scales: how many
// pods it has at least. StopsFirst is the label of that program, which ends first, or it
// would scale back what was scaled to zero.
const (
	LeastReplicas = "alertlab.dev/least-replicas"
	StopsFirst    = "alertlab.dev/stops=first"
)

// Workloads counts the Deployments and StatefulSets of a selector in a namespace, and
// those of them that are to have pods.
func (c *Client) Workloads(ctx context.Context, namespace, selector string) (all, up int, err error) {
	chosen := metav1.ListOptions{LabelSelector: selector}
	deployments, err := c.Clientset.AppsV1().Deployments(namespace).List(ctx, chosen)
	if err != nil {
		return 0, 0, err
	}
	sets, err := c.Clientset.AppsV1().StatefulSets(namespace).List(ctx, chosen)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range deployments.Items {
		all++
		up += min(1, int(replicas(d.Spec.Replicas)))
	}
	for _, s := range sets.Items {
		all++
		up += min(1, int(replicas(s.Spec.Replicas)))
	}
	return all, up, nil
}

// ScaleToZero stops the workloads of a selector in a namespace, and returns when none of
// their pods is left: first the Deployments, those before that scale others, then the
// StatefulSets, which store what those work on. Whoever applies them anew scales them back.
func (c *Client) ScaleToZero(ctx context.Context, namespace, selector string, seen func(string)) error {
	chosen := metav1.ListOptions{LabelSelector: selector}
	apps := c.Clientset.AppsV1()
	deployments := func(selector string) (n int, err error) {
		list, err := apps.Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return 0, err
		}
		for _, d := range list.Items {
			if patch := zero(d.Spec.Replicas); patch != nil {
				if _, err := apps.Deployments(namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
					return 0, err
				}
			}
		}
		return len(list.Items), nil
	}
	first := selector + "," + StopsFirst
	n, err := deployments(first)
	if err == nil && n > 0 {
		err = c.waitNoPods(ctx, namespace, first, nil, seen)
	}
	if err != nil {
		return err
	}
	if _, err := deployments(selector); err != nil {
		return err
	}
	sets, err := apps.StatefulSets(namespace).List(ctx, chosen)
	if err != nil {
		return err
	}
	if err := c.waitNoPods(ctx, namespace, selector, sets.Items, seen); err != nil {
		return err
	}
	for _, s := range sets.Items {
		if patch := zero(s.Spec.Replicas); patch != nil {
			if _, err := apps.StatefulSets(namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				return err
			}
		}
	}
	return c.waitNoPods(ctx, namespace, selector, nil, seen)
}

// stopped lists the Deployments of a selector that ScaleToZero stopped.
func (c *Client) stopped(ctx context.Context, namespace, selector string) ([]appsv1.Deployment, error) {
	list, err := c.Clientset.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(d appsv1.Deployment) bool { return d.Annotations[Stopped] == "" || replicas(d.Spec.Replicas) > 0 }), nil
}

// IsStopped says whether ScaleToZero stopped a Deployment of a selector.
func (c *Client) IsStopped(ctx context.Context, namespace, selector string) (bool, error) {
	list, err := c.stopped(ctx, namespace, selector)
	return len(list) > 0, err
}

// ScaleBack gives the Deployments of a selector that ScaleToZero stopped the pods that they
// had, where nobody applies them anew: an operator made them, and does not look again.
func (c *Client) ScaleBack(ctx context.Context, namespace, selector string) error {
	list, err := c.stopped(ctx, namespace, selector)
	if err != nil {
		return err
	}
	for _, d := range list {
		n, err := strconv.Atoi(d.Annotations[Stopped])
		if err != nil {
			return fmt.Errorf("the annotation %s of Deployment %s is no number: %w", Stopped, d.Name, err)
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}},"spec":{"replicas":%d}}`, Stopped, n)
		if _, err := c.Clientset.AppsV1().Deployments(namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// zero is the patch that stops a workload; nil when it has no pods as it is.
func zero(now *int32) []byte {
	n := replicas(now)
	if n == 0 {
		return nil
	}
	b, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{Stopped: fmt.Sprint(n)}}, "spec": map[string]any{"replicas": 0}})
	if err != nil {
		panic(err) // numbers and words only
	}
	return b
}

// waitNoPods waits until no pod of the selector is left but those of some StatefulSets.
func (c *Client) waitNoPods(ctx context.Context, namespace, selector string, but []appsv1.StatefulSet, seen func(string)) error {
	last := Verdict{Seen: "nothing yet"}
	err := c.observePods(ctx, namespace, selector, func(pods []corev1.Pod) {
		left := ""
		for i := range pods {
			if !ownedBy(&pods[i], but) {
				left += " " + pods[i].Name
			}
		}
		if last = (Verdict{Done: left == "", Seen: "there still are" + left}); !last.Done {
			seen(last.Seen)
		}
	}, func() bool { return last.Done })
	return verdict(ctx, "pods of "+selector+" in namespace "+namespace, last, err)
}

func ownedBy(pod *corev1.Pod, sets []appsv1.StatefulSet) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return false
	}
	for i := range sets {
		if sets[i].UID == owner.UID {
			return true
		}
	}
	return false
}
