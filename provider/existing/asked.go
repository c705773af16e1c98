package existing

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// taken notes of each node what pods that are not the lab's ask for there. Who may not
// list them all is told nothing of it.
func (s *Survey) taken(ctx context.Context, api kubernetes.Interface, lab string) error {
	pods, err := api.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"})
	if apierrors.IsForbidden(err) {
		s.PodsHidden = true
		return nil
	}
	if err != nil {
		return err
	}
	at := map[string]*Node{}
	for i := range s.Nodes {
		at[s.Nodes[i].Name] = &s.Nodes[i]
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		n := at[p.Spec.NodeName]
		if n == nil || p.Labels[LabelLab] == lab || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		cpu, memory := asked(p)
		n.TakenCPU += cpu
		n.TakenMemory += memory
	}
	return nil
}

// others says what others' pods ask for of the node, "" for nothing.
func (n Node) others() string {
	if n.TakenCPU == 0 && n.TakenMemory == 0 {
		return ""
	}
	return fmt.Sprintf(", of which others' pods ask for %g and %.1f GiB", float64(n.TakenCPU)/1000, float64(n.TakenMemory)/(1<<30))
}

// asked is what a pod asks for as the scheduler counts it: its containers and those that
// run beside them from the start, or the hungriest one that runs before; and what its
// runtime takes.
func asked(p *corev1.Pod) (cpu, memory int64) {
	amount := func(r corev1.ResourceList) (int64, int64) { return r.Cpu().MilliValue(), r.Memory().Value() }
	beside, besideMemory := int64(0), int64(0)
	for _, c := range p.Spec.InitContainers {
		a, b := amount(c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			beside, besideMemory = beside+a, besideMemory+b
			continue
		}
		cpu, memory = max(cpu, beside+a), max(memory, besideMemory+b)
	}
	sum, sumMemory := beside, besideMemory
	for _, c := range p.Spec.Containers {
		a, b := amount(c.Resources.Requests)
		sum, sumMemory = sum+a, sumMemory+b
	}
	over, overMemory := amount(p.Spec.Overhead)
	return max(cpu, sum) + over, max(memory, sumMemory) + overMemory
}
