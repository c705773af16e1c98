package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alertlab/alertlab/lab/plan"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	input := `{"a":"${kafka.bootstrap}","b":["http://${metallb.broker.6.address}:9094","${kafka.bootstrap}"],
		"kafka's own, not ours":"${file:/etc/pw:key} ${env:HOME}","neither":"${kafka} $kafka.bootstrap ${Kafka.x}"}`
	got := plan.References(json.RawMessage(input))
	want := []plan.Reference{{Part: "kafka", Output: "bootstrap"}, {Part: "metallb", Output: "broker.6.address"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := want[1].String(); s != "${metallb.broker.6.address}" {
		t.Errorf("it is written %s", s)
	}
	if refs := plan.References(nil); refs != nil {
		t.Errorf("an empty input refers to %v", refs)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	given := map[string]map[string]string{"kafka": {
		"bootstrap": "127.0.0.10:9094",
		"quoted":    "say \"hi\"\\\n<&>",
		"reference": "${kafka.bootstrap}",
	}}
	tests := map[string]struct{ in, want, err string }{
		"none":          {in: `{"a":1}`, want: `{"a":1}`},
		"in the middle": {in: `{"a":"x ${kafka.bootstrap} y"}`, want: `{"a":"x 127.0.0.10:9094 y"}`},
		"twice":         {in: `["${kafka.bootstrap}${kafka.bootstrap}"]`, want: `["127.0.0.10:9094127.0.0.10:9094"]`},
		"escaped":       {in: `{"a":"${kafka.quoted}"}`, want: `{"a":"say \"hi\"\\\n\u003c\u0026\u003e"}`},
		// A value is a value: what looks like a reference in it is none.
		"once only": {in: `{"a":"${kafka.reference}"}`, want: `{"a":"${kafka.bootstrap}"}`},
		"missing":   {in: `{"a":"${kafka.none}","b":"${nobody.x} ${kafka.bootstrap}"}`, err: "no value for ${kafka.none}, ${nobody.x}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := plan.Resolve(json.RawMessage(test.in), given)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
			if !json.Valid(got) {
				t.Errorf("%s is not JSON", got)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from, to string
		want     []string
	}{
		"equal but written otherwise": {`{"a":1,"b":[1,2]}`, "{ \"b\": [1, 2],\n \"a\": 1 }", nil},
		"value":                       {`{"a":{"b":"x"}}`, `{"a":{"b":"y"}}`, []string{`a.b "x" -> "y"`}},
		"added, dropped, in order":    {`{"z":1,"m":1}`, `{"a":1,"m":1}`, []string{"a added: 1", "z dropped: 1"}},
		"kind":                        {`{"a":[1]}`, `{"a":{"b":1}}`, []string{`a [1] -> {"b":1}`}},
		"null":                        {`{"a":null}`, `{"a":[]}`, []string{`a null -> []`}},
		"64 bits":                     {`{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{"a 9007199254740993 -> 9007199254740992"}},
		"list by place":               {`{"ids":[1,2]}`, `{"ids":[1,3,4]}`, []string{"ids[1] 2 -> 3", "ids[2] added: 4"}},
		"shorter list":                {`{"ids":[1,2]}`, `{"ids":[1]}`, []string{"ids[1] dropped: 2"}},
		"list by name": {`{"topics":[{"name":"a","partitions":1},{"name":"b","partitions":12}]}`,
			`{"topics":[{"name":"new","partitions":3},{"name":"b","partitions":24},{"name":"a","partitions":1}]}`,
			[]string{"topics.b.partitions 12 -> 24", `topics.new added: {"partitions":3}`}},
		"list with a name twice": {`[{"name":"a","n":1},{"name":"a","n":2}]`, `[{"name":"a","n":1},{"name":"a","n":3}]`, []string{"[1].n 2 -> 3"}},
		"long values are cut":    {`{"a":"` + strings.Repeat("é", 100) + `"}`, `{"a":1}`, []string{`a "` + strings.Repeat("é", 56) + `... -> 1`}},
		"shown as they are":      {`{"a":"x&y"}`, `{"a":"<z>"}`, []string{`a "x&y" -> "<z>"`}},
		"not JSON":               {`{"a":`, `{"a":1}`, []string{"the input changed"}},
		"equally not JSON":       {`{"a":`, `{"a":`, nil},
		"nothing":                {``, ``, nil},
		"something from nothing": {``, `{"a":1}`, []string{"the input changed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plan.Diff(json.RawMessage(test.from), json.RawMessage(test.to))
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Inputs come from code, Applied comes from a file that a person may have edited.
func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":[{"name":"x"},{"name":"y"}]}`), []byte(`{"a":[{"name":"y"},{"name":"x","b":null}]}`))
	f.Add([]byte(`[1,{"a":{}}]`), []byte(`[{"a":[]},1]`))
	f.Add([]byte(`{`), []byte(``))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if d := plan.Diff(a, a); len(d) != 0 {
			t.Errorf("%q differs from itself: %q", a, d)
		}
		there, back := plan.Diff(a, b), plan.Diff(b, a)
		if len(there) != len(back) {
			t.Errorf("%q to %q: %q, and back: %q", a, b, there, back)
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("127.0.0.1:9094")
	f.Add("a\"b\\c\x00\n${kafka.bootstrap}\xff")
	f.Fuzz(func(t *testing.T, value string) {
		out, err := plan.Resolve(json.RawMessage(`{"at":"<${kafka.bootstrap}>"}`), map[string]map[string]string{"kafka": {"bootstrap": value}})
		if err != nil {
			t.Fatal(err)
		}
		var in struct{ At string }
		if err := json.Unmarshal(out, &in); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if want := "<" + value + ">"; utf8.ValidString(value) && in.At != want {
			t.Errorf("%q became %q", value, in.At)
		}
	})
}
