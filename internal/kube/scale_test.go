package kube

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	k8stesting "k8s.io/client-go/testing"
)

// What was scaled to zero is not rolled out, whatever its status says; what has no pods
// by its own chart is.
func TestScaledToZero(t *testing.T) {
	t.Parallel()
	n, labels := int32(2), map[string]string{"a": "b"}
	set := fake.NewClientset(
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "ns", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &n}},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "ns", Labels: labels}, Spec: appsv1.StatefulSetSpec{Replicas: &n}},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Namespace: "ns"}, Spec: appsv1.StatefulSetSpec{Replicas: &n}})
	c := &Client{Clientset: set}
	for _, want := range [][2]int{{2, 2}, {2, 0}, {2, 0}} { // the third: stopping twice is no error
		all, up, err := c.Workloads(t.Context(), "ns", "a=b")
		if err != nil || all != want[0] || up != want[1] {
			t.Fatalf("%d, %d, %v", all, up, err)
		}
		if err := c.ScaleToZero(t.Context(), "ns", "a=b", func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := set.AppsV1().Deployments("ns").Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil || d.Annotations[Stopped] != "2" {
		t.Fatalf("%+v, %v", d, err)
	}
	if v := rolledOut([]appsv1.Deployment{*d}, nil, nil, nil, time.Now(), time.Now()); v.Done || !strings.Contains(v.Seen, "d: is scaled to zero") {
		t.Errorf("%+v", v)
	}
	d.Annotations = nil
	if v := rolledOut([]appsv1.Deployment{*d}, nil, nil, nil, time.Now(), time.Now()); !v.Done {
		t.Errorf("%+v", v)
	}
	if theirs, err := set.AppsV1().StatefulSets("ns").Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil || *theirs.Spec.Replicas != 2 {
		t.Errorf("another's: %+v, %v", theirs, err)
	}
}

// A Deployment that a program scales is rolled out when as many pods as it has at least
// are ready, and none is of before its last change.
func TestScaledByProgram(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want                      int32
		updated, there, available int32
		done                      bool
	}{
		{2, 2, 2, 2, true},
		{5, 3, 3, 2, true},  // it grows
		{2, 5, 5, 5, true},  // it shrinks
		{5, 3, 5, 5, false}, // pods of before are there
		{5, 5, 5, 1, false},
		{1, 1, 1, 1, false}, // nobody has said yet how many
		{0, 0, 0, 0, false},
	} {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Annotations: map[string]string{LeastReplicas: "2"}}, Spec: appsv1.DeploymentSpec{Replicas: &tc.want},
			Status: appsv1.DeploymentStatus{UpdatedReplicas: tc.updated, Replicas: tc.there, AvailableReplicas: tc.available}}
		if v := rolledOut([]appsv1.Deployment{d}, nil, nil, nil, time.Now(), time.Now()); v.Done != tc.done {
			t.Errorf("%+v: %+v", tc, v)
		}
	}
}

// What an operator made, and does not look at again, is scaled back to what it had.
func TestScaleBack(t *testing.T) {
	t.Parallel()
	n, labels := int32(2), map[string]string{"app": "registry"}
	set := fake.NewClientset(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "ns", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &n}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "without", Namespace: "ns", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: new(int32)}})
	c := &Client{Clientset: set}
	for _, stop := range []bool{false, true, true} {
		if stop {
			if err := c.ScaleToZero(t.Context(), "ns", "app=registry", func(string) {}); err != nil {
				t.Fatal(err)
			}
		}
		if stopped, err := c.IsStopped(t.Context(), "ns", "app=registry"); err != nil || stopped != stop {
			t.Errorf("stopped %v, %v", stopped, err)
		}
	}
	if err := c.ScaleBack(t.Context(), "ns", "app=registry"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int32{"d": 2, "without": 0} {
		d, err := set.AppsV1().Deployments("ns").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas != want || d.Annotations[Stopped] != "" {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// Who scales others ends before them.
func TestScaleToZeroInOrder(t *testing.T) {
	t.Parallel()
	n := int32(2)
	named := func(name string, more map[string]string) *appsv1.Deployment {
		labels := map[string]string{"a": "b"}
		for k, v := range more {
			labels[k] = v
		}
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &n}}
	}
	set := fake.NewClientset(named("a-ingester", nil), named("z-scaler", map[string]string{"alertlab.dev/stops": "first"}))
	var order []string
	set.PrependReactor("patch", "deployments", func(action k8stesting.Action) (bool, runtime.Object, error) {
		order = append(order, action.(k8stesting.PatchAction).GetName())
		return false, nil, nil
	})
	set.PrependReactor("list", "pods", func(k8stesting.Action) (bool, runtime.Object, error) {
		order = append(order, "pods")
		return false, nil, nil
	})
	c := &Client{Clientset: set}
	if err := c.ScaleToZero(t.Context(), "ns", "a=b", func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "z-scaler pods a-ingester pods pods" {
		t.Errorf("in the order %s", got)
	}
}

// The number of pods is read and said by the subresource, for which there is a right of
// its own.
func TestReplicas(t *testing.T) {
	t.Parallel()
	var patched string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/apis/apps/v1/namespaces/ns/deployments/d/scale" {
			http.Error(w, "{}", http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPatch {
			body, _ := io.ReadAll(r.Body)
			patched = string(body)
		}
		w.Write([]byte(`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"d"},"spec":{"replicas":3}}`))
	}))
	defer server.Close()
	api, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	r := (&Client{Clientset: api}).Replicas("ns", "d")
	if n, err := r.Get(t.Context()); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	if err := r.Set(t.Context(), 5); err != nil || patched != `{"spec":{"replicas":5}}` {
		t.Errorf("%s, %v", patched, err)
	}
	other := (&Client{Clientset: api}).Replicas("ns", "other")
	if _, err := other.Get(t.Context()); err == nil {
		t.Error("another's was read")
	}
	if _, err := OwnReplicas("ns", "d"); err == nil {
		t.Error("this test is no pod")
	}
}
