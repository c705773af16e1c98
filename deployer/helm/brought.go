package helm

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/bundle"
	alertkube "github.com/alertlab/alertlab/internal/kube"
)

// owned goes over what a chart of others renders, on a cluster that others use too: every
// object gets the label of the lab that brings it, so that whose it is can be told of the
// object itself, and images have the names of the site's registry. Definitions of custom
// resources are kept when the release goes: with them go everybody's objects, so that
// whether they go is for who knows of those.
type owned struct {
	lab      string
	brought  string // the release, where what it brings is the whole cluster's; else ""
	registry string // HOST/PATH; "" for images' own names
}

// Run implements postrender.PostRenderer.
func (o owned) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	objects, err := alertkube.Decode(rendered.Bytes())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, u := range objects {
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[alertkube.LabelLab] = o.lab
		if o.brought != "" {
			labels[alertkube.LabelBrought] = o.brought
		}
		u.SetLabels(labels)
		switch u.GetKind() {
		case "CustomResourceDefinition":
			annotations := u.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[kube.ResourcePolicyAnno] = kube.KeepPolicy
			u.SetAnnotations(annotations)
		case "Deployment", "StatefulSet", "DaemonSet", "Job":
			if err := o.workload(u); err != nil {
				return nil, fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
			}
		}
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return &out, nil
}

// workload says how many pods it has, since one that was scaled to zero is scaled back by
// what is said, and names its images.
func (o owned) workload(u *unstructured.Unstructured) error {
	if u.GetKind() == "Deployment" || u.GetKind() == "StatefulSet" {
		if _, said, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas"); !said {
			if err := unstructured.SetNestedField(u.Object, int64(1), "spec", "replicas"); err != nil {
				return err
			}
		}
	}
	if o.registry == "" {
		return nil
	}
	for _, kind := range []string{"initContainers", "containers"} {
		path := []string{"spec", "template", "spec", kind}
		list, there, err := unstructured.NestedSlice(u.Object, path...)
		if err != nil || !there {
			continue
		}
		for _, one := range list {
			container, ok := one.(map[string]any)
			if !ok {
				continue
			}
			if image, ok := container["image"].(string); ok {
				if container["image"], err = o.rename(image); err != nil {
					return err
				}
			}
			env, _ := container["env"].([]any)
			for _, one := range env {
				variable, _ := one.(map[string]any)
				if text, ok := variable["value"].(string); ok {
					if variable["value"], err = o.within(text); err != nil {
						return err
					}
				}
			}
		}
		if err := unstructured.SetNestedSlice(u.Object, list, path...); err != nil {
			return err
		}
	}
	return nil
}

// rename gives the name of an image in the site's registry, as bundle push does.
func (o owned) rename(image string) (string, error) {
	return bundle.RegistryAt(o.registry).Image(image)
}

// imageWord is an image with its registry and tag inside a text: operators get the images
// that they run in their environment, as 4.2.0=quay.io/strimzi/kafka:1.1.0-kafka-4.2.0.
var imageWord = regexp.MustCompile(`[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?/[a-z0-9._/-]+:[A-Za-z0-9_][A-Za-z0-9_.-]*`)

// within renames the images inside a text.
func (o owned) within(text string) (string, error) {
	var first error
	out := imageWord.ReplaceAllStringFunc(text, func(image string) string {
		if name, err := o.rename(image); err == nil {
			return name
		} else if first == nil {
			first = err
		}
		return image
	})
	return out, first
}

// UninstallOf takes away what a lab brought by releases in a namespace, but for their
// definitions of custom resources. It gives the releases' names.
func UninstallOf(c *alertkube.Client, namespace, lab string) ([]string, error) {
	cfg, err := configuration(c, Release{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	records, err := cfg.Releases.ListReleases()
	if err != nil {
		return nil, fmt.Errorf("releases in namespace %s: %w", namespace, err)
	}
	var names []string
	for _, r := range records {
		if r.Labels[alertkube.LabelLab] == lab && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		uninstall := action.NewUninstall(cfg)
		uninstall.IgnoreNotFound, uninstall.Timeout = true, hookTime
		if _, err := uninstall.Run(name); err != nil {
			return nil, fmt.Errorf("release %s: %w", name, err)
		}
	}
	return names, nil
}
