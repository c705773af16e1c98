package drafts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/alerts/drafts"
	"github.com/alertlab/alertlab/alerts/packet"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestADraft(t *testing.T) {
	t.Parallel()
	d, err := drafts.Load(filepath.Join("testdata", "good"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Version != (packet.Version{Major: 12}) || d.Schema.ID() != 1200 || len(d.Files) != 4 {
		t.Errorf("version %s, id %d, files %v", d.Version, d.Schema.ID(), d.Files)
	}
	if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "lsst.v12_0.spare.avsc is used by no other record") {
		t.Errorf("notes: %q", d.Notes)
	}
	golden(t, "good.canonical", d.Schema.Canonical()+"\n")

	// A visit of it is made, every field has a value of its type.
	v, err := packet.NewVisit(packet.VisitConfig{Schema: d.Schema, Alerts: 40, MidpointMjdTai: 61365})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for i := range v.Len() {
		body, err := v.Body(i)
		if err != nil {
			t.Fatal(err)
		}
		alert, err := d.Schema.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if alert["broker_hint"] == nil {
			t.Error("a text that only the draft has is null")
		}
		source := alert["diaSource"].(map[string]any)
		for _, field := range []string{"streakScore", "streakClass", "streakEnds", "streakTags", "streakDigest"} {
			seen[fmt.Sprint(field, source[field])] = true
		}
		if n := len(source["streakEnds"].([]any)); n < 1 || n > 4 {
			t.Errorf("%d items in an array that only the draft has", n)
		}
		if again, err := v.Body(i); err != nil || !bytes.Equal(again, body) {
			t.Errorf("alert %d is not the same twice: %v", i, err)
		}
	}
	if len(seen) < 100 {
		t.Errorf("fields that only the draft has differ in %d ways only", len(seen))
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	d, err := drafts.Load(filepath.Join("testdata", "good"))
	if err != nil {
		t.Fatal(err)
	}
	// The version before, so that the differences are few: made of the draft's
	// own text.
	text := strings.NewReplacer("lsst.v12_0", "lsst.v11_0",
		`{"name":"streakScore","type":"double"},`, "",
		`{"name":"detector","type":"int"}`, `{"name":"detector","type":"double"}`,
		`{"name":"dec","type":"double"},{"name":"psfFlux"`, `{"name":"dec","type":"float"},{"name":"oldFlux","type":"float"},{"name":"psfFlux"`,
		`"symbols":["NONE","SATELLITE","METEOR"]`, `"symbols":["NONE","SATELLITE"]`,
		`{"name":"nDiaSources","type":"int"}`, `{"name":"nDiaSources","type":["null","int"]},{"name":"spare","type":{"name":"lsst.v11_0.old","type":"record","fields":[]}}`,
	).Replace(d.Schema.Canonical())
	before, err := packet.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Compare(before)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, change := range c.Changes {
		b.WriteString(change.String() + "\n")
	}
	b.WriteString("\nforward: " + strings.Join(c.Forward, "\nforward: ") + "\nbackward: " + strings.Join(c.Backward, "\nbackward: ") + "\n")
	golden(t, "compare.golden", b.String())

	last := packet.Versions()[len(packet.Versions())-1]
	published, err := packet.Published(last)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := d.Compare(published); err != nil || c.With != last || len(c.Changes) == 0 || len(c.Forward) == 0 {
		t.Errorf("compared with %s: %d changes, %v", c.With, len(c.Changes), err)
	}
}

// TestEveryProblem asserts that all mistakes of all files are told at once.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := drafts.Load(filepath.Join("testdata", "bad"))
	var problems *drafts.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	golden(t, "bad.golden", filepath.ToSlash(err.Error())+"\n")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	const alert = `{"namespace":"lsst.v12_0","type":"record","name":"alert","fields":[{"name":"diaSourceId","type":"long"}]}`
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":       {nil, `there is no file whose name ends in ".avsc"`},
		"no alert":      {map[string]string{"lsst.v12_0.diaSource.avsc": `{"namespace":"lsst.v12_0","type":"record","name":"diaSource","fields":[]}`}, "there is no lsst.v12_0.alert.avsc"},
		"two versions":  {map[string]string{"lsst.v12_0.alert.avsc": alert, "lsst.v12_1.diaSource.avsc": "{}"}, "several versions: lsst.v12_0, lsst.v12_1"},
		"no version":    {map[string]string{"lsst.v012_0.alert.avsc": alert}, "not of the form"},
		"no diaSource":  {map[string]string{"lsst.v12_0.alert.avsc": alert}, "lsst.v12_0.alert.avsc:1:1: this is no alert: no top-level alertId or diaSourceId"},
		"not an object": {map[string]string{"lsst.v12_0.alert.avsc": "7"}, "a file holds one named type"},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := drafts.Load(dir)
		var problems *drafts.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := drafts.Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestArraysOfArrays must not take for ever.
func TestArraysOfArrays(t *testing.T) {
	t.Parallel()
	const deep = 20
	dir := t.TempDir()
	text := `{"namespace":"lsst.v12_0","type":"record","name":"alert","fields":[{"name":"diaSourceId","type":"long"},
		{"name":"diaSource","type":{"type":"record","name":"diaSource","fields":[{"name":"midpointMjdTai","type":"double"},
		{"name":"deep","type":` + strings.Repeat(`{"type":"array","items":`, deep) + `"int"` + strings.Repeat("}", deep) + `}]}}]}`
	if err := os.WriteFile(filepath.Join(dir, "lsst.v12_0.alert.avsc"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := drafts.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := packet.NewVisit(packet.VisitConfig{Schema: d.Schema, Alerts: 1, MidpointMjdTai: 61365})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := v.Body(0); err != nil || len(body) > 1000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// FuzzLoad gives any text as an alert's file: it is a schema, or there are
// problems that stand within it.
func FuzzLoad(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.avsc"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Add(strings.Repeat("[", 10000))
	dir := f.TempDir()
	source, err := os.ReadFile(filepath.Join("testdata", "good", "lsst.v12_0.diaSource.avsc"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		folder, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		for name, content := range map[string]string{"lsst.v12_0.alert.avsc": text, "lsst.v12_0.diaSource.avsc": string(source)} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := drafts.Load(folder)
		if err == nil {
			if !json.Valid([]byte(d.Schema.Canonical())) {
				t.Errorf("no JSON: %s", d.Schema.Canonical())
			}
			return
		}
		var problems *drafts.Problems
		if !errors.As(err, &problems) || len(problems.List) == 0 {
			t.Fatal(err)
		}
		for _, p := range problems.List {
			if p.Message == "" || p.Line > 1+strings.Count(text, "\n") && p.File == "lsst.v12_0.alert.avsc" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
