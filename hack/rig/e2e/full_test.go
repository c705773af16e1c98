package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
)

// TestFullStackObjects asks the API server about every object that our charts make of the
// full stack for every shipped profile, with Strimzi's definitions as they are generated
// from its published types: a field that is not known, or one that stands there twice, is
// an error. Nothing of it is made.
func TestFullStackObjects(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	image, cache := need(t, "ALERTLAB_RIG_NODE_IMAGE"), need(t, "ALERTLAB_RIG_CACHE")
	definitions, err := filepath.Glob(filepath.Join(cache, "parts", "strimzi-crds", "*", "files", "crds", "*.yaml"))
	if err != nil || len(definitions) == 0 {
		t.Fatalf("the rig has no definitions of Strimzi's resources: %v", err)
	}
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	clusters, err := cluster.Open(cluster.Options{Docker: docker, State: filepath.Join(cache, "clusters"),
		ToolsImage: os.Getenv("ALERTLAB_RIG_TOOLS_IMAGE"), ProxyImage: os.Getenv("ALERTLAB_RIG_PROXY_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	const name = "e2e-full"
	made, err := clusters.Create(ctx, cluster.Config{Name: name, Maker: cluster.K3d, Servers: 1, Image: image,
		Report: func(p cluster.Progress) { t.Logf("%6.1fs %s", p.Elapsed.Seconds(), p.Text) }})
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	t.Cleanup(func() {
		if err := clusters.Delete(context.WithoutCancel(ctx), name, nil); err != nil {
			t.Error(fault.Text(err))
		}
	})
	k, err := kube.New(made.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := testdata.ReadFile("testdata/strimzischemaregistries.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Apply(ctx, "", registry); err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{"strimzischemaregistries.roundtable.lsst.codes": true}
	for _, file := range definitions {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Apply(ctx, "", text); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects, err := kube.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			served[o.GetName()] = true
		}
	}
	var established []kube.Expected
	for name := range served {
		established = append(established, kube.Expected{Ref: kube.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name), Cond: kube.Current("Established")})
	}
	waiting, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if err := k.WaitAll(waiting, established, kube.Behind{}, func(string) {}); err != nil {
		t.Fatal(err)
	}

	files, err := filepath.Glob(filepath.Join("..", "..", "..", "lab", "catalog", "testdata", "full", "*.yaml"))
	if err != nil || len(files) < 60 {
		t.Fatalf("there are %d renders, %v", len(files), err)
	}
	objects := 0
	for _, file := range files {
		// What a lab on the rig brings to a cluster for real is not asked for here.
		if strings.HasSuffix(file, "-address-pool.yaml") || strings.HasSuffix(file, "-certificates.yaml") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("namespace: alert-stream-broker"), []byte("namespace: default"))
		list, err := kube.Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		objects += len(list)
		for _, err := range k.Validate(ctx, "default", text) {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
	t.Logf("%d objects of %d renders are taken", objects, len(files))

	// The validation is one: what is misspelt is refused.
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "lab", "catalog", "testdata", "full", "usdfdev-kafka.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("namespace: alert-stream-broker"), []byte("namespace: default"))
	text = bytes.ReplaceAll(text, []byte("superUsers:"), []byte("superusers:"))
	refused := k.Validate(ctx, "default", text)
	if len(refused) != 1 || !strings.Contains(refused[0].Error(), "superusers") {
		t.Errorf("a misspelt field: %v", refused)
	}
}
