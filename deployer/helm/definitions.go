package helm

import (
	"bytes"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"sigs.k8s.io/yaml"

	"github.com/alertlab/alertlab/internal/kube"
)

// present takes out of a chart that images are always pulled, which some have without a
// value for it: nodes have their images, and may reach no registry.
func present(c *chart.Chart) {
	for _, t := range c.Templates {
		t.Data = bytes.ReplaceAll(t.Data, []byte("imagePullPolicy: Always"), []byte("imagePullPolicy: IfNotPresent"))
	}
}

// definitions makes a chart of the custom resource definitions that a chart has in its
// folder crds, as templates, so that they are upgraded and taken away as everything else.
// It is called as the chart is, which is what a release's record says.
func definitions(c *chart.Chart, lab string) (*chart.Chart, error) {
	out := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: c.Name(), Version: c.Metadata.Version, AppVersion: c.Metadata.AppVersion,
		Description: "Custom resource definitions of " + c.Name()}, Values: map[string]any{}}
	for _, crd := range c.CRDObjects() {
		objects, err := kube.Decode(crd.File.Data)
		if err != nil {
			return nil, fmt.Errorf("chart %s, %s: %w", c.Name(), crd.Filename, err)
		}
		for i, o := range objects {
			if o.GetKind() != "CustomResourceDefinition" {
				continue
			}
			labels := o.GetLabels()
			if labels == nil {
				labels = map[string]string{}
			}
			labels[kube.LabelLab], labels["app.kubernetes.io/part-of"] = lab, "alertlab"
			o.SetLabels(labels)
			text, err := yaml.Marshal(o.Object)
			if err != nil {
				return nil, fmt.Errorf("chart %s, %s: %w", c.Name(), crd.Filename, err)
			}
			// What looks like a template in a description is none.
			escaped := strings.ReplaceAll(string(text), "{{", `{{ "{{" }}`)
			out.Templates = append(out.Templates, &chart.File{Name: fmt.Sprintf("templates/%d-%s", i, strings.ReplaceAll(crd.Name, "/", "-")), Data: []byte(escaped)})
		}
	}
	if len(out.Templates) == 0 {
		return nil, fmt.Errorf("chart %s %s has no folder crds with definitions", c.Name(), c.Metadata.Version)
	}
	return out, nil
}
