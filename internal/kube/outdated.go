package kube

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationChanged, of a Secret, is when its values became what they are, as
// time.RFC3339Nano has it. Who writes a Secret from which pods take their environment
// sets it.
const AnnotationChanged = "alertlab.dev/changed"

// outdated says whether a pod was made before a Secret changed from which its containers
// take their environment: they keep what they started with.
func (c *Client) outdated(ctx context.Context, p *corev1.Pod) (bool, error) {
	seen := map[string]bool{}
	for _, container := range append(append([]corev1.Container{}, p.Spec.InitContainers...), p.Spec.Containers...) {
		for _, v := range container.Env {
			if v.ValueFrom == nil || v.ValueFrom.SecretKeyRef == nil || seen[v.ValueFrom.SecretKeyRef.Name] {
				continue
			}
			name := v.ValueFrom.SecretKeyRef.Name
			seen[name] = true
			secret, err := c.Clientset.CoreV1().Secrets(p.Namespace).Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return false, err
			}
			changed, err := time.Parse(time.RFC3339Nano, secret.Annotations[AnnotationChanged])
			if err == nil && !p.CreationTimestamp.After(changed) { // Kubernetes writes whole seconds
				return true, nil
			}
		}
	}
	return false, nil
}
