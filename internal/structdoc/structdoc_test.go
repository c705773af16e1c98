package structdoc

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type sample struct {
	// A word of
	// two lines.
	Word string `yaml:"word" enum:"a,b" default:"a"`
	// A number.
	Count uint16 `yaml:"count"`
	// A size.
	Size int64 `yaml:"size" unit:"bytes" default:"80kB"`
	// A time.
	Every time.Duration `yaml:"every,omitempty"`
	// A switch.
	On bool `yaml:"on" default:"false"`
	// A map.
	Config map[string]string `yaml:"config,omitempty"`
	// Words.
	Words []string `yaml:"words"`
	// Others.
	Others []other `yaml:"others"`
	// One more.
	One other `yaml:"one,omitempty"`

	hidden int
}

type other struct {
	// Its number.
	Number int `yaml:"number" default:"-1"`
}

// The comments come from this file's own source, as a file that is no test.
func sources(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("structdoc_test.go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := Read(reflect.TypeFor[sample](), sources(t))
	if err != nil {
		t.Fatal(err)
	}
	number := []Key{{Name: "number", Meaning: "Its number.", Kind: Whole, Default: "-1", HasDefault: true}}
	want := []Key{
		{Name: "word", Meaning: "A word of two lines.", Kind: Text, Default: "a", HasDefault: true, Values: []string{"a", "b"}},
		{Name: "count", Meaning: "A number.", Kind: Whole, Required: true, Unsigned: true},
		{Name: "size", Meaning: "A size.", Kind: Size, Default: "80kB", HasDefault: true},
		{Name: "every", Meaning: "A time.", Kind: Duration},
		{Name: "on", Meaning: "A switch.", Kind: Switch, Default: "false", HasDefault: true},
		{Name: "config", Meaning: "A map.", Kind: Settings},
		{Name: "words", Meaning: "Words.", Kind: Texts, Required: true},
		{Name: "others", Meaning: "Others.", Kind: List, Required: true, Keys: number},
		{Name: "one", Meaning: "One more.", Kind: Mapping, Keys: number},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	_ = sample{}.hidden

	type bare struct {
		Word string `yaml:"word"`
	}
	if _, err := Read(reflect.TypeFor[bare](), t.TempDir()); err == nil || !strings.Contains(err.Error(), "has no comment") {
		t.Errorf("a field without a comment: %v", err)
	}
}

func TestJSONSchema(t *testing.T) {
	t.Parallel()
	got, err := JSONSchema("id", "A sample", []Key{
		{Name: "word", Meaning: "w", Kind: Text, Required: true, Values: []string{"a", "b"}},
		{Name: "count", Meaning: "c", Kind: Whole, Default: "3", HasDefault: true, Unsigned: true},
		{Name: "list", Meaning: "l", Kind: List, Keys: []Key{{Name: "on", Meaning: "o", Kind: Switch, Default: "true", HasDefault: true}}},
	})
	want := `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "id",
  "title": "A sample",
  "type": "object",
  "properties": {
    "word": {
      "description": "w",
      "type": "string",
      "enum": [
        "a",
        "b"
      ]
    },
    "count": {
      "description": "c",
      "type": "integer",
      "minimum": 0,
      "default": 3
    },
    "list": {
      "description": "l",
      "type": "array",
      "items": {
        "type": "object",
        "properties": {
          "on": {
            "description": "o",
            "type": "boolean",
            "default": true
          }
        },
        "required": [],
        "additionalProperties": false
      }
    }
  },
  "required": [
    "word"
  ],
  "additionalProperties": false
}
`
	if err != nil || string(got) != want {
		t.Errorf("%v, got\n%s", err, got)
	}
}
