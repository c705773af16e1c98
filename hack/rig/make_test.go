package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/hack/rig/images"
	"github.com/alertlab/alertlab/hack/rig/parts"
	"github.com/alertlab/alertlab/lab/fault"
)

// The remedy must remove what is damaged, and nothing for damage elsewhere.
func TestDamageInTheCache(t *testing.T) {
	r := &rig{cache: "/cache", words: []string{"bundle", "--images", "x"}}
	source := fmt.Errorf("%w: blob sha256:1 of a: %w", bundle.ErrSource, bundle.ErrDamaged)
	for _, c := range []struct {
		name string
		err  error
		want string // remedy; "" when the error stays what it is
	}{
		{"nothing", nil, ""},
		{"a blob that is packed or loaded", fmt.Errorf("image a: %w", &images.CorruptError{File: "/cache/images/blobs/sha256/1"}), "rm -r /cache/images && go run ./hack/rig bundle --images x"},
		{"the node's archive", &images.CorruptError{File: "/cache/node/1.tar"}, "rm -r /cache/node && go run ./hack/rig bundle --images x"},
		{"a blob that goes into the bundle", source, "rm -r /cache/images && go run ./hack/rig bundle --images x"},
		{"an archive of the user's", fault.Wrap(fault.BadInput, "the images of x cannot be used", source, "docker save"), ""},
		{"a source that lacks a file", fmt.Errorf("%w: %w", bundle.ErrSource, os.ErrNotExist), ""},
		{"a full disk", errors.New("no space left on device"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.damaged(c.err)
			if c.want == "" {
				if err != c.err {
					t.Errorf("it became %v", err)
				}
				return
			}
			if text := fault.Text(err); !errors.Is(err, c.err) || !strings.HasSuffix(text, "next: "+c.want) || !strings.Contains(text, c.err.Error()) {
				t.Errorf("got %q", text)
			}
		})
	}
}

func TestDamagedPart(t *testing.T) {
	r := &rig{words: []string{"all"}}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("abd"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := parts.Part{Name: "own", Dir: dir, Files: []parts.File{{Path: "tool", Size: 3, Mode: 0o644,
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}} // of "abc", FIPS 180-2, B.1
	text := fault.Text(r.check(p, ""))
	if !strings.Contains(text, "part own in the cache is damaged: tool has ") || !strings.HasSuffix(text, "next: rm -r "+dir+" && go run ./hack/rig all") {
		t.Errorf("got %q", text)
	}
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.check(p, ""); err != nil {
		t.Error(err)
	}
}
