package registry_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/registry"
)

func TestSubjects(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	c, _ := client(t, openNew(t))
	if subjects, err := registry.Subjects(ctx, c); err != nil || len(subjects) != 0 {
		t.Fatalf("of an empty registry: %v %v", subjects, err)
	}
	create := func(subject, text string) int {
		t.Helper()
		s, err := c.CreateSchema(ctx, subject, sr.Schema{Schema: text})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	first := create("b", `{"type":"record","name":"R","namespace":"n","fields":[]}`)
	second := create("b", `{"type":"record","name":"R","namespace":"n","fields":[{"name":"x","type":["null","int"],"default":null}]}`)
	third := create("a", `"string"`)
	if r := c.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, "a")[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := c.SetMode(ctx, sr.ModeReadOnly, "b")[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	subjects, err := registry.Subjects(ctx, c)
	if err != nil || len(subjects) != 2 {
		t.Fatalf("%+v %v", subjects, err)
	}
	a, b := subjects[0], subjects[1]
	if a.Name != "a" || a.Compatibility != "FULL" || a.Inherited || a.Mode != "READWRITE" || len(a.Versions) != 1 || a.Versions[0] != (registry.SubjectVersion{Version: 1, ID: third, Bytes: 8}) {
		t.Errorf("%+v", a)
	}
	if b.Name != "b" || b.Compatibility == "" || !b.Inherited || b.Mode != "READONLY" || len(b.Versions) != 2 || b.Versions[0].ID != first ||
		b.Versions[1].ID != second || b.Versions[1].Name != "n.R" {
		t.Errorf("%+v", b)
	}
}
