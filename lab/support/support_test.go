package support

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// unpack gives an archive's files with their content, and all of it decompressed.
func unpack(t *testing.T, archive []byte) (map[string]string, []byte) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(zipped)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = string(text)
	}
}

func text(s string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(s), nil }
}

func failing(err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return nil, err }
}

// forms are the ways in which a secret may stand in a text.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{
		secret, string(quoted), "https://user:" + url.QueryEscape(secret) + "@host/", hex.EncodeToString([]byte(secret)),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+secret)), "Basic " + base64.StdEncoding.EncodeToString([]byte("us:"+secret)),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("use:"+secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

func TestWriteHoldsNoSecret(t *testing.T) {
	t.Parallel()
	// One holds the other, one has characters that every notation escapes.
	secrets := []string{"mfq5zs3kjq2v7c4x6n8b0a1d2e", "mfq5zs3kjq2v7c4x6n8b0a1d2e-longer", `p"a\s/s w+ö&rd<>`}
	var body strings.Builder
	for _, s := range secrets {
		for _, f := range forms(s) {
			fmt.Fprintf(&body, "before %s after\n", f)
		}
		body.WriteString(s + s)
	}
	var out bytes.Buffer
	entries, err := Write(t.Context(), &out, Archive{Folder: "folder", Made: time.Unix(0, 0), Secrets: func() ([]string, error) { return secrets, nil }, Files: []File{
		{Name: "body.txt", Collect: text(body.String())},
		{Name: "logs/" + secrets[0] + ".log", Collect: text("fine")},
		{Name: "failed", Collect: failing(errors.New("login with " + secrets[1] + " failed"))},
		{Name: "sound", Sound: true, Collect: text(secrets[2])},
	}})
	if err != nil {
		t.Fatal(err)
	}
	files, all := unpack(t, out.Bytes())
	for _, s := range secrets {
		for _, f := range forms(s) {
			f = strings.TrimPrefix(f, "Basic ")
			// What base64 has of the user name before it may stay.
			if bytes.Contains(all, []byte(f)) || len(f) > 24 && bytes.Contains(all, []byte(f[8:len(f)-8])) {
				t.Errorf("%q stands in the archive as %q", s, f)
			}
		}
	}
	if len(files) != 4 || !strings.Contains(files["folder/body.txt"], "before "+Mark+" after\n") || files["folder/logs/"+Mark+".log"] != "fine" {
		t.Errorf("%q", files)
	}
	if e := entries[0]; e.Removed < 3*6 || e.Bytes != len(files["folder/body.txt"]) {
		t.Errorf("%+v", e)
	}
	if e := entries[2]; e.Missing != "login with "+Mark+" failed" {
		t.Errorf("%+v", e)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	unreadable := func() ([]string, error) { return nil, errors.New("cannot be read: sesame") }
	stuck := make(chan struct{})
	defer close(stuck)
	files := []File{
		{Name: "version.json", Sound: true, Collect: text("{}")},
		{Name: "logs/kafka.log", Collect: text("sesame")},
		{Name: "status.json", Collect: failing(errors.New("no answer: sesame"))},
		{Name: "stuck", Sound: true, Collect: func(context.Context) ([]byte, error) { <-stuck; return nil, nil }},
	}
	for name, c := range map[string]struct {
		secrets func() ([]string, error)
		want    map[string]string
		missing []string
	}{
		"secrets known": {func() ([]string, error) { return nil, nil }, map[string]string{"version.json": "{}", "logs/kafka.log": "sesame"},
			[]string{"status.json: no answer: sesame", "stuck: it took longer than 20ms"}},
		// What cannot be searched is not written, and neither is why.
		"secrets unknown": {unreadable, map[string]string{"version.json": "{}"},
			[]string{"logs/kafka.log: the lab's credentials cannot", "status.json: the lab's credentials cannot", "stuck: it took longer than 20ms"}},
	} {
		var out bytes.Buffer
		entries, err := Write(t.Context(), &out, Archive{Folder: "f", Made: time.Now(), Files: files, Secrets: c.secrets, Patience: 20 * time.Millisecond})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, all := unpack(t, out.Bytes())
		list := got["f/"+contents]
		if len(got) != len(c.want)+1 || !strings.Contains(list, "version.json") {
			t.Errorf("%s: %q", name, got)
		}
		for file, want := range c.want {
			if got["f/"+file] != want {
				t.Errorf("%s: %s is %q", name, file, got["f/"+file])
			}
		}
		if name == "secrets unknown" && bytes.Contains(all, []byte("sesame")) {
			t.Errorf("%s: %q", name, all)
		}
		for _, m := range c.missing {
			if !slices.ContainsFunc(entries, func(e Entry) bool { return strings.HasPrefix(e.Name+": "+e.Missing, m) }) {
				t.Errorf("%s: %q is not in %+v", name, m, entries)
			}
			if _, why, _ := strings.Cut(m, ": "); !strings.Contains(list, "left out: "+why) {
				t.Errorf("%s: %q is not in %s", name, why, list)
			}
		}
	}
}

type full struct{ left int }

var errFull = errors.New("no space left")

func (w *full) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	a := Archive{Folder: "f", Files: []File{{Name: "a", Collect: text(strings.Repeat("x", 1<<16))}}, Secrets: func() ([]string, error) { return nil, nil }}
	if _, err := Write(t.Context(), &full{left: 20}, a); !errors.Is(err, errFull) {
		t.Errorf("full: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(ctx, io.Discard, a); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	got, err := Secrets([]byte(`{"kafka":{"antares":"one","empty":""},"objectStore":{"accessKey":"two","n":3},"tokens":[{"token":"three","scopes":["one"]}],"none":null}`))
	if err != nil || fmt.Sprint(got) != "[one three two]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Secrets([]byte(`{"kafka":`)); err == nil {
		t.Error("half a document has secrets")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for _, c := range []struct {
		text  string
		limit int64
		want  string
	}{
		{"", 10, ""},
		{"one\ntwo\n", 8, "one\ntwo\n"},
		{"one\ntwo\n", 7, "(the first 4 bytes are left out)\ntwo\n"},
		{"one\ntwo\n", 4, "(the first 4 bytes are left out)\ntwo\n"},
		{"one\ntwo\n", 3, "(the first 8 bytes are left out)\n"},
		{"secretsecretsecret", 6, "(the first 18 bytes are left out)\n"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Tail(path, c.limit); err != nil || string(got) != c.want {
			t.Errorf("%q, %d: %q, %v", c.text, c.limit, got, err)
		}
	}
	if _, err := Tail(path+".none", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"lab.json", "logs/a.log", "data/kafka/0.log", "data/kafka/deep/1.log"} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("12345"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Listing(root, "data")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if len(lines) != 6 || !strings.HasSuffix(lines[2], "data/kafka: 2 files, 10 bytes") || !strings.HasSuffix(lines[3], "lab.json") || !strings.HasPrefix(lines[3], "-rw------- ") {
		t.Errorf("%s", got)
	}
	if _, err := Listing(filepath.Join(root, "none")); err == nil {
		t.Error("no directory has a listing")
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	got := string(Machine(t.TempDir(), "/nowhere/at/all"))
	for _, want := range []string{"platform ", "processors ", "open files ", " bytes, ", "disk of /nowhere/at/all: unknown"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
