package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// fieldManager is who the applied fields belong to.
const fieldManager = "alertlab"

// Decode reads the documents of a manifest; empty ones are left out, lists are
// taken apart. The error names the document, counted from 1.
func Decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	for n := 1; ; n++ {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		var content map[string]any
		if err := yaml.Unmarshal(doc, &content); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(content) == 0 {
			continue
		}
		u := &unstructured.Unstructured{Object: content}
		if u.GetKind() == "" || u.GetAPIVersion() == "" {
			return nil, fmt.Errorf("document %d has no kind or no apiVersion", n)
		}
		if u.IsList() {
			list, err := u.ToList()
			if err != nil {
				return nil, fmt.Errorf("document %d: %w", n, err)
			}
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
			continue
		}
		if u.GetName() == "" {
			return nil, fmt.Errorf("document %d (%s) has no name", n, u.GetKind())
		}
		objects = append(objects, u)
	}
}

// sorted puts what others need first: namespaces and definitions of resources,
// then the rest in its order.
func sorted(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	rank := func(u *unstructured.Unstructured) int {
		switch u.GetKind() {
		case "Namespace", "CustomResourceDefinition":
			return 0
		}
		return 1
	}
	objects = slices.Clone(objects)
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return objects
}

// Apply brings the objects of a manifest (YAML, several documents) to the cluster
// by server-side apply; fields of others are taken over. Objects without a
// namespace go to namespace, which may be empty for "default". Kinds whose
// definition was just applied, and webhooks that are not up yet, are waited for
// until ctx ends: give it a deadline. What is wrong for good fails at once.
func (c *Client) Apply(ctx context.Context, namespace string, manifest []byte) error {
	objects, err := Decode(manifest)
	if err != nil {
		return err
	}
	for _, u := range sorted(objects) {
		if err := c.patient(ctx, func() error { return c.applyOne(ctx, namespace, u) }); err != nil {
			return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

func (c *Client) applyOne(ctx context.Context, namespace string, u *unstructured.Unstructured) error {
	r, err := c.resource(u.GroupVersionKind(), namespace, u.GetNamespace())
	if err != nil {
		return err
	}
	_, err = r.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// Validate asks the API server what it would say to the objects of a manifest, and
// changes nothing: unknown and doubled fields are errors, one for each object that is
// refused.
func (c *Client) Validate(ctx context.Context, namespace string, manifest []byte) []error {
	objects, err := Decode(manifest)
	if err != nil {
		return []error{err}
	}
	var refused []error
	for _, u := range objects {
		r, err := c.resource(u.GroupVersionKind(), namespace, u.GetNamespace())
		if meta.IsNoMatchError(err) {
			// The cluster may have it since it was asked for its kinds.
			c.mapper.Reset()
			r, err = c.resource(u.GroupVersionKind(), namespace, u.GetNamespace())
		}
		if err == nil {
			var body []byte
			if body, err = u.MarshalJSON(); err == nil {
				force := true
				_, err = r.Patch(ctx, u.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: fieldManager, Force: &force,
					DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
			}
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err))
		}
	}
	return refused
}

// patient repeats what fails for a reason that passes.
func (c *Client) patient(ctx context.Context, do func() error) error {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil || !passes(err) {
			return err
		}
		if meta.IsNoMatchError(err) {
			c.mapper.Reset()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// passes tells errors of a cluster that is not ready yet.
func passes(err error) bool {
	switch {
	case utilnet.IsConnectionRefused(err), utilnet.IsConnectionReset(err), utilnet.IsProbableEOF(err), utilnet.IsHTTP2ConnectionLost(err):
		// The server is away for a moment; the end of the context says how long one is.
		return true
	case unserved(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err):
		return true
	case strings.Contains(err.Error(), "failed calling webhook"):
		return true
	case apierrors.IsForbidden(err):
		// A service account or its namespace that the controllers are still making.
		return strings.Contains(err.Error(), "not yet ready to handle request")
	}
	return false
}

// unserved tells errors of a kind that the cluster does not know, or whose definition is
// there but not served yet or any more.
func unserved(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) && strings.Contains(err.Error(), "the server could not find the requested resource")
}

// Delete removes the objects of a manifest, last first, and returns when they are
// gone. What is not there is not missed.
func (c *Client) Delete(ctx context.Context, namespace string, manifest []byte) error {
	objects, err := Decode(manifest)
	if err != nil {
		return err
	}
	objects = sorted(objects)
	slices.Reverse(objects)
	foreground := metav1.DeletePropagationForeground
	for _, u := range objects {
		r, err := c.resource(u.GroupVersionKind(), namespace, u.GetNamespace())
		if meta.IsNoMatchError(err) {
			continue // its definition is gone, and it with it
		}
		if err == nil {
			err = r.Delete(ctx, u.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	for _, u := range objects {
		ref := Ref{Kind: u.GroupVersionKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
		if ref.Namespace == "" {
			ref.Namespace = namespace
		}
		if err := c.WaitGone(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// resource finds the API of a kind, in the first namespace given of own and
// fallback where the kind lives in one.
func (c *Client) resource(kind schema.GroupVersionKind, fallback, own string) (dynamic.ResourceInterface, error) {
	m, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	r := c.Dynamic.Resource(m.Resource)
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return r, nil
	}
	for _, ns := range []string{own, fallback} {
		if ns != "" {
			return r.Namespace(ns), nil
		}
	}
	return r.Namespace(metav1.NamespaceDefault), nil
}

// Patch changes an object by a merge patch (RFC 7386), written as YAML or JSON.
func (c *Client) Patch(ctx context.Context, ref Ref, patch []byte) error {
	r, err := c.resource(ref.Kind, "", ref.Namespace)
	if err != nil {
		return err
	}
	body, err := yaml.YAMLToJSON(patch)
	if err != nil {
		return err
	}
	_, err = r.Patch(ctx, ref.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}
