package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestCurrent(t *testing.T) {
	t.Parallel()
	object := func(generation, observed int64, status string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"generation": generation},
			"status": map[string]any{"observedGeneration": observed, "conditions": []any{
				map[string]any{"type": "NotReady", "status": "True"}, map[string]any{"type": "Ready", "status": status, "reason": "Creating"}}}}}
	}
	for name, tc := range map[string]struct {
		object *unstructured.Unstructured
		done   bool
		seen   string
	}{
		"ready":            {object(2, 2, "True"), true, ""},
		"of a former wish": {object(2, 1, "True"), false, "Ready is of generation 1, and not of 2"},
		"not ready":        {object(1, 1, "False"), false, "Ready is False: Creating"},
		"not there":        {nil, false, "it is not there"},
	} {
		if v := Current("Ready")(tc.object); v.Done != tc.done || !strings.Contains(v.Seen, tc.seen) {
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
