package profiles_test

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/alertlab/alertlab/internal/structdoc"
	"github.com/alertlab/alertlab/profiles"
)

const (
	schemaFile = "profile.schema.json"
	schemaID   = "https://alertlab.dev/schemas/v1alpha1/profile.schema.json"
)

func keys(t *testing.T) []structdoc.Key {
	t.Helper()
	keys, err := structdoc.Read(reflect.TypeFor[profiles.Profile](), ".")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// The schema that is checked in is the one that the types make.
func TestSchemaIsCurrent(t *testing.T) {
	got, err := structdoc.JSONSchema(schemaID, "A profile of alertlab: one environment of the alert distribution stack", keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, profiles.Schema()) {
		t.Errorf("%s is not what the types make: go test ./profiles -update writes it", schemaFile)
	}
}

// Every shipped profile validates, and what Parse refuses for its form does not.
func TestSchemaValidates(t *testing.T) {
	if *update {
		t.Skip("the schema is being written")
	}
	t.Parallel()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(profiles.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, text); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		return schema.Validate(doc)
	}
	for _, info := range profiles.List() {
		p := load(t, info.Name)
		if err := check(string(p.Source())); err != nil {
			t.Errorf("%s: %v", info.Name, err)
		}
		other, err := profiles.Override(p, []string{"ALERTLAB_SIMULATOR_SEED=2"})
		if err != nil {
			t.Fatal(err)
		}
		if err := check(string(other.Source())); err != nil {
			t.Errorf("%s with an override: %v", info.Name, err)
		}
	}
	source := string(local(t).Source())
	for old, bad := range map[string]string{
		"apiVersion: alertlab/v1alpha1": "apiVersion: alertlab/v2",
		"kind: Profile":                 "kind: Stack",
		"count: 6":                      "count: six",
		"firstID: 0":                    "firstId: 0",
		"tls: false":                    "tls: nothing",
		"interval: 37s":                 "interval: 37",
		"packetSize: 80kB":              "packetSize: 80KB",
		"seed: 1":                       "seed: -1",
		"compatibility: NONE":           "compatibility: none",
		"superuser: kafka-admin":        "superuser: [kafka-admin]",
		"  topic: alerts-simulated\n":   "",
	} {
		text := strings.Replace(source, old, bad, 1)
		if text == source {
			t.Fatalf("the local profile has no %q", old)
		}
		if err := check(text); err == nil {
			t.Errorf("%q passes", bad)
		}
		if _, err := profiles.Parse("p.yaml", []byte(text)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// What a tag says are the only values is what Parse takes.
func TestEnums(t *testing.T) {
	t.Parallel()
	source := string(local(t).Source())
	for _, c := range []struct{ path, old, format string }{
		{"registry.compatibility", "compatibility: NONE", "compatibility: %s"},
		{"kafka.listener.type", "tls: false", "tls: false, type: %s"},
		{"kafka.brokers.storage.reclaimPolicy", "firstID: 0", "firstID: 0, storage: {size: 1Gi, reclaimPolicy: %s}"},
	} {
		k := find(t, keys(t), c.path)
		if len(k.Values) < 2 {
			t.Fatalf("%s has the values %v", c.path, k.Values)
		}
		for _, value := range append(slices.Clone(k.Values), "other") {
			text := strings.Replace(source, c.old, fmt.Sprintf(c.format, value), 1)
			if _, err := profiles.Parse("p.yaml", []byte(text)); (err == nil) != (value != "other") {
				t.Errorf("%s: %s: %v", c.path, value, err)
			}
		}
	}
}

func find(t *testing.T, in []structdoc.Key, path string) structdoc.Key {
	t.Helper()
	name, rest, more := strings.Cut(path, ".")
	i := slices.IndexFunc(in, func(k structdoc.Key) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("there is no key %s", path)
	}
	if more {
		return find(t, in[i].Keys, rest)
	}
	return in[i]
}
