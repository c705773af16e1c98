package steer

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/alertlab/alertlab/internal/kube"
)

// Objects is a cluster as far as Strimzi's sets of pods are looked at there.
type Objects interface {
	// Get, Patch and Pods: see kube.Client.
	Get(ctx context.Context, ref kube.Ref) (*unstructured.Unstructured, error)
	Patch(ctx context.Context, ref kube.Ref, patch []byte) error
	Pods(ctx context.Context, namespace, selector string) ([]kube.Pod, error)
}

// podSets names the StrimziPodSets of a Kafka cluster: one for each of its node pools,
// which are called so in the chart strimzi-kafka. Brokers come first.
func podSets(namespace, kafka string) []kube.Ref {
	var refs []kube.Ref
	for _, pool := range []string{"kafka", "controller"} {
		refs = append(refs, kube.Object("core.strimzi.io/v1", "StrimziPodSet", namespace, kafka+"-"+pool))
	}
	return refs
}

// Roused is the annotation that Rouse sets on a StrimziPodSet, to when it did (RFC 3339).
const Roused = "alertlab.dev/roused"

// Rouse has Strimzi's operator look again at sets of a Kafka cluster's pods of which some
// are missing. An operator that starts together with its cluster hears of such a set before
// it knows the Kafka that it belongs to, passes it over, and then waits until somebody
// changes it (Strimzi 1.0.1): after a stop, which takes the pods off their node, no broker
// would come.
func Rouse(ctx context.Context, cluster Objects, namespace, kafka string) error {
	pods, err := cluster.Pods(ctx, namespace, "strimzi.io/cluster="+kafka)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range pods {
		there[p.Name] = true
	}
	for _, ref := range podSets(namespace, kafka) {
		set, err := cluster.Get(ctx, ref)
		if err != nil {
			return err
		}
		if set == nil {
			continue
		}
		names, err := podsOf(set)
		if err != nil {
			return err
		}
		missing := false
		for _, name := range names {
			missing = missing || !there[name]
		}
		if !missing {
			continue
		}
		now := time.Now().UTC().Format(time.RFC3339Nano)
		if err := annotate(ctx, cluster, ref, map[string]any{Roused: now}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// podsOf gives the names of the pods that a set is to have.
func podsOf(set *unstructured.Unstructured) ([]string, error) {
	wanted, _, err := unstructured.NestedSlice(set.Object, "spec", "pods")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, one := range wanted {
		pod, _ := one.(map[string]any)
		name, _, err := unstructured.NestedString(pod, "metadata", "name")
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
