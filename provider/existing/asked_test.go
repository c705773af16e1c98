package existing

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

// What others' pods ask for is counted where they are; not the lab's own, and not those
// that have ended.
func TestAsked(t *testing.T) {
	t.Parallel()
	asks := func(cpu, memory string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}
	}
	always := corev1.ContainerRestartPolicyAlways
	pod := func(name, node, lab string, phase corev1.PodPhase, spec corev1.PodSpec) *corev1.Pod {
		spec.NodeName = node
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kube-system", Labels: map[string]string{LabelLab: lab}}, Spec: spec, Status: corev1.PodStatus{Phase: phase}}
	}
	one := corev1.PodSpec{Containers: []corev1.Container{{Resources: asks("250m", "1Mi")}, {}}}
	hungry := corev1.PodSpec{Containers: []corev1.Container{{Resources: asks("100m", "10Mi")}},
		InitContainers: []corev1.Container{{Resources: asks("50m", "5Mi"), RestartPolicy: &always}, {Resources: asks("200m", "1Mi")}}}
	set := fake.NewClientset(pod("api", "a", "", corev1.PodRunning, one), pod("hungry", "a", "other", corev1.PodPending, hungry), pod("ours", "a", "mine", corev1.PodRunning, one),
		pod("done", "a", "", corev1.PodSucceeded, one), pod("nowhere", "", "", corev1.PodPending, one), pod("elsewhere", "b", "", corev1.PodRunning, one))
	s := &Survey{Nodes: []Node{{Name: "a"}, {Name: "b"}}}
	if err := s.taken(t.Context(), set, "mine"); err != nil || s.PodsHidden {
		t.Fatalf("%v, hidden %t", err, s.PodsHidden)
	}
	if a, b := s.Nodes[0], s.Nodes[1]; a.TakenCPU != 250+250 || a.TakenMemory != 16<<20 || b.TakenCPU != 250 || b.TakenMemory != 1<<20 {
		t.Errorf("%+v", s.Nodes)
	}
	if said := s.Nodes[0].others(); said != ", of which others' pods ask for 0.5 and 0.0 GiB" {
		t.Error(said)
	}
	if said := (Node{}).others(); said != "" {
		t.Error(said)
	}
	set.PrependReactor("list", "pods", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", nil)
	})
	s = &Survey{Nodes: []Node{{Name: "a"}}}
	if err := s.taken(t.Context(), set, "mine"); err != nil || !s.PodsHidden || s.Nodes[0].TakenCPU != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}
