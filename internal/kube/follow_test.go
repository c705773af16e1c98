package kube

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// What pods write is passed on once for each start of a container, of pods that come
// later too.
func TestFollow(t *testing.T) {
	t.Parallel()
	made := func(name string, restarts int32) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n", UID: types.UID(name), Labels: map[string]string{"app": "a"}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "c", RestartCount: restarts,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}}
	}
	clientset := fake.NewClientset(made("one", 0))
	// The fake tells a watch only of what comes after it began.
	watched := make(chan struct{}, 10)
	clientset.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := clientset.Tracker().Watch(action.GetResource(), action.GetNamespace())
		watched <- struct{}{}
		return true, w, err
	})
	c := &Client{Clientset: clientset}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines := make(chan string, 10)
	ended := make(chan struct{})
	go func() {
		c.Follow(ctx, "n", "app=a", time.Time{}, func(pod, text string) { lines <- pod + ": " + text })
		close(ended)
	}()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("no line; want %q", want)
		}
	}
	next("one: fake logs")
	select {
	case <-watched:
	case <-ctx.Done():
		t.Fatal("the pods are not watched")
	}
	if _, err := clientset.CoreV1().Pods("n").Create(ctx, made("two", 0), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	next("two: fake logs")
	if _, err := clientset.CoreV1().Pods("n").UpdateStatus(ctx, made("one", 1), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next("one: fake logs")
	cancel()
	<-ended
	if len(lines) > 0 {
		t.Errorf("a line too many: %q", <-lines)
	}
}
