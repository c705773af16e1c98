package parts

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPickMirror(t *testing.T) {
	for name, test := range map[string]struct{ targets, want string }{
		"archive":      {"http://mirror.example/debian/|bookworm|main|Debian\n", "http://mirror.example/debian/"},
		"others first": {"https://x.example/apt|stable|main|Docker\nhttp://a.example/security/|bookworm-security|main|Debian\nhttp://b.example/d/|bookworm-updates|main|Debian\nhttp://b.example/d/|bookworm|main|Debian\n", "http://b.example/d/"},
		"not updated":  {"http://c.example/other|bookworm|main|$(ORIGIN)\nhttp://c.example/debian/|bookworm|main|$(ORIGIN)\n", "http://c.example/debian/"},
		"no main":      {"http://c.example/debian/|bookworm|contrib|Debian\n", ""},
		"a disc":       {"cdrom://debian/|bookworm|main|$(ORIGIN)\n", ""},
		"Ubuntu":       {"http://u.example/ubuntu/|noble|main|Ubuntu\n", ""},
		"nothing":      {"", ""},
	} {
		if got := pickMirror(test.targets); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestPackageList(t *testing.T) {
	got, err := packageList("lock\npartial\ntini_0.19.0-3+b8_amd64.deb\nbash_5.2.37-2+b5_amd64.deb\ngit_1%3a2.47.3-0+deb13u1_amd64.deb\n")
	if want := "bash 5.2.37-2+b5\ngit 1:2.47.3-0+deb13u1\ntini 0.19.0-3+b8\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "partial\n", "x.deb\n", "a_%zz_b.deb\n"} {
		if got, err := packageList(bad); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

const epoch = 1760000000

// entry is one entry of an archive, "path", "path/" or "path -> target", with
// "path => target" for a hard link.
type entry struct{ name, text string }

func archive(t *testing.T, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, e := range entries {
		h := &tar.Header{Name: "./" + e.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(e.text)), Uname: "root", ModTime: time.Unix(epoch+int64(i)-1, 5), Format: tar.FormatPAX}
		if name, target, ok := strings.Cut(h.Name, " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeSymlink
		}
		if name, target, ok := strings.Cut(h.Name, " => "); ok {
			h.Name, h.Linkname, h.Typeflag = name, "./"+target, tar.TypeLink
		}
		switch {
		case strings.HasSuffix(h.Name, "/"):
			h.Typeflag = tar.TypeDir
		case e.text == "device":
			h.Typeflag, h.Size, e.text = tar.TypeChar, 0, ""
		case e.text == "capable":
			h.PAXRecords = map[string]string{xattr + "security.capability": "x"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func filtered(t *testing.T, pin DebianPin, entries []entry) (map[string]*tar.Header, map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, archive(t, entries), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := filterRoot(t.Context(), from, to, pin, epoch); err != nil {
		return nil, nil, err
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	headers, texts := map[string]*tar.Header{}, map[string]string{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, texts, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := headers[h.Name]; twice {
			t.Errorf("%s is there twice", h.Name)
		}
		if up := filepath.Dir(strings.TrimSuffix(h.Name, "/")) + "/"; up != "./" && headers[up] == nil {
			t.Errorf("%s comes before its folder", h.Name)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name], texts[h.Name] = h, string(text)
	}
}

func TestFilterRoot(t *testing.T) {
	pin := DebianPin{Remove: []string{"usr/lib/*/perl*"}, Links: map[string]string{"usr/bin/sh": "bash", "usr/bin/java": "../lib/jvm-$arch/java"}}
	headers, texts, err := filtered(t, pin, []entry{
		{"", ""}, {"bin -> usr/bin", ""}, {"dev/", ""}, {"dev/null", "device"}, {"etc/", ""}, {"etc/passwd", "theirs"}, {"etc/apt/", ""}, {"etc/apt/sources.list", "deb x"},
		{"tmp/", ""}, {"tmp/left", "x"},
		{"usr/", ""}, {"usr/bin/", ""}, {"usr/bin/bash", "capable"}, {"usr/bin/rbash => usr/bin/bash", ""}, {"usr/bin/sh -> dash", ""},
		{"usr/lib/", ""}, {"usr/lib/x86/", ""}, {"usr/lib/x86/perl5/", ""}, {"usr/lib/x86/perl5/a.pm", "x"}, {"usr/lib/x86/libc.so", "x"},
		{"usr/share/", ""}, {"usr/share/ca-certificates/", ""}, {"usr/share/ca-certificates/b.crt", "B\n"}, {"usr/share/ca-certificates/a.crt", "A"},
		{"usr/share/doc/", ""}, {"usr/share/doc/bash/", ""}, {"usr/share/doc/bash/copyright", "GPL"}, {"usr/share/doc/bash/README", "x"}, {"usr/share/doc/bash/examples/", ""},
		{"usr/share/man/", ""}, {"usr/share/man/bash.1", "x"}, {"var/", ""}, {"var/lib/", ""}, {"var/lib/redis/", ""}, {"var/lib/dpkg/", ""}, {"var/lib/dpkg/status", "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/bin/bash": "capable", "usr/share/doc/bash/copyright": "GPL", bundle: "A\nB\n", "etc/passwd": written["etc/passwd"], "usr/lib/x86/libc.so": "x",
	} {
		if got, ok := texts[name]; !ok || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"dev/null", "etc/apt/", "etc/apt/sources.list", "tmp/left", "usr/lib/x86/perl5/", "usr/lib/x86/perl5/a.pm", "usr/share/doc/bash/README", "usr/share/doc/bash/examples/", "usr/share/man/", "usr/share/man/bash.1", "var/lib/dpkg/status", "./"} {
		if headers[name] != nil {
			t.Errorf("%s is there", name)
		}
	}
	for name, mode := range map[string]int64{"tmp/": 0o1777, "root/": 0o700, "proc/": 0o755, "var/lib/redis/": 0o755} {
		if h := headers[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := headers["usr/bin/java"]; h == nil || h.Linkname != "../lib/jvm-"+newRootWriter(io.Discard, pin, epoch, "riscv64").arch+"/java" && !strings.HasPrefix(h.Linkname, "../lib/jvm-") || strings.Contains(h.Linkname, "$") {
		t.Errorf("java: %+v", h)
	}
	if h := headers["usr/bin/sh"]; h == nil || h.Linkname != "bash" {
		t.Errorf("sh: %+v", h)
	}
	if h := headers["usr/bin/rbash"]; h == nil || h.Typeflag != tar.TypeLink || h.Linkname != "usr/bin/bash" {
		t.Errorf("rbash: %+v", h)
	}
	if h := headers["usr/bin/bash"]; h.PAXRecords[xattr+"security.capability"] != "x" || h.Uname != "" || !h.ModTime.Equal(time.Unix(epoch, 0)) {
		t.Errorf("bash: %+v", h)
	}
	if h := headers["bin"]; !h.ModTime.Equal(time.Unix(epoch, 0)) {
		t.Errorf("a time before the epoch became %s", h.ModTime)
	}
}

func TestFilterRootRefuses(t *testing.T) {
	for name, entries := range map[string][]entry{
		"link to what is left out": {{"usr/share/man/", ""}, {"usr/share/man/a.1", "x"}, {"usr/a => usr/share/man/a.1", ""}},
		"path out of the root":     {{"../x", "x"}},
	} {
		if _, _, err := filtered(t, DebianPin{}, entries); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestUnpackRoot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "root.tar")
	into := filepath.Join(dir, "into")
	if err := os.Mkdir(into, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, archive(t, []entry{{"a/", ""}, {"a/file", "text"}, {"a/link -> file", ""}, {"a/hard => a/file", ""}}), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unpackRoot(t.Context(), file, into); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link", "hard"} {
		if text, err := os.ReadFile(filepath.Join(into, "a", name)); err != nil || string(text) != "text" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	// Nothing is written through a link that leads out.
	if err := os.WriteFile(file, archive(t, []entry{{"out -> " + dir, ""}, {"out/evil", "x"}}), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unpackRoot(t.Context(), file, into); err == nil {
		t.Error("an archive that leads out is unpacked")
	}
	if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
		t.Error("a file was written outside")
	}
}

func TestAptOptions(t *testing.T) {
	const dump = "Acquire \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://p:3128/\";\nAcquire::httpx \"1\";\nAPT::Sandbox::User \"_apt\";\nAcquire::Retries \"3\";\n"
	got, err := plainOptions(reaching(dump))
	want := []string{`--aptopt=Acquire::http ""`, `--aptopt=Acquire::http::Proxy "http://p:3128/"`, `--aptopt=Acquire::Retries "3"`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := plainOptions([]string{`Acquire::http::Proxy "http://me:secret@p:3128/";`}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a password on a command line: %v", err)
	}
}
