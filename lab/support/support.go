package support

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// File is one file of an archive.
type File struct {
	Name string // path in the archive, with slashes
	// Collect gives the content; what it leaves when ctx ends is not waited for.
	Collect func(ctx context.Context) ([]byte, error)
	// Sound says that the content cannot hold a secret of the lab, whatever the
	// lab is like, so that it is written even when the secrets are not known.
	Sound bool
}

// Archive is what is to be written.
type Archive struct {
	Folder string // in which all files lie when the archive is unpacked
	Made   time.Time
	Files  []File
	// Secrets gives every secret that must not be written. It is asked again
	// after each file was collected, so that one that has just been made is known.
	Secrets func() ([]string, error)
	// Patience bounds the collection of each file; 0 for 30 s.
	Patience time.Duration
}

// Entry is what became of a file.
type Entry struct {
	Name    string
	Bytes   int    // as written
	Removed int    // places where a secret stood
	Missing string // why it is not in the archive, "" when it is
}

// contents is the file that lists the others.
const contents = "CONTENTS.txt"

// Write writes the archive as a tar file, gzipped, and says what became of each
// file. The error is w's, or that of ctx; files that cannot be collected are none.
func Write(ctx context.Context, w io.Writer, a Archive) ([]Entry, error) {
	if a.Patience == 0 {
		a.Patience = 30 * time.Second
	}
	zipped := gzip.NewWriter(w)
	out := tar.NewWriter(zipped)
	var entries []Entry
	for _, f := range a.Files {
		entry, content := a.collect(ctx, f)
		if ctx.Err() != nil {
			return entries, context.Cause(ctx)
		}
		entries = append(entries, entry)
		if entry.Missing != "" {
			continue
		}
		if err := a.add(out, entry.Name, content); err != nil {
			return entries, err
		}
	}
	if err := a.add(out, contents, a.list(entries)); err != nil {
		return entries, err
	}
	return entries, errors.Join(out.Close(), zipped.Close())
}

func (a Archive) add(out *tar.Writer, name string, content []byte) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: a.Folder + "/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: a.Made})
	if err == nil {
		_, err = out.Write(content)
	}
	return err
}

// collect gives a file's content without secrets, or the reason why there is none.
func (a Archive) collect(ctx context.Context, f File) (Entry, []byte) {
	type result struct {
		content []byte
		err     error
	}
	bound, cancel := context.WithTimeout(ctx, a.Patience)
	defer cancel()
	// In a goroutine of its own: what hangs in a system call heeds no context.
	collected := make(chan result, 1)
	go func() {
		content, err := f.Collect(bound)
		collected <- result{content, err}
	}()
	var r result
	select {
	case r = <-collected:
	case <-bound.Done():
		r.err = fmt.Errorf("it took longer than %v", a.Patience)
	}
	secrets, err := a.Secrets()
	if err != nil {
		if !f.Sound {
			// Not even the error of collecting it may be told: it could quote anything.
			return Entry{Name: f.Name, Missing: "the lab's credentials cannot be read, so that it cannot be searched for them"}, nil
		}
		secrets = nil
	}
	redact := NewRedactor(secrets)
	entry := Entry{}
	entry.Name, _ = redact.Text(f.Name)
	if r.err != nil {
		entry.Missing, _ = redact.Text(r.err.Error())
		return entry, nil
	}
	content, removed := redact.Bytes(r.content)
	entry.Bytes, entry.Removed = len(content), removed
	return entry, content
}

// list is the text of CONTENTS.txt.
func (a Archive) list(entries []Entry) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, made %s\n\nPasswords, keys and tokens of the lab are not in here: where one stood, it says %s.\n\n", a.Folder, a.Made.UTC().Format(time.RFC3339), Mark)
	for _, e := range entries {
		switch {
		case e.Missing != "":
			fmt.Fprintf(&b, "%-32s left out: %s\n", e.Name, e.Missing)
		case e.Removed > 0:
			fmt.Fprintf(&b, "%-32s %d bytes, a secret removed in %d places\n", e.Name, e.Bytes, e.Removed)
		default:
			fmt.Fprintf(&b, "%-32s %d bytes\n", e.Name, e.Bytes)
		}
	}
	return []byte(b.String())
}

// Secrets gives every text that is a value in a JSON document: of the file that
// holds a lab's credentials each of them counts as a secret, whatever its kind, so
// that kinds that are added to it later do, too. Names of fields, user names
// among them, do not.
func Secrets(document []byte) ([]string, error) {
	var tree any
	if err := json.Unmarshal(document, &tree); err != nil {
		return nil, err
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if v != "" {
				out = append(out, v)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(tree)
	slices.Sort(out)
	return slices.Compact(out), nil
}
