package strictyaml_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alertlab/alertlab/internal/strictyaml"
)

type thing struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Name       string            `yaml:"name"`
	Count      int16             `yaml:"count,omitempty"`
	Seed       uint64            `yaml:"seed,omitempty"`
	On         bool              `yaml:"on,omitempty"`
	Size       int64             `yaml:"size,omitempty" unit:"bytes"`
	Every      time.Duration     `yaml:"every,omitempty"`
	Config     map[string]string `yaml:"config,omitempty"`
	Parts      []part            `yaml:"parts,omitempty"`
}

type part struct {
	Name  string   `yaml:"name"`
	Words []string `yaml:"words,omitempty"`
}

const head = "apiVersion: v1\nkind: Thing\n"

func decode(text string) (thing, *strictyaml.Report) {
	var out thing
	r := strictyaml.Decode("t.yaml", []byte(text), strictyaml.Header{APIVersion: "v1", Kind: "Thing"}, &out)
	return out, r
}

func TestDecode(t *testing.T) {
	t.Parallel()
	got, r := decode("# comment\n---\n" + head + `name: "11.0"
count: -7
seed: 18446744073709551615
on: true
size: 80kB
every: 1m30s
config: {a.b: 1e3, c: false, d: 2026-11-20, e: "", f: text}
parts:
  - name: one
    words: [x, "2"]
  - {name: two, words: []}
`)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	want := thing{
		"v1", "Thing", "11.0", -7, math.MaxUint64, true, 80000, 90 * time.Second,
		map[string]string{"a.b": "1e3", "c": "false", "d": "2026-11-20", "e": "", "f": "text"},
		[]part{{"one", []string{"x", "2"}}, {"two", []string{}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// A validator's problem stands at the value or the nearest one around.
	r.Addf("parts[1].name", "m")
	r.Addf("config.a.b", "m")
	r.Addf("parts[1].color.dark", "m")
	r.Addf("nowhere", "m")
	want2 := "t.yaml:3:1: nowhere: m\nt.yaml:11:15: config.a.b: m\nt.yaml:15:5: parts[1].color.dark: m\nt.yaml:15:12: parts[1].name: m"
	if err := r.Err(); err == nil || err.Error() != want2 {
		t.Errorf("got:\n%v\nwant:\n%s", err, want2)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const ok = head + "name: n\n"
	tests := []struct{ name, text, want string }{
		{"empty", "", `t.yaml:1:1: the file is empty`},
		{"only comments", "# a\n\n# b\n", `t.yaml:1:1: the file is empty`},
		{"null document", "---\n", `t.yaml:1:1: the file is empty`},
		{"two documents", ok + "---\na: b\n", `t.yaml:4:1: a second YAML document begins here: one file holds one document`},
		{"broken second document", ok + "---\na: [\n", `t.yaml:5: not valid YAML: did not find expected node content`},
		{"list", "- a\n", `t.yaml:1:1: must be a mapping of keys to values, but is a list`},
		{"not UTF-8", ok + "config: \xff\n", `t.yaml:4:9: not UTF-8 text, or a control character`},
		{"control character", ok + "config: {\x00}\n", `t.yaml:4:10: not UTF-8 text, or a control character`},
		{"parser error", ok + "parts: [1, 2\non: true\n", `t.yaml:4: not valid YAML: did not find expected ',' or ']'`},
		{"key after list", ok + "- a\n", `t.yaml:4: not valid YAML: did not find expected key`},
		{"scanner error", ok + "a: b: c\n", `t.yaml:4: not valid YAML: mapping values are not allowed in this context`},
		{"tab", ok + "parts:\n\t- a\n", `t.yaml:5: not valid YAML: found character that cannot start any token`},
		{"error on the first line", "a: b: c", `t.yaml:1: not valid YAML: mapping values are not allowed in this context`},
		{"open quote", ok + "on: 'x\n", `t.yaml:4: not valid YAML: found unexpected end of stream`},
		{"unknown alias", ok + "config: *x\n", `t.yaml:4: not valid YAML: unknown anchor 'x' referenced`},
		{"wrong kind", "apiVersion: v1\nkind: Stack\ncolor: red\n", `t.yaml:2:7: kind: must be "Thing" here, but is "Stack"`},
		{"wrong version", "apiVersion: v2\nkind: Thing\ncolor: red\n", `t.yaml:1:13: apiVersion: must be "v1" here, but is "v2"`},
		{"no header", "name: n\n", "t.yaml:1:1: apiVersion: the key is missing\nt.yaml:1:1: kind: the key is missing"},
		{"misspelt keys", head + "nmae: n\nevery: 1s\ncoutn: 1\ncolour: red\n",
			`t.yaml:3:1: nmae: unknown key "nmae", did you mean "name"?
t.yaml:5:1: coutn: unknown key "coutn", did you mean "count"?
t.yaml:6:1: colour: unknown key "colour", known here: apiVersion, kind, name, count, seed, on, size, every, config, parts`},
		{"below a misspelt key", ok + "prats:\n  - {name: p, words: 7}\n  - {nmae: q, words: []}\n",
			`t.yaml:4:1: prats: unknown key "prats", did you mean "parts"?
t.yaml:5:22: prats[0].words: must be a list, but is "7"
t.yaml:6:6: prats[1].nmae: unknown key "nmae", did you mean "name"?`},
		{"below a misspelt key that is there too", ok + "parts: []\nprats: [7]\n", `t.yaml:5:1: prats: unknown key "prats", did you mean "parts"?`},
		{"missing in a list", ok + "parts:\n  - words: [a]\n", `t.yaml:5:5: parts[0].name: the key is missing`},
		{"duplicate", ok + "name: m\nconfig:\n  a: 1\n  a: 2\n",
			"t.yaml:4:1: name: the key stands here a second time, the first is on line 3\nt.yaml:7:3: config.a: the key stands here a second time, the first is on line 6"},
		{"not text", head + "name: 11.0\nparts: [{name: 2026-11-20}, {name: true}, {name: [a]}, {name: }]\n",
			`t.yaml:3:7: name: must be text, but 11.0 is read as a number: put it in quotes
t.yaml:4:16: parts[0].name: must be text, but 2026-11-20 is read as a date: put it in quotes
t.yaml:4:36: parts[1].name: must be text, but true is read as true or false: put it in quotes
t.yaml:4:50: parts[2].name: must be one plain value, but is a list
t.yaml:4:63: parts[3].name: has no value`},
		{"not a number", ok + "count: \"5\"\nseed: 0x10\n",
			`t.yaml:4:8: count: must be a whole number in plain digits, but is text: leave out the quotes
t.yaml:5:7: seed: must be a whole number in plain digits, but is "0x10"`},
		{"out of range", ok + "count: 40000\nseed: -1\n",
			`t.yaml:4:8: count: "40000" does not fit: it must lie between -32768 and 32767
t.yaml:5:7: seed: "-1" does not fit: it must lie between 0 and 18446744073709551615`},
		{"units", ok + "size: 80K\nevery: 37\n",
			`t.yaml:4:7: size: "80K" has no known unit, did you mean 80kB? a size is written as 80kB, 4MiB or 2500Gi
t.yaml:5:8: every: "37" has no unit: a duration is written as 37s or 1m30s`},
		{"bool", ok + "on: yes\n", `t.yaml:4:5: on: must be true or false, but is "yes"`},
		{"shapes", ok + "config: [a]\nparts: {a: b}\n",
			"t.yaml:4:9: config: must be a mapping of keys to values, but is a list\nt.yaml:5:8: parts: must be a list, but is a mapping"},
		{"item shapes", ok + "parts: [a, [b]]\nconfig: {a: [1], b: {c: d}, e: }\n",
			`t.yaml:4:9: parts[0]: must be a mapping of keys to values, but is "a"
t.yaml:4:12: parts[1]: must be a mapping of keys to values, but is a list
t.yaml:5:13: config.a: must be one plain value, but is a list
t.yaml:5:21: config.b: must be one plain value, but is a mapping
t.yaml:5:32: config.e: has no value`},
		{"anchors", ok + "parts: [&x {name: a}, *x]\nconfig: {<<: {a: b}}\n",
			`t.yaml:4:9: parts[0]: anchors (&x) are not supported: write the value out where it is needed
t.yaml:4:23: parts[1]: aliases (*x) are not supported: write the value out
t.yaml:5:10: config: merge keys (<<) are not supported: write the values out`},
		{"tags", head + "name: !secret n\nconfig: {a: !!binary aGk=}\n",
			`t.yaml:3:7: name: the tag !secret is not supported
t.yaml:4:13: config.a: must be one plain value, but is "aGk="`},
		{"keys", ok + "config: {1: a, [b]: c, true: d}\n",
			`t.yaml:4:10: config: a key must be a word, but is "1"
t.yaml:4:16: config: a key must be a word, but is a list
t.yaml:4:24: config: a key must be a word, but is "true"`},
		{"long", ok + "on: " + strings.Repeat("x", 200) + "\n",
			`t.yaml:4:5: on: must be true or false, but is "` + strings.Repeat("x", 60) + `…"`},
		{"huge", strings.Repeat("#", strictyaml.MaxSize+1),
			`t.yaml:1:1: the file has 1048577 bytes, more than the 1048576 that a file of this kind may have`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, r := decode(test.text)
			err := r.Err()
			var problems *strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			if err.Error() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestSound(t *testing.T) {
	t.Parallel()
	_, r := decode(head + "nmae: n\ncount: x\nparts: [{name: a}, {name: 1}]\n")
	for path, want := range map[string]bool{
		"name": false, "count": false, "size": true, "kind": true,
		"parts": false, "parts[0]": true, "parts[1]": false, "parts[1].name": false, "parts[1].name.x": false,
		"parts[1].words": true, "parts[10]": true, "part": true, "": false,
	} {
		if got := r.Sound(path); got != want {
			t.Errorf("Sound(%q) is %t", path, got)
		}
	}
	if r.Sound("size", "count") {
		t.Error("one of two is not sound")
	}
}

func TestReportWithoutFile(t *testing.T) {
	t.Parallel()
	r := strictyaml.NewReport("environment")
	if r.Err() != nil || !r.Sound("X") {
		t.Error("a new report has problems")
	}
	r.Addf("X", "no %s", "good")
	if got := r.Err().Error(); got != "environment: X: no good" {
		t.Error(got)
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "80kB": 80_000, "80 kB": 80_000, "64KiB": 65_536, "4MiB": 4 << 20,
		"1.5GB": 1_500_000_000, "0.5KiB": 512, "2500Gi": 2500 << 30, "35Ti": 35 << 40, "1PB": 1e15,
		"9223372036854775807": math.MaxInt64,
	} {
		if got, err := strictyaml.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                     `"" is not a size: a size is written as 80kB, 4MiB or 2500Gi`,
		"-1kB":                 `"-1kB" is not a size: a size is written as 80kB, 4MiB or 2500Gi`,
		"1e3":                  `"1e3" is not a size: a size is written as 80kB, 4MiB or 2500Gi`,
		"80KB":                 `"80KB" has no known unit, did you mean 80kB? a size is written as 80kB, 4MiB or 2500Gi`,
		"80parsec":             `"80parsec" has no known unit: a size is written as 80kB, 4MiB or 2500Gi`,
		"1.5B":                 `"1.5B" is not a whole number of bytes`,
		"9223372036854775808":  `"9223372036854775808" is more than 8 EiB`,
		"99999999999999PiB":    `"99999999999999PiB" is more than 8 EiB`,
		"11111111111111111111": `"11111111111111111111" is not a size: a size is written as 80kB, 4MiB or 2500Gi`,
	} {
		if got, err := strictyaml.ParseSize(text); err == nil || err.Error() != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %s", text, got, err, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]string{
		0: "0B", 1: "1B", 80_000: "80kB", 65_536: "64KiB", 4 << 20: "4MiB", 1001: "1001B",
		1_500_000: "1500kB", math.MaxInt64: "9223372036854775807B", math.MinInt64: "-8192PiB",
	} {
		got := strictyaml.FormatSize(size)
		if got != want {
			t.Errorf("FormatSize(%d) = %s, want %s", size, got, want)
		}
		if back, err := strictyaml.ParseSize(got); size >= 0 && (err != nil || back != size) {
			t.Errorf("ParseSize(%s) = %d, %v", got, back, err)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	candidates := []string{"kafka", "registry", "simulator", "on"}
	for word, want := range map[string]string{
		"kafka": "kafka", "kafak": "kafka", "Kafka": "kafka", "kafk": "kafka", "akfka": "kafka",
		"registery": "registry", "simulation": "simulator", "broker": "", "": "", "no": "on", "xy": "",
		strings.Repeat("kafka", 1000): "",
	} {
		if got := strictyaml.Nearest(word, candidates); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		head + "name: n\nparts: [{name: a, words: [b]}]\nsize: 1.5kB\nevery: 1s\nconfig: {a: 1}\n",
		head + "name: &x n\nparts: [*x, <<: *x]\n", "a: {b: [", "--- |\n x\n...\n---\n", "? [a]\n: b\n", "%YAML 1.1\n---\n!!map {a: b}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var out thing
		r := strictyaml.Decode("f.yaml", data, strictyaml.Header{APIVersion: "v1", Kind: "Thing"}, &out)
		err := r.Err()
		if err == nil {
			if out.Kind != "Thing" || out.APIVersion != "v1" {
				t.Fatalf("no problem, but %+v", out)
			}
			return
		}
		var problems *strictyaml.Problems
		if !errors.As(err, &problems) {
			t.Fatal(err)
		}
		lines := 1 + strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data)), "\n")
		if !slices.IsSortedFunc(problems.List, func(a, b strictyaml.Problem) int { return a.Line - b.Line }) {
			t.Error("not sorted")
		}
		for _, p := range problems.List {
			if p.Line < 1 || p.Line > lines || p.Message == "" {
				t.Fatalf("%+v in a file of %d lines", p, lines)
			}
		}
	})
}

// A missing key counts as its default says; a default never hides a problem.
func TestDefaults(t *testing.T) {
	t.Parallel()
	type inner struct {
		Size  int64         `yaml:"size" unit:"bytes" default:"80kB"`
		Every time.Duration `yaml:"every" default:"37s"`
	}
	type outer struct {
		APIVersion string  `yaml:"apiVersion"`
		Kind       string  `yaml:"kind"`
		Version    string  `yaml:"version" default:"11.0"`
		Seed       uint64  `yaml:"seed" default:"1"`
		On         bool    `yaml:"on" default:"true"`
		One        inner   `yaml:"one"`
		Maybe      inner   `yaml:"maybe,omitempty"`
		Many       []inner `yaml:"many"`
	}
	read := func(text string) (out outer, err error) {
		return out, strictyaml.Decode("t.yaml", []byte(head+text), strictyaml.Header{APIVersion: "v1", Kind: "Thing"}, &out).Err()
	}
	got, err := read("one: {}\nmany: [{}, {size: 1kB}]\n")
	fresh := inner{80000, 37 * time.Second}
	if want := (outer{"v1", "Thing", "11.0", 1, true, fresh, inner{}, []inner{fresh, {1000, 37 * time.Second}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = read("version: \"1\"\nseed: 0\non: false\none: {every: 1s}\nmaybe: {}\nmany: []\n"); err != nil || got.Version != "1" || got.Seed != 0 || got.On ||
		got.One.Every != time.Second || got.Maybe != fresh {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err = read("sed: 3\none: {size: }\nmany: []\n"); err == nil || err.Error() != "t.yaml:3:1: sed: unknown key \"sed\", did you mean \"seed\"?\nt.yaml:4:13: one.size: has no value" {
		t.Errorf("got %v", err)
	}
}
