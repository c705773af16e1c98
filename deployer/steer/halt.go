package steer

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/alertlab/alertlab/internal/kube"
)

// Annotations of a Kafka of Strimzi's: its operator leaves one alone that is paused
// (Strimzi's documentation, "Pausing reconciliation of custom resources"), and Halted is
// ours, so that nobody else's pause is taken back. It says since when (RFC 3339).
const (
	paused = "strimzi.io/pause-reconciliation"
	Halted = "alertlab.dev/halted"
)

// Cluster is a cluster as far as a Kafka of Strimzi's is stopped there.
type Cluster interface {
	Objects
	// DeletePod, WaitNoPods and Wait: see kube.Client.
	DeletePod(ctx context.Context, namespace string, p kube.Pod, atOnce bool) error
	WaitNoPods(ctx context.Context, namespace, selector string, seen func(string)) error
	Wait(ctx context.Context, ref kube.Ref, cond kube.Condition) error
}

// pauseTime bounds how long an operator may take to say that it heard of a pause: it ends
// what it is about first. refillTime is after how long a set is looked at again whose pods
// do not go: who was about to fill it may have done so since.
const (
	pauseTime  = 30 * time.Second
	refillTime = 30 * time.Second
)

// Halt ends the pods of a Kafka of Strimzi's, brokers before controllers, so that its
// operator makes none anew; attended says that one is there. Claims and Services stay. A
// pause of the Kafka is not enough, because the controller of StrimziPodSets knows of none
// and makes every pod that a set lists (Strimzi 1.2.0, StrimziPodSetController): so the sets
// are emptied as well, which nobody puts right before Resume. seen is told what is there
// still. A Kafka that is not there is stopped.
func Halt(ctx context.Context, cluster Cluster, namespace, kafka string, attended bool, seen func(string)) error {
	ref := object(namespace, kafka)
	u, err := cluster.Get(ctx, ref)
	if err != nil || u == nil {
		return err
	}
	if u.GetAnnotations()[paused] != "true" {
		if err := annotate(ctx, cluster, ref, map[string]any{paused: "true", Halted: time.Now().UTC().Format(time.RFC3339)}); err != nil {
			return err
		}
	}
	if attended {
		bound, cancel := context.WithTimeout(ctx, pauseTime)
		err := cluster.Wait(bound, ref, kube.HasCondition("ReconciliationPaused", "True"))
		cancel()
		var ended *kube.WaitError
		if err != nil && (ctx.Err() != nil || !errors.As(err, &ended)) {
			return err
		}
	}
	for _, set := range podSets(namespace, kafka) {
		if err := empty(ctx, cluster, set, kafka, seen); err != nil {
			return err
		}
	}
	return nil
}

// empty takes the pods out of a set, and ends them.
func empty(ctx context.Context, cluster Cluster, set kube.Ref, kafka string, seen func(string)) error {
	selector := "strimzi.io/cluster=" + kafka + ",strimzi.io/pool-name=" + strings.TrimPrefix(set.Name, kafka+"-")
	for {
		u, err := cluster.Get(ctx, set)
		if err != nil || u == nil {
			return err
		}
		listed, err := podsOf(u)
		if err != nil {
			return err
		}
		pods, err := cluster.Pods(ctx, set.Namespace, selector)
		if err != nil || len(listed) == 0 && len(pods) == 0 {
			return err
		}
		if len(listed) > 0 {
			if err := cluster.Patch(ctx, set, []byte(`{"spec":{"pods":[]}}`)); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		for _, p := range pods {
			if err := cluster.DeletePod(ctx, set.Namespace, p, false); err != nil {
				return err
			}
		}
		bound, cancel := context.WithTimeout(ctx, refillTime)
		err = cluster.WaitNoPods(bound, set.Namespace, selector, seen)
		again := bound.Err() != nil && ctx.Err() == nil
		cancel()
		if err != nil && !again {
			return err
		}
	}
}

// Resume takes back what Halt did: the operator fills the sets again. It says whether there
// was anything to take back.
func Resume(ctx context.Context, cluster Objects, namespace, kafka string) (bool, error) {
	halted, err := IsHalted(ctx, cluster, namespace, kafka)
	if err != nil || !halted {
		return false, err
	}
	return true, annotate(ctx, cluster, object(namespace, kafka), map[string]any{paused: nil, Halted: nil})
}

// IsHalted says whether Halt stopped a Kafka and Resume did not follow.
func IsHalted(ctx context.Context, cluster Objects, namespace, kafka string) (bool, error) {
	u, err := cluster.Get(ctx, object(namespace, kafka))
	if err != nil || u == nil {
		return false, err
	}
	return u.GetAnnotations()[Halted] != "", nil
}

func object(namespace, kafka string) kube.Ref {
	return kube.Object("kafka.strimzi.io/v1", "Kafka", namespace, kafka)
}

func annotate(ctx context.Context, cluster Objects, ref kube.Ref, annotations map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	return cluster.Patch(ctx, ref, patch)
}
