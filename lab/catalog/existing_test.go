package catalog

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/alertlab/alertlab/deployer/helm"
	"github.com/alertlab/alertlab/lab/doctor"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/provider/existing"
)

// In a site's registry images have other names, wherever they stand in a step.
func TestRegistryNames(t *testing.T) {
	t.Parallel()
	desc := on(t, Existing, "ci")
	desc.Cluster.Registry = "registry.example:5000/site"
	found := 0
	for _, want := range wanted(t, desc).Parts {
		text := string(want.Input)
		for _, image := range []string{"docker.io/apache/kafka:4.3.1", "alertlab.dev/alertlab:0123456789ab"} {
			if strings.Contains(text, `"`+image+`"`) {
				t.Errorf("%s has the image's own name: %s", want.Key, text)
			}
			if strings.Contains(text, `"registry.example:5000/site/`+image+`"`) {
				found++
			}
		}
	}
	if found != 9 { // both of the nodes' images, Kafka's, the pods of six components
		t.Errorf("%d names of the site's registry", found)
	}
	desc.Cluster.Registry = "not a host"
	if _, err := Wanted(desc); fault.CodeOf(err) != fault.BadInput {
		t.Errorf("%v", err)
	}
	desc.Cluster.Registry = ""
	if err := checkExisting(desc); fault.CodeOf(err) != fault.BadInput || !strings.Contains(fault.Text(err), "--images-loaded") {
		t.Errorf("no way to the images: %v", err)
	}
}

// Every kind of objects that charts make is one that a lab asks rights for.
func TestRightsCoverCharts(t *testing.T) {
	t.Parallel()
	resources := map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets",
		"PodDisruptionBudget": "poddisruptionbudgets", "StorageClass": "storageclasses"}
	rights := existing.Rights()
	seen := 0
	for key, input := range resolvedReleases(t, wanted(t, on(t, Existing, "summit"))) {
		text, err := helm.Render(input)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(Existing, "summit-"+key+".yaml"), text)
		strictly(t, key, text)
		for _, document := range documents(t, text) {
			b, err := utilyaml.ToJSON(document)
			if err != nil {
				t.Fatal(err)
			}
			var object struct{ Kind string }
			if err := json.Unmarshal(b, &object); err != nil {
				t.Fatal(err)
			}
			seen++
			if !slices.ContainsFunc(rights, func(r existing.Right) bool {
				return r.Resource == resources[object.Kind] && slices.Contains(r.Verbs, "create")
			}) {
				t.Errorf("%s makes a %s, and no right to is asked for", key, object.Kind)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d objects", seen)
	}
}

// On a cluster that is there a profile is as large as it says.
func TestNotScaled(t *testing.T) {
	t.Parallel()
	desc := on(t, Existing, "summit")
	p, _, err := profileOf(desc)
	if err != nil || p.Kafka.Brokers.Storage.Size != 15<<30 {
		t.Errorf("%+v, %v", p.Kafka.Brokers.Storage, err)
	}
}

// The doctor says what stands against each provider, and has no errors of its own.
func TestDoctor(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for provider, want := range map[string]string{
		K3d:      "the Docker engine at unix:///nowhere/docker.sock does not answer",
		Kind:     "the Docker engine at unix:///nowhere/docker.sock does not answer",
		Existing: `there is no context "my-cluster"`,
	} {
		findings := Doctor(t.Context(), on(t, provider, "ci"), t.TempDir(), "none")
		if !doctor.Failed(findings) || !strings.Contains(doctor.Table(findings), want) {
			t.Errorf("%s:\n%s", provider, doctor.Table(findings))
		}
	}
	desc := on(t, Embedded, "ci")
	for _, f := range Doctor(t.Context(), desc, t.TempDir(), "none") {
		if f.Name == "addresses" && f.Grade != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
}
