package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Missing lists the objects of a manifest that the cluster has not, as KIND NAME.
// Objects without a namespace are looked for in namespace. Jobs are left out: they may
// go by themselves when they are done.
func (c *Client) Missing(ctx context.Context, namespace string, manifest []byte) ([]string, error) {
	objects, err := Decode(manifest)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, u := range objects {
		if u.GetKind() == "Job" {
			continue
		}
		r, err := c.resource(u.GroupVersionKind(), namespace, u.GetNamespace())
		if meta.IsNoMatchError(err) {
			out = append(out, u.GetKind()+" "+u.GetName()) // its definition is not there either
			continue
		}
		if err == nil {
			_, err = r.Get(ctx, u.GetName(), metav1.GetOptions{})
		}
		switch {
		case apierrors.IsNotFound(err):
			out = append(out, u.GetKind()+" "+u.GetName())
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}
