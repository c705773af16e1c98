package charts

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"gopkg.in/yaml.v3"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

var update = flag.Bool("update", false, "write the golden files")

// packaged gives every chart as the bundle has it, with one definition in those that
// install definitions.
func packaged(t *testing.T) map[string]*chart.Chart {
	t.Helper()
	crds := map[string]string{"argo-cd": "testdata/crds", "cert-manager": "testdata/crds", "metallb": "testdata/crds"}
	files, err := Package(t.TempDir(), crds)
	if err != nil {
		t.Fatal(err)
	}
	charts := map[string]*chart.Chart{}
	for _, file := range files {
		c, err := loader.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		charts[c.Name()] = c
	}
	return charts
}

func render(c *chart.Chart, values map[string]any) (string, error) {
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun = true, true
	install.ReleaseName, install.Namespace = c.Name(), "lab"
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.35.4", Major: "1", Minor: "35"}
	release, err := install.Run(c, values)
	if err != nil {
		return "", err
	}
	return release.Manifest, nil
}

// cases are the value sets of testdata, by chart and name.
func cases(t *testing.T) map[string]map[string]map[string]any {
	t.Helper()
	found, err := filepath.Glob("testdata/values/*/*.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no value sets: %v", err)
	}
	all := map[string]map[string]map[string]any{}
	for _, file := range found {
		values, err := chartutil.ReadValuesFile(file)
		if err != nil {
			t.Fatal(err)
		}
		of := filepath.Base(filepath.Dir(file))
		if all[of] == nil {
			all[of] = map[string]map[string]any{}
		}
		all[of][strings.TrimSuffix(filepath.Base(file), ".yaml")] = values
	}
	return all
}

func decode(t *testing.T, manifest string) []map[string]any {
	t.Helper()
	var objects []map[string]any
	d := yaml.NewDecoder(strings.NewReader(manifest))
	for {
		var object map[string]any
		if err := d.Decode(&object); err != nil {
			if err.Error() == "EOF" {
				return objects
			}
			t.Fatalf("%v in\n%s", err, manifest)
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
}

func TestGolden(t *testing.T) {
	charts, values := packaged(t), cases(t)
	for _, of := range Names() {
		for set, v := range values[of] {
			t.Run(of+"/"+set, func(t *testing.T) {
				got, err := render(charts[of], v)
				if err != nil {
					t.Fatal(err)
				}
				decode(t, got)
				golden := filepath.Join("testdata", "golden", of, set+".yaml")
				if *update {
					if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("it differs from %s (go test ./hack/rig/charts -update writes it):\n%s", golden, difference(string(want), got))
				}
			})
		}
	}
}

// difference is the first place where two texts differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, and not %d", len(g), len(w))
}

// A value that a schema takes and no template reads would be silently without effect.
func TestEveryValueHasAnEffect(t *testing.T) {
	charts, values := packaged(t), cases(t)
	for _, of := range Names() {
		t.Run(of, func(t *testing.T) {
			before := map[string]string{}
			for set, v := range values[of] {
				manifest, err := render(charts[of], v)
				if err != nil {
					t.Fatal(err)
				}
				before[set] = manifest
			}
			leaves(t, charts[of].Schema, func(path []string, others []any) {
				for set, v := range values[of] {
					for _, other := range others {
						after, err := render(charts[of], with(v, path, other))
						if err == nil && after != before[set] {
							return
						}
					}
				}
				t.Errorf("%s: no template reads it", strings.Join(path, "/"))
			})
		})
	}
}

// leaves walks the values that a schema names, with examples of what each may be.
func leaves(t *testing.T, schema []byte, visit func(path []string, examples []any)) {
	t.Helper()
	var root map[string]any
	if err := yaml.Unmarshal(schema, &root); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(path []string, node map[string]any)
	walk = func(path []string, node map[string]any) {
		if properties, ok := node["properties"].(map[string]any); ok {
			for _, key := range slices.Sorted(maps.Keys(properties)) {
				walk(append(slices.Clone(path), key), properties[key].(map[string]any))
			}
			return
		}
		if _, fixed := node["const"]; fixed || node["maxItems"] == 0 {
			return // what is left out
		}
		if len(path) == 1 && path[0] == "global" {
			return // of an umbrella chart, for its other charts
		}
		count++
		visit(path, examples(node))
	}
	walk(nil, root)
	if count < 40 {
		t.Errorf("the schema names %d values only", count)
	}
}

func examples(node map[string]any) []any {
	if several, ok := node["enum"].([]any); ok {
		return several
	}
	kind := node["type"]
	if kinds, ok := kind.([]any); ok {
		kind = kinds[0]
	}
	switch kind {
	case "boolean":
		return []any{true, false}
	case "integer":
		return []any{3, 31999}
	case "string":
		return []any{"another", "7", "7Gi", "-----BEGIN CERTIFICATE-----"}
	case "array":
		return []any{[]any{"another"}, []any{map[string]any{"name": "another"}}}
	case "object":
		if properties, ok := node["properties"].(map[string]any); ok {
			one := map[string]any{}
			required, _ := node["required"].([]any)
			for _, key := range required {
				one[key.(string)] = examples(properties[key.(string)].(map[string]any))[0]
			}
			return []any{one}
		}
		if of, ok := node["additionalProperties"].(map[string]any); ok {
			var out []any
			for _, e := range examples(of) {
				out = append(out, map[string]any{"another": e})
			}
			return out
		}
		return []any{map[string]any{"another": "one"}}
	}
	return nil
}

// with gives a copy of values in which one of them is another.
func with(values map[string]any, path []string, value any) map[string]any {
	out := maps.Clone(values)
	if out == nil {
		out = map[string]any{}
	}
	if len(path) == 1 {
		out[path[0]] = value
		return out
	}
	below, _ := out[path[0]].(map[string]any)
	out[path[0]] = with(below, path[1:], value)
	return out
}

// What a chart leaves out is refused, and not ignored.
func TestRefused(t *testing.T) {
	charts := packaged(t)
	for _, c := range []struct{ chart, values, want string }{
		{"argo-cd", "dex: {enabled: true}", "/dex/enabled"},
		{"argo-cd", "notifications: {enabled: true}", "/notifications/enabled"},
		{"argo-cd", "applicationSet: {replicas: 1}", "/applicationSet/replicas"},
		{"argo-cd", "redis-ha: {enabled: true}", "/redis-ha/enabled"},
		{"argo-cd", "configs: {params: {server.staticassets: /shared/app}}", "server.staticassets"},
		{"argo-cd", "configs: {tls: {certificates: {\"host:5000\": \"-----BEGIN CERTIFICATE-----\"}}}", "host:5000"},
		{"argo-cd", "configs: {tls: {certificates: {host: word}}}", "does not match pattern"},
		{"argo-cd", "controller: {resources: {request: {cpu: 1}}}", "request"},
		{"argo-cd", "server: {ingress: {enabled: true}}", "server.ingress.hostname or global.domain"},
		{"cert-manager", "startupapicheck: {enabled: true}", "/startupapicheck/enabled"},
		{"cert-manager", "crds: {install: true}", "install"},
		{"metallb", "speaker: {frr: {enabled: true}}", "/speaker/frr/enabled"},
		{"metallb", "configInline: {}", "configInline"},
		{"minio", "users: [{accessKey: a, secretKey: b}]", "/users"},
		{"minio", "buckets: [{name: UPPER}]", "/buckets/0/name"},
		{"minio", "buckets: [{name: good, versioning: true}]", "versioning"},
		{"minio", "mode: distributed\nbuckets: [{name: good}]", "made in mode standalone only"},
		{"minio", "mode: gateway", "/mode"},
		{"traefik", "ports: {traefik: {port: 0}}", "/ports/traefik/port"},
		{"traefik", "providers: {kubernetesCRD: {enabled: true}}", "kubernetesCRD"},
	} {
		t.Run(c.chart+" "+c.values, func(t *testing.T) {
			values, err := chartutil.ReadValues([]byte(c.values))
			if err != nil {
				t.Fatal(err)
			}
			_, err = render(charts[c.chart], values)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, and not %q", err, c.want)
			}
		})
	}
}

// The pods ask for little, run without rights that they do not need, and say when
// they are ready.
func TestPods(t *testing.T) {
	charts := packaged(t)
	for _, of := range Names() {
		manifest, err := render(charts[of], nil)
		if err != nil {
			t.Fatal(err)
		}
		pods := 0
		for _, object := range decode(t, manifest) {
			spec, _ := object["spec"].(map[string]any)
			template, ok := spec["template"].(map[string]any)
			if !ok {
				continue
			}
			pods++
			pod := template["spec"].(map[string]any)
			who := of + " " + object["metadata"].(map[string]any)["name"].(string)
			security, _ := pod["securityContext"].(map[string]any)
			if security["runAsNonRoot"] != true && who != "metallb metallb-speaker" {
				t.Errorf("%s may run as root", who)
			}
			for _, c := range pod["containers"].([]any) {
				container := c.(map[string]any)
				security := container["securityContext"].(map[string]any)
				if security["allowPrivilegeEscalation"] != false || security["readOnlyRootFilesystem"] != true {
					t.Errorf("%s: %v", who, security)
				}
				if fmt.Sprint(security["capabilities"].(map[string]any)["drop"]) != "[ALL]" {
					t.Errorf("%s keeps capabilities", who)
				}
				requests, _ := container["resources"].(map[string]any)["requests"].(map[string]any)
				if requests["cpu"] == nil || requests["memory"] == nil {
					t.Errorf("%s asks for %v", who, requests)
				}
				if container["readinessProbe"] == nil && of != "cert-manager" {
					t.Errorf("%s does not say when it is ready", who)
				}
			}
		}
		if pods == 0 {
			t.Errorf("%s has no pods", of)
		}
	}
}

// A chart's images are those that the rig makes, in the versions of its pins.
func TestImagesAreTheRigs(t *testing.T) {
	var pins struct {
		Parts []struct{ Name, Version string }
	}
	read(t, "../parts.yaml", &pins)
	version := map[string]string{}
	for _, p := range pins.Parts {
		version[p.Name] = p.Version
	}
	var recipes struct {
		Images []struct{ Reference string }
	}
	read(t, "../images.yaml", &recipes)
	made := map[string]bool{}
	for _, i := range recipes.Images {
		reference := regexp.MustCompile(`\$\{([^}]+)\}`).ReplaceAllStringFunc(i.Reference, func(s string) string {
			part, cut, _ := strings.Cut(strings.Trim(s, "${}"), "#")
			return strings.TrimPrefix(version[part], cut)
		})
		made[normal(t, reference)] = true
	}
	for of, c := range packaged(t) {
		manifest, err := render(c, map[string]any(nil))
		if err != nil {
			t.Fatal(err)
		}
		references := regexp.MustCompile(`(?m)^ *(?:- )?image: (\S+)$`).FindAllStringSubmatch(manifest, -1)
		if of == "minio" {
			values := c.Values["mcImage"].(map[string]any)
			references = append(references, []string{"", fmt.Sprintf("%s:%s", values["repository"], values["tag"])})
		}
		if len(references) == 0 {
			t.Errorf("%s has no images", of)
		}
		for _, r := range references {
			if reference := normal(t, r[1]); !made[reference] {
				t.Errorf("%s wants %s, which the rig does not make: move its appVersion or its values with the pin", of, reference)
			}
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// normal writes a reference out: traefik and docker.io/library/traefik are one image.
func normal(t *testing.T, reference string) string {
	t.Helper()
	r, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	return r.Name()
}

// Definitions carry the chart's labels and stay what they were otherwise.
func TestDefinitions(t *testing.T) {
	charts := packaged(t)
	for _, c := range []struct {
		chart      string
		values     map[string]any
		there      bool
		policy     any
		conversion bool
	}{
		{"argo-cd", nil, true, "keep", false},
		{"argo-cd", map[string]any{"crds": map[string]any{"install": false}}, false, nil, false},
		{"argo-cd", map[string]any{"crds": map[string]any{"keep": false}}, true, nil, false},
		{"cert-manager", nil, false, nil, false},
		{"cert-manager", map[string]any{"installCRDs": true}, true, "keep", false},
		{"cert-manager", map[string]any{"crds": map[string]any{"enabled": true, "keep": false}}, true, nil, false},
		{"metallb", nil, true, nil, true},
		{"metallb", map[string]any{"crds": map[string]any{"enabled": false}}, false, nil, false},
	} {
		manifest, err := render(charts[c.chart], c.values)
		if err != nil {
			t.Fatal(err)
		}
		var crd map[string]any
		for _, object := range decode(t, manifest) {
			if object["kind"] == "CustomResourceDefinition" {
				crd = object
			}
		}
		if (crd != nil) != c.there {
			t.Errorf("%s with %v: definitions %v", c.chart, c.values, crd != nil)
		}
		if crd == nil {
			continue
		}
		metadata, spec := crd["metadata"].(map[string]any), crd["spec"].(map[string]any)
		annotations := metadata["annotations"].(map[string]any)
		if annotations["helm.sh/resource-policy"] != c.policy || annotations["example.com/kept"] != "yes" {
			t.Errorf("%s with %v: annotations %v", c.chart, c.values, annotations)
		}
		if metadata["labels"].(map[string]any)["app.kubernetes.io/managed-by"] != "Helm" {
			t.Errorf("%s with %v: labels %v", c.chart, c.values, metadata["labels"])
		}
		if !strings.Contains(manifest, "{{ .Values.none }}") {
			t.Errorf("%s with %v: a description was taken for a template", c.chart, c.values)
		}
		if _, ok := spec["conversion"]; ok != c.conversion {
			t.Errorf("%s with %v: conversion %v", c.chart, c.values, spec["conversion"])
		}
	}
}

func TestPackageIsReproducible(t *testing.T) {
	crds := map[string]string{"argo-cd": "testdata/crds", "cert-manager": "testdata/crds", "metallb": "testdata/crds"}
	one, two := t.TempDir(), t.TempDir()
	first, err := Package(one, crds)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != len(Names()) || !slices.IsSorted(first) {
		t.Errorf("packaged %v", first)
	}
	second, err := Package(two, crds)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		a, _ := os.ReadFile(first[i])
		b, _ := os.ReadFile(second[i])
		if filepath.Base(first[i]) != filepath.Base(second[i]) || !bytes.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s is not always the same", first[i])
		}
	}

	// What is there is left alone, what is old is removed, and so is what is broken.
	long := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(first[0], long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first[1], []byte("half of it"), 0o644); err != nil {
		t.Fatal(err)
	}
	old, other := filepath.Join(one, "metallb-0.0.1.tgz"), filepath.Join(one, "notes.txt")
	for _, file := range []string{old, other} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Package(one, crds); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(first[0]); err != nil || !info.ModTime().Equal(long) {
		t.Errorf("%s was written again: %v", first[0], err)
	}
	if _, err := loader.Load(first[1]); err != nil {
		t.Errorf("half a chart was left: %v", err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old chart is there still: %v", err)
	}
	entries, _ := os.ReadDir(one)
	if len(entries) != len(Names())+1 {
		t.Errorf("left in the folder: %v", entries)
	}
}

func TestPackageErrors(t *testing.T) {
	folder := func(files map[string]string) string {
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	good := "kind: CustomResourceDefinition\nmetadata: {name: a.example.com}\n"
	for _, c := range []struct{ name, folder, want string }{
		{"no folder", "", "there is no folder of them"},
		{"folder that is not there", filepath.Join(t.TempDir(), "none"), "there are no custom resource definitions in"},
		{"folder without definitions", folder(map[string]string{"a.json": "{}"}), "there are no custom resource definitions in"},
		{"another kind", folder(map[string]string{"a.yaml": "kind: ConfigMap\nmetadata: {name: a}\n"}), `"ConfigMap"`},
		{"no name", folder(map[string]string{"a.yaml": "kind: CustomResourceDefinition\n"}), "and not a CustomResourceDefinition"},
		{"two in one", folder(map[string]string{"a.yaml": good + "---\n" + good}), "more than one document"},
		{"half of one", folder(map[string]string{"a.yaml": "kind: {"}), "a.yaml: yaml"},
		{"empty", folder(map[string]string{"a.yaml": ""}), "a.yaml: EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Package(dir, map[string]string{"argo-cd": c.folder, "cert-manager": "testdata/crds", "metallb": "testdata/crds"})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the chart argo-cd could not be packaged") {
				t.Errorf("got %v, and not %q", err, c.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("it left %v", entries)
			}
		})
	}
	if _, err := Files("strimzi"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a chart that there is not: %v", err)
	}
}
