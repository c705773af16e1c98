package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// WaitNoPods waits until no pod of the selector is left; seen is told of those that are.
func (c *Client) WaitNoPods(ctx context.Context, namespace, selector string, seen func(string)) error {
	return c.waitNoPods(ctx, namespace, selector, nil, seen)
}

// Dissolve deletes objects, and returns when they are gone. Their operators have patience
// to let go of them; what is held then by nothing but finalizers of theirs, which begin
// with one of the prefixes, is taken out of their hands: nobody is left who would. seen is
// told of that.
func (c *Client) Dissolve(ctx context.Context, objects []Found, patience time.Duration, prefixes []string, seen func(string)) error {
	background := metav1.DeletePropagationBackground
	for _, o := range objects {
		err := c.Dynamic.Resource(o.Resource).Namespace(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	bound, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, o := range objects {
		err := c.WaitGone(bound, o.Ref)
		if err == nil {
			continue
		}
		if bound.Err() == nil || ctx.Err() != nil {
			return err
		}
		if err := c.release(ctx, o, prefixes, seen); err != nil {
			return err
		}
	}
	return nil
}

// release takes finalizers off an object that is being deleted, and waits until it is gone.
func (c *Client) release(ctx context.Context, o Found, prefixes []string, seen func(string)) error {
	r := c.Dynamic.Resource(o.Resource).Namespace(o.Namespace)
	u, err := r.Get(ctx, o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	var off, others []string
	for _, f := range u.GetFinalizers() {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f, p) }) {
			off = append(off, f)
		} else {
			others = append(others, fmt.Sprintf("%q", f))
		}
	}
	if len(off) > 0 {
		patch := fmt.Appendf(nil, `{"metadata":{"finalizers":[%s]}}`, strings.Join(others, ","))
		_, err := r.Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", o, err)
		}
		seen(fmt.Sprintf("%s: nobody took %s off it, so this lab did", o, strings.Join(off, ", ")))
	}
	bound, cancel := context.WithTimeoutCause(ctx, releaseTime, errors.New("it does not go"))
	defer cancel()
	return c.WaitGone(bound, o.Ref)
}

// releaseTime is how long an object that nothing holds any more may take to go.
const releaseTime = 30 * time.Second
