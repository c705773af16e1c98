package registry

import (
	"strings"
	"testing"
)

func TestNormalForm(t *testing.T) {
	t.Parallel()
	const base = `{"type":"record","name":"a.R","fields":[{"name":"x","type":["null","long"],"default":null}]}`
	for _, test := range []struct {
		name string
		text string
		same bool
	}{
		{"itself", base, true},
		{"layout", " " + strings.ReplaceAll(base, ",", " , "), true},
		{"order of attributes", `{"name":"a.R","fields":[{"default":null,"type":["null","long"],"name":"x"}],"type":"record"}`, true},
		{"namespace apart", `{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":["null","long"],"default":null}]}`, true},
		{"long form of a primitive", strings.Replace(base, `"long"`, `{"type":"long"}`, 1), true},
		{"another namespace", strings.Replace(base, "a.R", "b.R", 1), false},
		{"no default", strings.Replace(base, `,"default":null`, "", 1), false},
		{"doc", strings.Replace(base, `"name":"a.R"`, `"name":"a.R","doc":"d"`, 1), false},
		{"alias", strings.Replace(base, `"name":"a.R"`, `"name":"a.R","aliases":["a.S"]`, 1), false},
		{"logical type", strings.Replace(base, `"long"`, `{"type":"long","logicalType":"timestamp-millis"}`, 1), false},
		{"property", strings.Replace(base, `"name":"x"`, `"name":"x","units":"deg"`, 1), false},
		{"order of a union", strings.Replace(base, `["null","long"],"default":null`, `["long","null"]`, 1), false},
	} {
		var forms normalForms
		if got := forms.same(base, test.text); got != test.same {
			t.Errorf("%s: same is %v", test.name, got)
		}
		if got := forms.same(test.text, base); got != test.same {
			t.Errorf("%s: same the other way round is %v", test.name, got)
		}
	}
	var forms normalForms
	if forms.same("{", "[") || !forms.same("{", "{") {
		t.Error("what is no schema must be equal to itself only")
	}
}

func TestNormalFormsAreBounded(t *testing.T) {
	t.Parallel()
	var forms normalForms
	for i := range maxNormalForms + 2 {
		if _, err := forms.of(content{Text: `"long"`, References: []Reference{{Version: i}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(forms.known); n > maxNormalForms {
		t.Errorf("%d are kept", n)
	}
}

// FuzzContent feeds the parser what anyone may post.
func FuzzContent(f *testing.F) {
	for _, seed := range []string{
		``, `"long"`, `["null","string"]`, `{"type":"fixed","name":"F","size":-1}`, `{"type":"enum","name":"E","symbols":["A"],"default":"B"}`,
		`{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"],"default":null}]}`,
		`{"type":"record","name":"R","namespace":5,"fields":{}}`, `{"type":"bytes","logicalType":"decimal","precision":1e400}`,
		`{"type":{"type":{"type":"array"}},"items":null}`, `[[]]`, `5`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var forms normalForms
		form, err := forms.of(content{Text: text})
		if err != nil {
			if len(err.Error()) > 2*maxCause {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !forms.same(text, " "+text) {
			t.Error("a blank makes another schema")
		}
		schema, err := content{Text: text}.parse()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := normalForm(content{Text: text}, schema); err != nil || again != form {
			t.Errorf("parsed again it is another schema: %v", err)
		}
		if reasons := checkCompatible(CompatibilityFull, schema, []previous{{Version: 1, Content: content{Text: text}}}); len(reasons) > 0 {
			t.Errorf("incompatible with itself: %s", reasons)
		}
	})
}

// FuzzApply feeds the state what anyone who may write the topic could have
// written, and checks that ids and versions stay consistent.
func FuzzApply(f *testing.F) {
	f.Add(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"id":1,"schema":"\"long\""}`, `{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}`, `{"version":1}`)
	f.Add(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"id":1}`, `{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"id":2}`)
	f.Add(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"id":1,"deleted":true}`, `{"keytype":"CLEAR_SUBJECT","magic":0}`, `{}`)
	f.Add(`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{}`, `{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, ``)
	f.Add(`{"keytype":"MODE","magic":0}`, `null`, `{"keytype":"CONFIG"}`, `[]`)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		s := newState()
		// What is not understood is an error and changes nothing; only the
		// consistency below is asked for here.
		_ = s.apply([]byte(key1), []byte(value1))
		_ = s.apply([]byte(key2), []byte(value2))
		_ = s.apply([]byte(key1), []byte(value1))
		held := 0
		for id, versions := range s.ids {
			held += len(versions)
			for _, v := range versions {
				if v.ID != id || s.subjects[v.Subject][v.Version] != v {
					t.Errorf("id %d is held by %+v, which is not there", id, v)
				}
			}
		}
		registered := 0
		for subject, versions := range s.subjects {
			if len(versions) == 0 {
				t.Errorf("subject %q is empty", subject)
			}
			registered += len(versions)
		}
		if held != registered {
			t.Errorf("%d versions hold ids, %d are registered", held, registered)
		}
	})
}
