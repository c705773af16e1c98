package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Found is one object with the resource that it is of.
type Found struct {
	Ref
	Resource  schema.GroupVersionResource
	Dependent bool // it has an owner, with which it goes
}

// Labelled lists the objects of a selector, of every kind that the cluster has: those
// in the namespaces, and those that are in none. Kinds that this user may not list are
// passed over, and named.
func (c *Client) Labelled(ctx context.Context, selector string, namespaces ...string) (found []Found, hidden []string, err error) {
	lists, err := c.Clientset.Discovery().ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) { // one API that is away hides none of the others
		return nil, nil, err
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range list.APIResources {
			// Endpoints have their Service's labels, and go with it.
			if r.Name == "endpoints" || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			gvr := gv.WithResource(r.Name)
			places := []string{""}
			if r.Namespaced {
				places = namespaces
			}
			for _, place := range places {
				items, err := c.Dynamic.Resource(gvr).Namespace(place).List(ctx, metav1.ListOptions{LabelSelector: selector})
				switch {
				case apierrors.IsForbidden(err):
					hidden = append(hidden, strings.Trim(r.Name+"."+gv.Group, "."))
					continue
				case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err), meta.IsNoMatchError(err):
					continue
				case err != nil:
					return nil, nil, fmt.Errorf("%s: %w", gvr.Resource, err)
				}
				for i := range items.Items {
					u := &items.Items[i]
					found = append(found, Found{Ref: Ref{Kind: gv.WithKind(r.Kind), Namespace: u.GetNamespace(), Name: u.GetName()}, Resource: gvr, Dependent: len(u.GetOwnerReferences()) > 0})
				}
			}
		}
	}
	slices.Sort(hidden)
	return found, slices.Compact(hidden), nil
}

// DeleteLabelled deletes what Labelled lists, but for what keep says, and returns when
// all of it is gone; seen is told what is left. A namespace goes with all that is in it.
func (c *Client) DeleteLabelled(ctx context.Context, selector string, namespaces []string, keep func(Found) bool, seen func(string)) error {
	asked := map[Ref]bool{}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		found, _, err := c.Labelled(ctx, selector, namespaces...)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, keep)
		if len(found) == 0 {
			return nil
		}
		var problems []error
		var left []string
		background := metav1.DeletePropagationBackground
		for _, o := range found {
			left = append(left, o.String())
			if o.Dependent || asked[o.Ref] {
				continue
			}
			err := c.Dynamic.Resource(o.Resource).Namespace(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{PropagationPolicy: &background})
			if err != nil && !apierrors.IsNotFound(err) {
				problems = append(problems, fmt.Errorf("%s: %w", o, err))
			}
			asked[o.Ref] = true
		}
		if err := errors.Join(problems...); err != nil {
			return err
		}
		seen("there still are " + strings.Join(left[:min(len(left), 5)], ", "))
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; there still are %s", context.Cause(ctx), strings.Join(left, ", "))
		case <-tick.C:
		}
	}
}
