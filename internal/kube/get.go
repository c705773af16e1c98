package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Get reads an object; nil when it is not there, or the cluster does not know its kind.
func (c *Client) Get(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	r, err := c.resource(ref.Kind, "", ref.Namespace)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // it may be known the next time
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := r.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return u, err
}
