package runc_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/hack/rig/runc"
)

// document reads JSON with numbers as they were written.
func document(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// want makes the edits on a decoded process, in the plainest way.
func want(process map[string]any) {
	if v, ok := process["rlimits"]; ok && v != nil {
		delete(process, "rlimits")
	}
	if n, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(n.String(), "-") {
		process["oomScoreAdj"] = json.Number("0")
	}
	sets, _ := process["capabilities"].(map[string]any)
	for name, set := range sets {
		if list, ok := set.([]any); ok {
			sets[name] = slices.DeleteFunc(list, func(c any) bool { return c == runc.Denied })
		}
	}
}

// The samples are what runc spec writes, and what dockerd 20.10 with containerd
// 1.6 wrote for a plain container with limits, a privileged one, and execs.
func TestSamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	touched := 0
	for _, file := range files {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		edit := runc.Config
		if strings.HasSuffix(file, ".process.json") {
			edit = runc.Process
		}
		after, err := edit(before)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		expected := document(t, before)
		if strings.HasSuffix(file, ".process.json") {
			want(expected)
		} else {
			want(expected["process"].(map[string]any))
		}
		if got := document(t, after); !reflect.DeepEqual(got, expected) {
			t.Errorf("%s became\n%s", file, after)
		}
		if bytes.Contains(after, []byte(runc.Denied)) {
			t.Errorf("%s still has the capability", file)
		}
		if !bytes.Equal(before, after) {
			touched++
		}
		if again, err := edit(after); err != nil || !bytes.Equal(again, after) {
			t.Errorf("%s: a second edit changed it again, %v", file, err)
		}
	}
	if touched != 6 { // runc spec sets a limit of open files too
		t.Errorf("%d samples were changed", touched)
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, out string }{
		"nothing to do":         {`{ "args": ["a"] }`, `{ "args": ["a"] }`},
		"limits":                {`{"args":["a"], "rlimits": [{"type":"RLIMIT_NOFILE","hard":1,"soft":1}], "cwd":"/"}`, `{"args":["a"],"cwd":"/"}`},
		"limits alone":          {`{"rlimits":[]}`, `{}`},
		"null limits":           {`{"rlimits":null}`, `{"rlimits":null}`},
		"score":                 {`{"oomScoreAdj":-998}`, `{"oomScoreAdj":0}`},
		"score that may stay":   {`{"oomScoreAdj":1000}`, `{"oomScoreAdj":1000}`},
		"large numbers":         {`{"oomScoreAdj":-1,"x":18446744073709551615,"y":1.0e300}`, `{"oomScoreAdj":0,"x":18446744073709551615,"y":1.0e300}`},
		"one capability":        {`{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}`, `{"capabilities":{"bounding":[]}}`},
		"in the middle":         {`{"capabilities":{"effective":["CAP_A","CAP_SYS_RESOURCE","CAP_B"],"ambient":["CAP_A"]}}`, `{"capabilities":{"effective":["CAP_A","CAP_B"],"ambient":["CAP_A"]}}`},
		"twice, in another set": {`{"capabilities":{"future":["CAP_SYS_RESOURCE","cap_sys_resource"]}}`, `{"capabilities":{"future":[]}}`},
		"null capabilities":     {`{"capabilities":null}`, `{"capabilities":null}`},
		"a null set":            {`{"capabilities":{"ambient":null}}`, `{"capabilities":{"ambient":null}}`},
		"names of another case": {`{"OOMScoreAdj":-5,"RLimits":[1]}`, `{"OOMScoreAdj":0}`},
		"escapes stay":          {`{"a\u0062":"<\u003e","rlimits":[]}`, `{"a\u0062":"<\u003e"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := runc.Process([]byte(test.in))
			if err != nil || string(got) != test.out {
				t.Errorf("%s became %s (%v), want %s", test.in, got, err, test.out)
			}
			config, err := runc.Config([]byte(`{"process":` + test.in + `}`))
			if err != nil || string(config) != `{"process":`+test.out+`}` {
				t.Errorf("in a config: %s (%v)", config, err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for in, word := range map[string]string{
		``:                                    "not JSON",
		`[]`:                                  "the document is no object",
		`{} {}`:                               "not JSON",
		`{"oomScoreAdj":"-1"}`:                `oomScoreAdj is "-1"`,
		`{"oomScoreAdj":-1e2}`:                "not a whole number",
		`{"capabilities":[]}`:                 "capabilities is no object",
		`{"capabilities":{"bounding":"all"}}`: "capabilities.bounding is no list",
		`{"rlimits":[],"Rlimits":[]}`:         "rlimits is there twice",
		`{"oomScoreAdj":0,"x":{},"oomScoreAdj":-100}`: "oomScoreAdj is there twice",
	} {
		if got, err := runc.Process([]byte(in)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s became %s, %v", in, got, err)
		}
	}
	if _, err := runc.Config([]byte(`{"process":{"capabilities":3}}`)); err == nil || !strings.Contains(err.Error(), "process.capabilities is no object") {
		t.Errorf("the path of what is wrong is missing: %v", err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]runc.Call{
		"":                         {},
		"--version":                {},
		"--root /r list":           {},
		"create c":                 {File: "config.json"},
		"create -b /b c":           {File: "/b/config.json"},
		"run --bundle=/b c":        {File: "/b/config.json"},
		"run -d -bundle /b c":      {File: "/b/config.json"},
		"create c --bundle /b":     {File: "/b/config.json"}, // runc takes flags after the words too
		"create -- c --bundle /b":  {File: "config.json"},
		"create -b /a -b /b c":     {File: "/b/config.json"},
		"--root create state c":    {}, // a value that reads as a command
		"--debug=true create c":    {File: "config.json"},
		"exec -t c sh":             {Exec: true},
		"exec -p /p c":             {File: "/p", Exec: true},
		"exec c sh --process /p":   {Exec: true}, // behind the container they are the command's
		"exec --process=/p -d c":   {File: "/p", Exec: true},
		"start --bundle /b c":      {},
		"restore --bundle /b c":    {},
		"kill --all c 9":           {},
		"update --cpu-shares 10 c": {},
		// As containerd's shim calls it.
		"--root /run/runc/moby --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid c":                                              {File: "/b/config.json", Log: "/b/log.json", LogFormat: "json"},
		"--root /run/runc/moby --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /t/pty.s c":   {File: "/b/config.json", Log: "/b/log.json", LogFormat: "json"},
		"--root /run/runc/moby --log /b/log.json --log-format json exec --process /run/runc-process1 --console-socket /t/pty.s --detach --pid-file /b/pid c": {File: "/run/runc-process1", Exec: true, Log: "/b/log.json", LogFormat: "json"},
		"--root /run/runc/moby --log /b/log.json --log-format json start c":                                                                                  {Log: "/b/log.json", LogFormat: "json"},
	} {
		got, err := runc.Read(strings.Fields(line))
		if err != nil || got != want {
			t.Errorf("runc %s: %+v, %v, want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"--new value create c", "create --new value c", "exec --new c", "create --bundle", "--log"} {
		if got, err := runc.Read(strings.Fields(line)); err == nil {
			t.Errorf("runc %s was taken for %+v", line, got)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o440} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte(`{"process":{"rlimits":[1]},"x":1}`), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		if err := (runc.Call{File: file}).Apply(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil || string(b) != `{"process":{},"x":1}` {
			t.Errorf("it holds %s, %v", b, err)
		}
		written, err := os.Stat(file)
		if err != nil || written.Mode() != mode {
			t.Errorf("mode %v became %v, %v", mode, written.Mode(), err)
		}
		if err := (runc.Call{File: file}).Apply(); err != nil {
			t.Fatal(err)
		}
		if same, err := os.Stat(file); err != nil || !os.SameFile(written, same) {
			t.Errorf("it was written again for nothing: %v", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := (runc.Call{File: filepath.Join(dir, "none")}).Apply(); err == nil {
		t.Error("a file that is not there was edited")
	}
	if err := os.WriteFile(file, []byte(`{"process":`), 0o600); err != nil && !os.IsPermission(err) {
		t.Fatal(err)
	}
	if err := (runc.Call{File: file}).Apply(); err == nil || !strings.HasPrefix(err.Error(), file+": ") {
		t.Errorf("a broken file: %v", err)
	}
	if err := (runc.Call{}).Apply(); err != nil {
		t.Error(err)
	}
}

// Whatever the document, the edit either fails or gives one in which the process
// asks for nothing that is denied, and the rest is what it was.
func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"process":{"capabilities":{"a":["CAP_SYS_RESOURCE",1,null]},"oomScoreAdj":-0,"rlimits":{}}, "linux" : {"x":1e9} }`))
	f.Fuzz(func(t *testing.T, before []byte) {
		after, err := runc.Config(before)
		if err != nil {
			return
		}
		// As runc reads it: names of any case, of several the last.
		var got struct {
			Process *struct {
				Capabilities map[string]json.RawMessage
				OOMScoreAdj  json.RawMessage
				Rlimits      json.RawMessage
			}
		}
		if err := json.Unmarshal(after, &got); err != nil {
			t.Fatalf("%s became %s: %v", before, after, err)
		}
		if p := got.Process; p != nil {
			if len(p.Rlimits) > 0 && string(p.Rlimits) != "null" {
				t.Errorf("limits are left in %s", after)
			}
			if bytes.HasPrefix(p.OOMScoreAdj, []byte("-")) && string(p.OOMScoreAdj) != "-0" {
				t.Errorf("the score is left in %s", after)
			}
			for _, set := range p.Capabilities {
				var list []any
				if json.Unmarshal(set, &list) == nil && slices.Contains(list, any(runc.Denied)) {
					t.Errorf("the capability is left in %s", after)
				}
			}
		}
		rest := func(b []byte) map[string]any {
			doc := document(t, b)
			maps.DeleteFunc(doc, func(name string, _ any) bool { return strings.EqualFold(name, "process") })
			return doc
		}
		if !reflect.DeepEqual(rest(before), rest(after)) {
			t.Errorf("%s became %s", before, after)
		}
		if again, err := runc.Config(after); err != nil || !bytes.Equal(again, after) {
			t.Errorf("a second edit of %s gives %s, %v", after, again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("--root /r --log /l create --bundle /b c")
	f.Add("exec --process /p c")
	f.Fuzz(func(t *testing.T, line string) {
		call, err := runc.Read(strings.Split(line, " "))
		if err == nil && call.File != "" && !call.Exec && filepath.Base(call.File) != "config.json" {
			t.Errorf("%q names %q", line, call.File)
		}
	})
}
