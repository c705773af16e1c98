package existing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/alertlab/alertlab/internal/kube"
)

// Shared is something of which a cluster has one for everybody, such as MetalLB: where it
// is there already the lab uses it and leaves it as it is, else the lab brings it.
type Shared struct {
	Key  string // of its part
	Name string // as people call it
	// Image is how its controller's image ends, without the tag: by that it is found,
	// whoever brought it and whatever it is called there.
	Image string
	// Is says whether a container of that image is one; nil: every one is.
	Is func(Controller) bool
	// Definitions are the custom resources of which it is made; none, where it has none.
	Definitions []string
	// Class, of an ingress controller, is its IngressClass: what is there is told by that
	// alone.
	Class string
	// Brings is what the lab brings where it is missing, and Namespace where that goes.
	Brings, Namespace string
	// Release is the label alertlab.dev/brought of what the lab brings; "": any of the lab's.
	Release string
	// Suits says why one that somebody else brought is of no use to the lab, and what cures
	// that; "" when it is. nil: whatever runs is.
	Suits func(Controller) (why, next string)
}

// Controller is one that runs in a cluster.
type Controller struct {
	Namespace, Name string // of its Deployment
	Version         string // the image's tag; "" where it has none
	Available       bool
	Args            []string
	Env             map[string]string   // what is set as plain text; the pod's own namespace is filled in
	Served          map[string][]string // versions of its definitions that the cluster serves
	owner           string              // the lab that brought it
}

// Older says whether it is known to be older than a release. Of a version that cannot be
// read nothing is known.
func (c Controller) Older(than string) bool {
	v, err := version.ParseGeneric(c.Version)
	if err != nil {
		return false
	}
	t, err := version.ParseGeneric(than)
	return err == nil && v.LessThan(t)
}

// Found is what a cluster has of something shared.
type Found struct {
	Key     string `json:"key"`
	Name    string `json:"name"`
	There   bool   `json:"there"`
	Mine    bool   `json:"mine,omitempty"` // the lab brought it
	Version string `json:"version,omitempty"`
	// Namespace is where it runs, or would.
	Namespace string `json:"namespace"`
	Brings    string `json:"brings,omitempty"` // what the lab would bring, where it is missing
	// Why is why the lab can neither use what is there nor bring its own, and Next what
	// cures that.
	Why  string `json:"why,omitempty"`
	Next string `json:"next,omitempty"`

	release string // as Shared has it
}

// Foreign says whether somebody else brought it.
func (f Found) Foreign() bool { return f.There && !f.Mine }

func (f Found) String() string {
	release := f.Version
	if release == "" {
		release = "of a version that it does not say"
	}
	switch {
	case f.Why != "":
		return f.Name + ": " + f.Why
	case f.Mine:
		return fmt.Sprintf("%s %s in namespace %s is the lab's own", f.Name, release, f.Namespace)
	case f.There:
		return fmt.Sprintf("%s %s in namespace %s was there: it is used, and left as it is", f.Name, release, f.Namespace)
	}
	return fmt.Sprintf("%s is not there", f.Name)
}

var definitionsOfCRDs = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Find looks what a cluster has of it, for a lab.
func (s Shared) Find(ctx context.Context, client *kube.Client, lab string) (Found, error) {
	f := Found{Key: s.Key, Name: s.Name, Namespace: s.Namespace, Brings: s.Brings, release: s.Release}
	if s.Class != "" {
		return s.findClass(ctx, client, lab, f)
	}
	var theirs, mine, missing []string
	served := map[string][]string{}
	for _, name := range s.Definitions {
		u, err := client.Dynamic.Resource(definitionsOfCRDs).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, name)
			continue
		case err != nil:
			return f, err
		case u.GetLabels()[LabelLab] == lab:
			mine = append(mine, name)
		default:
			theirs = append(theirs, name)
		}
		served[name] = servedVersions(u)
	}
	all, err := s.controllers(ctx, client)
	if err != nil {
		return f, err
	}
	foreign := slices.DeleteFunc(slices.Clone(all), func(c Controller) bool { return c.owner == lab })
	switch {
	case len(foreign) < len(all) || len(mine) > 0 && len(foreign) == 0:
		f.There, f.Mine = true, true
		for _, c := range all {
			if c.owner == lab {
				f.Version, f.Namespace = c.Version, c.Namespace
			}
		}
		return f, nil
	case len(foreign) == 0 && len(theirs) == 0:
		return f, nil
	case len(foreign) == 0:
		f.There = true
		f.Why = "its definitions are there (" + strings.Join(theirs, ", ") + "), the lab did not make them, and no controller of it runs"
		f.Next = "bring it back, or, where nobody has objects of them: kubectl delete customresourcedefinition " + strings.Join(theirs, " ")
		return f, nil
	}
	f.There = true
	for i, c := range foreign {
		c.Served = served
		why, next := s.of(c, missing)
		if why == "" || i == 0 {
			f.Version, f.Namespace, f.Why, f.Next = c.Version, c.Namespace, why, next
		}
		if why == "" {
			break
		}
	}
	return f, nil
}

// of says why a controller of somebody else is of no use, "" when it is.
func (s Shared) of(c Controller, missing []string) (why, next string) {
	where := fmt.Sprintf("%s in namespace %s, which the lab did not bring, ", strings.TrimSpace(s.Name+" "+c.Version), c.Namespace)
	switch {
	case len(missing) > 0:
		return where + "runs without its definitions: there is no " + strings.Join(missing, ", "), "complete it, or take it away: then the lab brings its own"
	case !c.Available:
		return where + "does not run", "kubectl -n " + c.Namespace + " describe deployment " + c.Name
	case s.Suits != nil:
		if why, next := s.Suits(c); why != "" {
			return where + why, next
		}
	}
	return "", ""
}

// defines says whether it has definitions of an API group.
func (s Shared) defines(group string) bool {
	return slices.ContainsFunc(s.Definitions, func(d string) bool { return strings.HasSuffix(d, "."+group) })
}

// controllers finds those that run, or should.
func (s Shared) controllers(ctx context.Context, client *kube.Client) ([]Controller, error) {
	list, err := client.Clientset.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var out []Controller
	for i := range list.Items {
		d := &list.Items[i]
		for _, container := range d.Spec.Template.Spec.Containers {
			name, tag := tagged(container.Image)
			if name != s.Image && !strings.HasSuffix(name, "/"+s.Image) {
				continue
			}
			c := Controller{Namespace: d.Namespace, Name: d.Name, Version: tag, Available: d.Status.AvailableReplicas > 0, owner: d.Labels[LabelLab],
				Args: slices.Concat(container.Command, container.Args), Env: map[string]string{}}
			for _, e := range container.Env {
				c.Env[e.Name] = plainly(e, d.Namespace)
			}
			if s.Is != nil && !s.Is(c) {
				continue
			}
			out = append(out, c)
			break
		}
	}
	return out, nil
}

// plainly is what a variable is set to, as far as the Deployment says it.
func plainly(e corev1.EnvVar, namespace string) string {
	if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.namespace" {
		return namespace
	}
	return e.Value
}

// tagged takes an image's name apart: REGISTRY:5000/PATH:TAG@DIGEST.
func tagged(image string) (name, tag string) {
	name, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func servedVersions(u *unstructured.Unstructured) []string {
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	var out []string
	for _, one := range list {
		v, _ := one.(map[string]any)
		if name, ok := v["name"].(string); ok && v["served"] == true {
			out = append(out, name)
		}
	}
	return out
}
