package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Replicas is the number of pods of one Deployment, for who may change nothing else.
type Replicas struct {
	api                   kubernetes.Interface
	namespace, deployment string
}

// OwnReplicas reaches the Deployment from a pod, by the pod's service account.
func OwnReplicas(namespace, deployment string) (*Replicas, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	api, err := kubernetes.NewForConfig(config)
	return &Replicas{api, namespace, deployment}, err
}

// Replicas reaches the Deployment as this client's user.
func (c *Client) Replicas(namespace, deployment string) *Replicas {
	return &Replicas{c.Clientset, namespace, deployment}
}

// Get gives how many there are to be.
func (r *Replicas) Get(ctx context.Context) (int, error) {
	scale, err := r.api.AppsV1().Deployments(r.namespace).GetScale(ctx, r.deployment, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	return int(scale.Spec.Replicas), nil
}

// Set says how many there are to be.
func (r *Replicas) Set(ctx context.Context, n int) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n)
	_, err := r.api.AppsV1().Deployments(r.namespace).Patch(ctx, r.deployment, types.MergePatchType, patch, metav1.PatchOptions{}, "scale")
	return err
}
