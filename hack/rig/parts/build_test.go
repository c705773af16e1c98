package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// fakeMaven puts a script named mvn before everything else on the PATH. It
// finds the folder for jars in $OUT.
func fakeMaven(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) OUT=${word#*=};; esac; done\n" + script
	if err := os.WriteFile(filepath.Join(dir, "mvn"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// orchard is a pins file with two Maven parts.
const orchard = `apiVersion: alertlab/v1alpha1
kind: RigParts
epoch: 1760000000
mavenPlugin: org.example:copy:1.0
lines: []
parts:
  - {name: pear, version: "1", licence: MIT, maven: {artifacts: ["org.example:pear:1"], exclude: ["org.example:stone"]}}
  - {name: plum, version: "2", licence: MIT, maven: {artifacts: ["org.example:plum:2"]}}
`

func newBuilder(t *testing.T, pins *Pins, events *[]Progress) *builder {
	t.Helper()
	b := &builder{
		pins: pins, store: Open(t.TempDir()), parts: map[string]Part{}, keys: map[string]string{}, jobs: 1, lanes: 1,
		onProgress: func(p Progress) { *events = append(*events, p) },
	}
	for _, name := range pins.Names() {
		key, err := pins.Key(name)
		if err != nil {
			t.Fatal(err)
		}
		b.keys[name] = key
	}
	return b
}

func summary(events []Progress) string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprint(e.Part, " ", e.State))
	}
	return strings.Join(list, ", ")
}

func TestBuild(t *testing.T) {
	fakeMaven(t, `mkdir -p "$OUT"; grep -o "<artifactId>p[a-z]*" pom.xml > "$OUT/a.jar"`)
	pins := parsed(t, orchard)
	var events []Progress
	b := newBuilder(t, pins, &events)
	if missing := b.lookup(pins.Names()); !slices.Equal(missing, []string{"pear", "plum"}) {
		t.Fatalf("missing are %v", missing)
	}
	if err := b.buildAll(t.Context(), pins.Names()); err != nil {
		t.Fatal(fault.Text(err))
	}
	if got, want := summary(events), "pear started, pear done, plum started, plum done"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	events = nil
	part := b.parts["plum"]
	if file, err := part.Path("lib/a.jar"); err != nil || part.Version != "2" || part.Pins.Maven.Artifacts[0] != "org.example:plum:2" {
		t.Errorf("got %+v, %q, %v", part, file, err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.store.dir, "parts", "*", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Everything is there now, so nothing is checked, locked or built.
	built, err := Build(t.Context(), Options{Pins: pins, Store: b.store, Report: b.onProgress})
	if err != nil || len(built) != 2 || summary(events) != "pear present, plum present" || events[0].Took != built["pear"].Took {
		t.Errorf("got %v, %v, %s", built, err, summary(events))
	}
}

func TestBuildFails(t *testing.T) {
	for name, test := range map[string]struct{ script, want, next string }{
		"fails":      {"seq 30; echo no such plugin >&2; exit 3", "exit status 3; the end of its output:\n20\n", "read "},
		"no network": {"echo 'Could not transfer artifact x: Unknown host' >&2; exit 1", "registry of Maven artifacts did not give", "settings.xml"},
		"disk full":  {"echo 'write: no space left on device' >&2; exit 1", "for want of room", "ALERTLAB_RIG_CACHE"},
		"killed":     {"kill -9 $$", "for want of memory", "what is complete is kept"},
		"no files":   {"true", "the build left no files", "read "},
	} {
		t.Run(name, func(t *testing.T) {
			fakeMaven(t, test.script+"\n")
			pins := parsed(t, orchard)
			var events []Progress
			b := newBuilder(t, pins, &events)
			err := b.buildAll(t.Context(), []string{"pear"})
			var f *fault.Fault
			if !errors.As(err, &f) || !strings.Contains(f.Error(), test.want) || !strings.Contains(f.Next, test.next) {
				t.Errorf("got %s", fault.Text(err))
			}
			if summary(events) != "pear started, pear failed" {
				t.Errorf("got %s", summary(events))
			}
			if left, _ := filepath.Glob(filepath.Join(b.store.dir, "parts", "pear", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A build that is interrupted ends with everything that it started, and what
// was complete stays.
func TestBuildInterrupted(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "child")
	t.Setenv("MARK", mark)
	fakeMaven(t, `mkdir -p "$OUT"; echo x > "$OUT/a.jar"
grep -q pear pom.xml && exit
(trap '' TERM; exec sleep 600) >/dev/null 2>&1 & echo $! > "$MARK.new"; mv "$MARK.new" "$MARK"; wait
`)
	pins := parsed(t, orchard)
	var events []Progress
	b := newBuilder(t, pins, &events)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- b.buildAll(ctx, pins.Names()) }()
	var child int
	waitFor(t, func() bool {
		text, err := os.ReadFile(mark)
		if err == nil {
			child, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waitFor(t, func() bool { return errors.Is(syscall.Kill(child, 0), syscall.ESRCH) || zombie(child) })
	if _, ok := b.store.Built("pear", b.keys["pear"]); !ok {
		t.Error("what was complete is gone")
	}
	if left, _ := filepath.Glob(filepath.Join(b.store.dir, "parts", "plum", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// zombie tells whether a process has ended, and only its parent, which may be
// none that cares, does not know yet.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen in 20 s")
		case <-ticker.C:
		}
	}
}

func TestProjectFile(t *testing.T) {
	pin, _ := parsed(t, orchard).Part("pear")
	got, err := projectFile(pin.Maven)
	if err != nil {
		t.Fatal(err)
	}
	want := `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>alertlab</groupId>
  <artifactId>parts</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.example</groupId>
      <artifactId>pear</artifactId>
      <version>1</version>
      <exclusions>
        <exclusion>
          <groupId>org.example</groupId>
          <artifactId>stone</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
  </dependencies>
</project>`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSpace(t *testing.T) {
	for name, test := range map[string]struct {
		space  Space
		need   int64
		disk   string
		memory string
	}{
		"enough":        {Space{Dir: "/c", Disk: 15e9, Memory: 8e9}, 15e9, "", ""},
		"small":         {Space{Dir: "/c", Disk: 14.9e9, Memory: 8e9}, 15e9, "/c has 14.9 GB free, and building takes 15.0 GB", ""},
		"little memory": {Space{Dir: "/c", Disk: 15e9, Memory: 7.9e9}, 15e9, "", "it has 7.9 GB"},
	} {
		for _, one := range []struct {
			err  error
			want string
		}{{test.space.CheckDisk(test.need), test.disk}, {test.space.CheckMemory(), test.memory}} {
			if one.want == "" && one.err != nil || one.want != "" && (one.err == nil || !strings.Contains(one.err.Error(), one.want)) {
				t.Errorf("%s: got %v, want %q", name, one.err, one.want)
			}
		}
	}
}

func TestRoom(t *testing.T) {
	space, err := Room(filepath.Join(t.TempDir(), "not", "there"))
	if err != nil || space.Disk <= 0 || space.Memory <= 0 || space.Available <= 0 || space.Available > space.Memory {
		t.Errorf("got %+v, %v", space, err)
	}
}

// The two largest lines of those that are missing decide.
func TestNeed(t *testing.T) {
	pins := &Pins{doc: document{
		Lines: []Line{{Name: "large", Disk: 5000}, {Name: "small", Disk: 500}, {Name: "middle", Disk: 2000}},
		Parts: []Pin{
			{Name: "own", Go: GoPin{Line: MainLine}}, {Name: "a", Go: GoPin{Line: "large"}}, {Name: "b", Go: GoPin{Line: "large"}},
			{Name: "c", Go: GoPin{Line: "small"}}, {Name: "d", Go: GoPin{Line: "middle"}}, {Name: "root", Debian: DebianPin{Suite: "x"}},
		},
	}}
	for names, want := range map[string]Need{
		"":                 {},
		"root":             {needOutput, needOutput},
		"a b":              {needOutput + 5e9, needOutput + 5e9},
		"own c":            {needOutput + needMain + .5e9, needOutput + needMain + .5e9},
		"own a b c d root": {needOutput + 7e9, needOutput + needMain + 7.5e9},
	} {
		if got := pins.Need(strings.Fields(names)); got != want {
			t.Errorf("%q: got %+v, want %+v", names, got, want)
		}
	}
}

// Where not all caches fit, those of a line go when it is built.
func TestDrop(t *testing.T) {
	b := &builder{store: Open(t.TempDir())}
	file := filepath.Join(b.store.buildDir("one"), "gocache", "x")
	other := filepath.Join(b.store.buildDir("two"), "gocache", "x")
	write(t, file, "x")
	write(t, other, "x")
	pin := Pin{Go: GoPin{Line: "one"}}
	if !slices.Contains(b.goEnv(pin), "GOCACHE="+filepath.Join(b.store.Dir(), "build", "gocache")) {
		t.Errorf("with room: %v", b.goEnv(pin))
	}
	if err := b.drop("one"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("with room, the caches are gone: %v", err)
	}
	b.frugal = true
	var note string
	b.onProgress = func(p Progress) { note = p.Text }
	if !slices.Contains(b.goEnv(pin), "GOCACHE="+filepath.Dir(file)) {
		t.Errorf("without room: %v", b.goEnv(pin))
	}
	for range 2 { // the second time there is nothing
		if err := b.drop("one"); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) || !strings.Contains(note, "line one") {
		t.Errorf("without room, the caches are there: %v, %q", err, note)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another line's caches: %v", err)
	}
}

func TestMemory(t *testing.T) {
	total, available, err := memory(strings.NewReader("MemTotal:       24685048 kB\nMemFree: 1 kB\nMemAvailable:   23068672 kB\nHugePages_Total:       0\n"))
	if err != nil || total != 24685048*1024 || available != 23068672*1024 {
		t.Errorf("got %d, %d, %v", total, available, err)
	}
	for _, bad := range []string{"", "MemTotal: 5 kB\n", "MemTotal: x kB\n"} {
		if _, _, err := memory(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestTakeCRDs(t *testing.T) {
	const text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: NAME\n  labels:\n    app: '{{ .Release.Name }}'\nspec:\n  group: GROUP\n"
	crd := func(name, group string) string {
		return strings.NewReplacer("NAME", name, "GROUP", group).Replace(text)
	}
	for name, test := range map[string]struct {
		pin  CRDPin
		want []string
	}{
		"all":       {CRDPin{}, []string{"a.x.io.yaml", "b.y.io.yaml"}},
		"one group": {CRDPin{Groups: []string{"y.io"}}, []string{"b.y.io.yaml"}},
		"published": {CRDPin{Published: "x/*.yaml"}, []string{"a.x.io.yaml", "b.y.io.yaml"}},
		"none":      {CRDPin{Groups: []string{"z.io"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			from, into := t.TempDir(), t.TempDir()
			write(t, filepath.Join(from, "one.yaml"), crd("a.x.io", "x.io"))
			write(t, filepath.Join(from, "two.yaml"), crd("b.y.io", "y.io"))
			write(t, filepath.Join(from, "list.yaml"), "kind: Kustomization\n")
			if err := takeCRDs(test.pin, from, into); (err == nil) != (test.want != nil) {
				t.Fatalf("got %v", err)
			}
			files, err := filepath.Glob(filepath.Join(into, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for i, file := range files {
				files[i] = filepath.Base(file)
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(string(data), "labels"); got == (test.pin.Published != "") {
					t.Errorf("%s:\n%s", file, data)
				}
			}
			if !slices.Equal(files, test.want) {
				t.Errorf("got %v, want %v", files, test.want)
			}
		})
	}
}

func TestTail(t *testing.T) {
	end := new(tail)
	for i := range 2000 {
		fmt.Fprintf(end, "line %d\n", i)
	}
	lines := strings.Split(end.String(), "\n")
	if len(lines) != tailLines || lines[tailLines-1] != "line 1999" || lines[0] != "line 1988" {
		t.Errorf("got %q", lines)
	}
}
