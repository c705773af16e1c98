package manifests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"
)

// objects reads a manifest and names its objects.
func objects(t *testing.T, text []byte) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for docs := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc map[string]any
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		meta, _ := doc["metadata"].(map[string]any)
		if doc["apiVersion"] == nil || doc["kind"] == nil || meta["name"] == nil {
			t.Fatalf("no object: %v", doc)
		}
		out[doc["kind"].(string)+"/"+meta["name"].(string)] = doc
	}
}

// at follows a path of keys and of list positions.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v: %v is no map", path, v)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				t.Fatalf("%v: %v has no element %d", path, v, p)
			}
			v = l[p]
		}
	}
	return v
}

func environment(t *testing.T, net map[string]any) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, e := range at(t, net, "spec", "template", "spec", "containers", 0, "env").([]any) {
		out[at(t, e, "name").(string)] = at(t, e, "value")
	}
	return out
}

func TestNet(t *testing.T) {
	const hostile = `rig.local/net: "x" # y`
	text, err := Net{NetImage: hostile, PodSubnet: "10.42.0.0/16", Endpoint: "s-0:6443"}.Render()
	if err != nil {
		t.Fatal(err)
	}
	net := objects(t, text)["DaemonSet/rig-net"]
	if got := at(t, net, "spec", "template", "spec", "containers", 0, "image"); got != hostile {
		t.Errorf("image %q", got)
	}
	env := environment(t, net)
	if env["POD_SUBNET"] != "10.42.0.0/16" || env["CONTROL_PLANE_ENDPOINT"] != "s-0:6443" {
		t.Errorf("%v", env)
	}
}

// kind fills the manifest as a Go template and adds the endpoint to env.
func TestNetForKind(t *testing.T) {
	text, err := Net{NetImage: "rig.local/net:1", PodSubnet: KindPodSubnet}.Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, phrase := range []string{"would you kindly template this file", "would you kindly patch this file"} {
		if !bytes.Contains(text, []byte(phrase)) {
			t.Errorf("kind looks for %q", phrase)
		}
	}
	filled, err := template.New("").Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := filled.Execute(&out, struct{ PodSubnet string }{"10.244.0.0/16"}); err != nil {
		t.Fatal(err)
	}
	env := environment(t, objects(t, out.Bytes())["DaemonSet/rig-net"])
	if _, ok := env["CONTROL_PLANE_ENDPOINT"]; env["POD_SUBNET"] != "10.244.0.0/16" || ok {
		t.Errorf("%v", env)
	}
}

func TestDNS(t *testing.T) {
	text, err := DNS{DNSImage: "registry.k8s.io/coredns/coredns:v1", DNSAddress: "10.43.0.10", Domain: "cluster.local"}.Render()
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, text)
	if got := at(t, all["Service/kube-dns"], "spec", "clusterIP"); got != "10.43.0.10" {
		t.Errorf("%v", got)
	}
	data := at(t, all["ConfigMap/coredns"], "data").(map[string]any)
	if _, ok := data["NodeHosts"]; !ok || !strings.Contains(data["Corefile"].(string), "kubernetes cluster.local in-addr.arpa") {
		t.Errorf("%v", data)
	}
	maps := 0
	for name := range all {
		if strings.HasPrefix(name, "ConfigMap/") {
			maps++
		}
	}
	if maps != 1 {
		t.Errorf("k3d writes its hosts into each of %d ConfigMaps", maps)
	}
}

func TestStorage(t *testing.T) {
	text, err := Storage{}.Render()
	if err != nil {
		t.Fatal(err)
	}
	if all := objects(t, text); len(all) != 1 || all["Namespace/local-path-storage"] == nil {
		t.Errorf("without images: %v", all)
	}
	text, err = Storage{Provisioner: "p:1", Helper: "h:1", Class: "standard"}.Render()
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, text)
	if all["StorageClass/standard"] == nil {
		t.Errorf("no class in %s", text)
	}
	// The helper pods run under the account that the provisioner is told.
	command := at(t, all["Deployment/local-path-provisioner"], "spec", "template", "spec", "containers", 0, "command").([]any)
	i := slices.Index(command, any("--service-account-name"))
	if i < 0 || all[fmt.Sprintf("ServiceAccount/%v", command[i+1])] == nil {
		t.Errorf("command %v", command)
	}
	var pod map[string]any
	if err := yaml.Unmarshal([]byte(at(t, all["ConfigMap/local-path-config"], "data", "helperPod.yaml").(string)), &pod); err != nil {
		t.Fatal(err)
	}
	if got := at(t, pod, "spec", "containers", 0, "image"); got != "h:1" {
		t.Errorf("helper %v", got)
	}
}

func TestDeploy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "manifests")
	var applied []string
	fail := map[string]bool{}
	var log bytes.Buffer
	d := deployer{
		dir: dir, log: slog.New(slog.NewTextHandler(&log, nil)), done: map[string][32]byte{}, complained: map[string]string{},
		apply: func(_ context.Context, file string) error {
			name := filepath.Base(file)
			if fail[name] {
				return errors.New("not now")
			}
			applied = append(applied, name)
			return nil
		},
	}
	step := func(want ...string) {
		t.Helper()
		applied = nil
		d.once(t.Context())
		if !slices.Equal(applied, want) {
			t.Errorf("applied %q, want %q", applied, want)
		}
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	step() // the folder is not there yet
	if log.Len() != 0 {
		t.Errorf("complaint: %s", log.String())
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put("b.yaml", "1")
	put("a.yml", "1")
	put("notes.txt", "1")
	step("a.yml", "b.yaml")
	step()
	put("b.yaml", "2")
	step("b.yaml")
	fail["c.json"] = true
	put("c.json", "{}")
	step()
	step()
	if n := strings.Count(log.String(), "not now"); n != 1 {
		t.Errorf("%d complaints about one failure", n)
	}
	delete(fail, "c.json")
	step("c.json")
	step()
}

func TestDeployEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Deploy(ctx, dir, func(context.Context, string) error { cancel(); return nil }, slog.New(slog.NewTextHandler(io.Discard, nil)))
}
