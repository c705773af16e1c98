package steer

import (
	"context"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Resources of which Rouse asks.
var (
	podSets = schema.GroupVersionResource{Group: "core.strimzi.io", Version: "v1", Resource: "strimzipodsets"}
	pods    = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// Roused is the annotation that Rouse sets on a StrimziPodSet, to when it did (RFC 3339).
const Roused = "alertlab.dev/roused"

// Rouse has Strimzi's operator look again at sets of a Kafka cluster's pods of which some
// are missing. An
// operator that starts together with its cluster hears of such a set before it knows the
// Kafka that it belongs to, passes it over, and then waits until somebody changes it
// (Strimzi 1.0.1): after a stop, which takes the pods off their node, no broker would come.
func Rouse(ctx context.Context, cluster dynamic.Interface, namespace, kafka string) error {
	sets, err := cluster.Resource(podSets).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: "strimzi.io/cluster=" + kafka})
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		missing, err := lacks(ctx, cluster, set)
		if err != nil {
			return err
		}
		if !missing {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{Roused: time.Now().UTC().Format(time.RFC3339Nano)}}})
		if err != nil {
			return err
		}
		_, err = cluster.Resource(podSets).Namespace(namespace).Patch(ctx, set.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "alertlab"})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// lacks says whether a pod of a set is not there.
func lacks(ctx context.Context, cluster dynamic.Interface, set *unstructured.Unstructured) (bool, error) {
	wanted, _, err := unstructured.NestedSlice(set.Object, "spec", "pods")
	if err != nil {
		return false, err
	}
	for _, one := range wanted {
		pod, _ := one.(map[string]any)
		name, _, err := unstructured.NestedString(pod, "metadata", "name")
		if err != nil {
			return false, err
		}
		_, err = cluster.Resource(pods).Namespace(set.GetNamespace()).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
