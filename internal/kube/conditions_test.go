package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestMet(t *testing.T) {
	t.Parallel()
	ref := func(name string) Ref { return RefTo("kafka.strimzi.io/v1", "Kafka", "n", name) }
	object := func(generation, observed int64, status string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"generation": generation},
			"status": map[string]any{"observedGeneration": observed, "conditions": []any{
				map[string]any{"type": "NotReady", "status": "True"}, map[string]any{"type": "Ready", "status": status, "reason": "Creating"}}}}}
	}
	there := map[Ref]*unstructured.Unstructured{ref("good"): object(2, 2, "True"), ref("stale"): object(2, 1, "True"), ref("bad"): object(1, 1, "False")}
	for name, tc := range map[string]struct {
		wanted []string
		done   bool
		seen   string
	}{
		"ready":             {[]string{"good"}, true, ""},
		"of a former wish":  {[]string{"good", "stale"}, false, "Kafka stale: Ready is of generation 1, and not of 2"},
		"not ready":         {[]string{"bad"}, false, "Kafka bad: Ready is False: Creating"},
		"not there":         {[]string{"gone"}, false, "Kafka gone: it is not there"},
		"many, in one line": {[]string{"a", "b", "c", "d", "e"}, false, "and 2 more"},
	} {
		var wanted []ObjectCondition
		for _, w := range tc.wanted {
			wanted = append(wanted, ObjectCondition{Ref: ref(w), Type: "Ready"})
		}
		if v := met(wanted, there); v.Done != tc.done || !strings.Contains(v.Seen, tc.seen) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestAiling(t *testing.T) {
	t.Parallel()
	now := time.Now()
	pod := func(age time.Duration, reason string) corev1.Pod {
		made := metav1.NewTime(now.Add(-age))
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "kafka-6", CreationTimestamp: made}, Status: corev1.PodStatus{Phase: corev1.PodPending,
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: made}}}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "kafka", Image: "quay.io/x:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
		return p
	}
	if seen, terminal := ailing([]corev1.Pod{pod(20*time.Second, "ErrImagePull")}, now.Add(-21*time.Second), now); terminal == "" || len(seen) != 1 {
		t.Errorf("an image that cannot be pulled: %q, %q", seen, terminal)
	}
	if _, terminal := ailing([]corev1.Pod{pod(time.Hour, "ErrImagePull")}, now.Add(-time.Second), now); terminal != "" {
		t.Errorf("what was there before the wait is terminal at once: %q", terminal)
	}
	if seen, terminal := ailing([]corev1.Pod{pod(time.Second, "ContainerCreating")}, now, now); terminal != "" || len(seen) != 1 {
		t.Errorf("a pod that begins: %q, %q", seen, terminal)
	}
}
