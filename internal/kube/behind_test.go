package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
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

// A wait for what an operator makes ends with what ails a pod of it, and goes on over pods
// that only begin.
func TestWaitAllBehind(t *testing.T) {
	t.Parallel()
	pod := func(reason string) *corev1.Pod {
		began := metav1.NewTime(time.Now().Add(-time.Minute))
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c-kafka-0", Labels: map[string]string{"of": "c"}, CreationTimestamp: metav1.Now()},
			Status: corev1.PodStatus{Phase: corev1.PodPending,
				Conditions:        []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: began}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "kafka", Image: "quay.io/x:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}}}
	}
	wait := func(reason string, cond Condition) (string, error) {
		client := fakeDynamic(t, "Service", "there")
		client.Clientset = fake.NewClientset(pod(reason))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var seen []string
		err := client.WaitAll(ctx, []Expected{{Ref: Object("v1", "Service", "n", "there"), Cond: cond}}, Behind{Namespace: "n", Selector: "of=c"}, func(s string) { seen = append(seen, s) })
		return strings.Join(seen, "\n"), err
	}
	_, err := wait("ErrImagePull", func(*unstructured.Unstructured) Verdict { return Verdict{Seen: "it is being made"} })
	var ended *WaitError
	if !errors.As(err, &ended) || ended.Cause != nil || !strings.Contains(err.Error(), "c-kafka-0: image quay.io/x:1 cannot be pulled") {
		t.Errorf("an image that cannot be pulled: %v", err)
	}
	looks := 0
	seen, err := wait("ContainerCreating", func(*unstructured.Unstructured) Verdict {
		looks++
		return Verdict{Done: looks > 2, Seen: "it is being made"}
	})
	if err != nil || !strings.Contains(seen, "0 of 1; Service n/there: it is being made") {
		t.Errorf("a pod that begins: %v, seen %q", err, seen)
	}
}

// When no pod ails any more it is said so: what is waited for then is their operator.
func TestReadyBehind(t *testing.T) {
	t.Parallel()
	pod := func(ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "kafka-6", Namespace: "n", Labels: map[string]string{"app": "a"}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}
	}
	clientset := fake.NewClientset(pod(corev1.ConditionFalse))
	// The fake tells a watch only of what comes after it began.
	watched := make(chan struct{}, 10)
	clientset.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := clientset.Tracker().Watch(action.GetResource(), action.GetNamespace())
		watched <- struct{}{}
		return true, w, err
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	said := make(chan string, 10)
	ended := make(chan struct{})
	go func() {
		(&Client{Clientset: clientset}).watchAiling(ctx, Behind{Namespace: "n", Selector: "app=a"}, func(s string) { said <- s })
		close(ended)
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-said:
			if !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("nothing is said; want %q", want)
		}
	}
	next("kafka-6: ")
	select {
	case <-watched:
	case <-ctx.Done():
		t.Fatal("the pods are not watched")
	}
	if _, err := clientset.CoreV1().Pods("n").Update(ctx, pod(corev1.ConditionTrue), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next("their pods are ready")
	cancel()
	<-ended
}
