package kube

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
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
