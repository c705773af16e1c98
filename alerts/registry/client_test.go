package registry_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/alertlab/alertlab/alerts/registry"
)

func TestSchemaByID(t *testing.T) {
	t.Parallel()
	base := openNew(t)
	converse(t, base, exchange{`POST /subjects/s/versions ` + post(one), `{"id":100001,"version":1}`})
	c, err := registry.NewClient(base)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.SchemaByID(testContext(t), 100001); err != nil || got != one {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := c.SchemaByID(testContext(t), 704); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// TestNotFoundOfSomethingElse keeps apart what a registry does not know and a
// registry that is not there: whoever stores alerts gives up only on the former.
func TestNotFoundOfSomethingElse(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c, err := registry.NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SchemaByID(testContext(t), 704); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an ingress without a backend: got %v", err)
	}
	server.Close()
	if _, err := c.SchemaByID(testContext(t), 704); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("nobody listens: got %v", err)
	}
}

// TestWithFranzGo uses the whole API through a client that was written for
// Confluent's registry.
func TestWithFranzGo(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	c, _ := client(t, openNew(t))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fails := func(err error, want *sr.Error) {
		t.Helper()
		var answer *sr.ResponseError
		if !errors.As(err, &answer) || answer.SchemaError() != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}

	types, err := c.SupportedTypes(ctx)
	if err != nil || !slices.Equal(types, []sr.SchemaType{sr.TypeAvro}) {
		t.Errorf("types %v, %v", types, err)
	}
	inner, err := c.CreateSchema(ctx, "inner", sr.Schema{Schema: one})
	must(err)
	outer, err := c.CreateSchema(ctx, "outer", sr.Schema{
		Schema:         `{"type":"array","items":"a.R"}`,
		References:     []sr.SchemaReference{{Name: "a.R", Subject: "inner", Version: inner.Version}},
		SchemaMetadata: &sr.SchemaMetadata{Tags: map[string][]string{"x": {"PII"}}, Sensitive: []string{"p"}},
	})
	must(err)
	if outer.ID != inner.ID+1 || outer.Version != 1 || outer.SchemaMetadata.Tags["x"][0] != "PII" || outer.References[0].Subject != "inner" {
		t.Errorf("got %+v", outer)
	}
	referrers, err := c.SchemaReferences(ctx, "inner", 1)
	if err != nil || len(referrers) != 1 || referrers[0].Subject != "outer" {
		t.Errorf("referrers %+v, %v", referrers, err)
	}
	_, err = c.CreateSchema(ctx, "inner", sr.Schema{Schema: mustY})
	fails(err, sr.ErrIncompatibleSchema)
	_, err = c.CreateSchema(ctx, "inner", sr.Schema{Schema: "{"})
	fails(err, sr.ErrInvalidSchema)
	_, err = c.LookupSchema(ctx, "inner", sr.Schema{Schema: two})
	fails(err, sr.ErrSchemaNotFound)
	_, err = c.SubjectVersions(ctx, "nobody")
	fails(err, sr.ErrSubjectNotFound)
	_, err = c.SchemaByVersion(ctx, "inner", 9)
	fails(err, sr.ErrVersionNotFound)
	_, err = c.DeleteSubject(ctx, "inner", sr.SoftDelete)
	fails(err, sr.ErrReferenceExists)
	_, err = c.DeleteSubject(ctx, "outer", sr.HardDelete)
	fails(err, sr.ErrSubjectNotSoftDeleted)

	verdict, err := c.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), "inner", -1, sr.Schema{Schema: mustY})
	if err != nil || verdict.Is || len(verdict.Messages) != 1 {
		t.Errorf("verdict %+v, %v", verdict, err)
	}
	if set := c.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, "inner")[0]; set.Err != nil || set.Level != sr.CompatNone {
		t.Errorf("set level %+v", set)
	}
	if got := c.Compatibility(ctx, "inner")[0]; got.Err != nil || got.Level != sr.CompatNone {
		t.Errorf("got level %+v", got)
	}
	fails(c.Compatibility(ctx, "outer")[0].Err, sr.ErrSubjectLevelCompatibilityNotConfigured)
	must(c.ResetCompatibility(ctx, "inner")[0].Err)
	fails(c.Mode(ctx, "inner")[0].Err, sr.ErrSubjectLevelModeNotConfigured)
	fails(c.SetMode(ctx, sr.ModeImport, "inner")[0].Err, sr.ErrOperationNotPermitted)
	must(c.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeImport, "inner")[0].Err)
	imported, err := c.CreateSchemaWithIDAndVersion(ctx, "inner", sr.Schema{Schema: two}, 704, 74)
	if err != nil || imported.ID != 704 || imported.Version != 74 {
		t.Errorf("imported %+v, %v", imported, err)
	}
	must(c.ResetMode(ctx, "inner")[0].Err)

	must(c.DeleteSchema(ctx, "outer", -1, sr.SoftDelete))
	fails(c.DeleteSchema(ctx, "outer", 1, sr.SoftDelete), sr.ErrSchemaVersionSoftDeleted)
	must(c.DeleteSchema(ctx, "outer", 1, sr.HardDelete))
	versions, err := c.DeleteSubject(ctx, "inner", sr.SoftDelete)
	if err != nil || !slices.Equal(versions, []int{1, 74}) {
		t.Errorf("deleted %v, %v", versions, err)
	}
	subjects, err := c.Subjects(sr.WithParams(ctx, sr.ShowDeleted))
	if err != nil || !slices.Equal(subjects, []string{"inner"}) {
		t.Errorf("subjects %v, %v", subjects, err)
	}
}
