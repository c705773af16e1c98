package existing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/alertlab/alertlab/internal/kube"
)

// Stays is something that a lab brought and that a purge leaves, because somebody else
// has come to use it.
type Stays struct {
	What   string // a sentence's subject: definition ipaddresspools.metallb.io, ...
	Delete string // what kubectl deletes: customresourcedefinition NAME
	ref    kube.Ref
}

// removeBrought takes away what the lab brought for the whole cluster: its releases, then
// definitions of which nobody else has objects, and the namespaces. What stays is the
// lab's no more.
func (c *Cluster) removeBrought(ctx context.Context, client *kube.Client, pooled []string) error {
	homes := c.homes(ctx, client)
	everywhere := slices.Concat(c.Namespaces, homes, pooled)
	if c.Uninstall != nil {
		for _, home := range homes {
			names, err := c.Uninstall(client, home)
			if err != nil {
				return err
			}
			for _, name := range names {
				c.say("release " + name + " is taken out of namespace " + home)
			}
		}
	}
	stay, err := stays(ctx, client, c.Lab)
	if err != nil {
		return err
	}
	for _, s := range stay {
		// What nobody owns any more must not look as if somebody did.
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null,%q:null}}}`, LabelLab, kube.LabelBrought)
		if err := client.Patch(ctx, s.ref, patch); err != nil {
			return err
		}
		c.say(s.What)
	}
	return client.DeleteLabelled(ctx, Selector(c.Lab), everywhere, kept, c.say)
}

// homes are the namespaces of what the lab brought for the whole cluster: those that it
// would bring as it is now, and those that carry its label from before.
func (c *Cluster) homes(ctx context.Context, client *kube.Client) []string {
	var out []string
	if c.Homes != nil {
		out = c.Homes()
	}
	return labelledHomes(ctx, client, c.Lab, out)
}

// labelledHomes completes a list of namespaces by those that carry a lab's label, as far
// as this user may see them.
func labelledHomes(ctx context.Context, client *kube.Client, lab string, homes []string) []string {
	list, err := client.Clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: kube.LabelBrought + "," + Selector(lab)})
	if err != nil {
		return homes
	}
	for _, n := range list.Items {
		if !slices.Contains(homes, n.Name) {
			homes = append(homes, n.Name)
		}
	}
	return homes
}

// pooledIn lists the namespaces in which a lab has pools of MetalLB's, which may be
// somebody's: MetalLB looks for them in its own alone.
func pooledIn(ctx context.Context, client *kube.Client, lab string) ([]string, error) {
	list, err := client.Dynamic.Resource(pools).List(ctx, metav1.ListOptions{LabelSelector: Selector(lab)})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil // who may not see them made none
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range list.Items {
		if n := list.Items[i].GetNamespace(); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// stays finds what of a lab is used by others: a definition of which there are objects
// that are not the lab's, and the namespaces of the lab in which these are.
func stays(ctx context.Context, client *kube.Client, lab string) ([]Stays, error) {
	list, err := client.Dynamic.Resource(definitionsOfCRDs).List(ctx, metav1.ListOptions{LabelSelector: Selector(lab)})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil // who may not see definitions brought none
	}
	if err != nil {
		return nil, err
	}
	var out []Stays
	homes := map[string][]string{}
	for i := range list.Items {
		definition := &list.Items[i]
		others, err := others(ctx, client, definition, lab)
		if err != nil {
			return nil, err
		}
		if len(others) == 0 {
			continue
		}
		var names []string
		for _, o := range others {
			names = append(names, o.String())
			if o.Namespace != "" {
				homes[o.Namespace] = append(homes[o.Namespace], o.String())
			}
		}
		out = append(out, Stays{ref: kube.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition.GetName()),
			What:   fmt.Sprintf("definition %s, of which others have objects: %s", definition.GetName(), some(names)),
			Delete: "customresourcedefinition " + definition.GetName()})
	}
	for name, objects := range homes {
		n, err := client.Clientset.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if n.Labels[LabelLab] == lab && n.Labels[kube.LabelBrought] != "" {
			out = append(out, Stays{ref: kube.Object("v1", "Namespace", "", name),
				What: fmt.Sprintf("namespace %s, in which others have objects: %s", name, some(objects)), Delete: "namespace " + name})
		}
	}
	slices.SortFunc(out, func(a, b Stays) int { return strings.Compare(a.Delete, b.Delete) })
	return out, nil
}

// some is a list, shortened.
func some(names []string) string {
	slices.Sort(names)
	if n := len(names); n > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), n-5)
	}
	return strings.Join(names, ", ")
}

// others lists the objects of a definition that are not the lab's. What has an owner goes
// with it, and what a controller says of its own state is nobody's.
func others(ctx context.Context, client *kube.Client, definition *unstructured.Unstructured, lab string) ([]kube.Ref, error) {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "plural")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	versions := servedVersions(definition)
	if len(versions) == 0 || strings.HasSuffix(kind, "Status") {
		return nil, nil
	}
	gvr := schema.GroupVersionResource{Group: group, Version: versions[0], Resource: plural}
	list, err := client.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", definition.GetName(), err)
	}
	var out []kube.Ref
	for i := range list.Items {
		u := &list.Items[i]
		if u.GetLabels()[LabelLab] != lab && len(u.GetOwnerReferences()) == 0 {
			out = append(out, kube.Object(group+"/"+versions[0], kind, u.GetNamespace(), u.GetName()))
		}
	}
	return out, nil
}

// StaysAt lists what a purge of a lab would leave because others use it.
func StaysAt(ctx context.Context, source Source, lab string) ([]Stays, error) {
	client, err := source.client()
	if err != nil {
		return nil, err
	}
	if _, err := answers(ctx, client, source.Context); err != nil {
		return nil, err
	}
	return stays(ctx, client, lab)
}
