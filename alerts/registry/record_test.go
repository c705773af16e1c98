package registry

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goldenRecords gives keys and values as Confluent's registry writes them.
func goldenRecords(t *testing.T) (records [][2]string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "records.golden"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n\n")
	for strings.HasPrefix(rest, "# ") {
		lines := strings.SplitN(rest, "\n", 5)
		if len(lines) != 5 && len(lines) != 4 {
			t.Fatalf("no record: %q", rest)
		}
		records = append(records, [2]string{lines[1], lines[2]})
		rest = ""
		if len(lines) == 5 {
			rest = lines[4]
		}
	}
	if len(records) != 11 {
		t.Fatalf("%d records", len(records))
	}
	return records
}

// TestGoldenRecordsWritten makes the same records by our own types.
func TestGoldenRecordsWritten(t *testing.T) {
	t.Parallel()
	metadata, err := encodeJSON(Metadata{Properties: map[string]string{"confluent:version": "704"}})
	if err != nil {
		t.Fatal(err)
	}
	ours := []entry{
		{schemaKey("alert-packet", 704), &schemaValue{Subject: "alert-packet", Version: 704, ID: 704, SchemaType: schemaTypeAvro, Schema: `"null"`}},
		{schemaKey("a<b>&c/é", 1), &schemaValue{Subject: "a<b>&c/é", Version: 1, ID: 100001, SchemaType: schemaTypeAvro,
			References: []Reference{{Name: "n", Subject: "alert-packet", Version: 704}}, Metadata: metadata, Schema: `"null"`, Deleted: true}},
		{schemaKey("s", 1), nil},
		{recordKey{KeyType: keyConfig}, configValue{CompatibilityLevel: CompatibilityNone}},
		{recordKey{KeyType: keyConfig, Subject: "s"}, configValue{Subject: "s", CompatibilityLevel: CompatibilityFullTransitive}},
		{recordKey{KeyType: keyMode}, modeValue{Mode: ModeReadWrite}},
		{recordKey{KeyType: keyMode, Subject: "s"}, modeValue{Subject: "s", Mode: ModeImport}},
		{recordKey{KeyType: keyDeleteSubject, Subject: "s"}, deleteSubjectValue{Subject: "s", Version: 704}},
		{recordKey{KeyType: keyClearSubject, Subject: "s"}, clearSubjectValue{Subject: "s"}},
		{recordKey{KeyType: keyClearSubject}, clearSubjectValue{}},
		noop,
	}
	for i, want := range goldenRecords(t) {
		key, value, err := ours[i].encode()
		if err != nil {
			t.Fatal(err)
		}
		if string(key) != want[0] || string(value) != want[1] || (value == nil) != (want[1] == "") {
			t.Errorf("got\n%s\n%s\nwant\n%s\n%s", key, value, want[0], want[1])
		}
	}
}

// TestGoldenRecordsRead reads them one by one, each where it changes something.
func TestGoldenRecordsRead(t *testing.T) {
	t.Parallel()
	records := goldenRecords(t)
	for _, record := range records {
		// What is read and written again loses nothing, keys above all.
		var k recordKey
		if err := json.Unmarshal([]byte(record[0]), &k); err != nil {
			t.Fatal(err)
		}
		if again, err := encodeJSON(k); err != nil || string(again) != record[0] {
			t.Errorf("key %s came back as %s, %v", record[0], again, err)
		}
		if k.KeyType != keySchema || record[1] == "" {
			continue
		}
		var v schemaValue
		if err := json.Unmarshal([]byte(record[1]), &v); err != nil {
			t.Fatal(err)
		}
		if again, err := encodeJSON(v); err != nil || string(again) != record[1] {
			t.Errorf("value %s came back as %s, %v", record[1], again, err)
		}
	}

	s := newState()
	for version := range 3 {
		s.put(&schemaValue{Subject: "s", Version: version + 1, ID: version + 1, Schema: `"long"`, Deleted: version == 1})
	}
	checks := []func() bool{
		func() bool {
			v := s.subjects["alert-packet"][704]
			return v.ID == 704 && v.Schema == `"null"` && !v.Deleted
		},
		func() bool {
			v := s.subjects["a<b>&c/é"][1]
			return v.Deleted && v.References[0] == Reference{Name: "n", Subject: "alert-packet", Version: 704} && strings.Contains(string(v.Metadata), `"704"`)
		},
		func() bool { return s.subjects["s"][1] == nil },
		func() bool { return s.level("other", "") == CompatibilityNone },
		func() bool { return s.level("s", "") == CompatibilityFullTransitive },
		func() bool { return s.mode("other") == ModeReadWrite },
		func() bool { return s.mode("s") == ModeImport },
		func() bool { return s.has("s", true) && !s.has("s", false) },
		func() bool { return !s.has("s", true) && s.has("a<b>&c/é", true) },
		func() bool { return !s.has("a<b>&c/é", true) && s.has("alert-packet", false) },
		func() bool { return len(s.subjects) == 1 },
	}
	for i, record := range records {
		if err := s.apply([]byte(record[0]), []byte(record[1])); err != nil {
			t.Errorf("%s: %v", record[0], err)
		}
		if !checks[i]() {
			t.Errorf("%s = %s did nothing", record[0], record[1])
		}
	}
}
