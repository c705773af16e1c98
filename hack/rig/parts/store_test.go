package parts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made puts a part with two files into the store.
func made(t *testing.T, s *Store, name, key string) Part {
	t.Helper()
	dir, err := s.begin(name, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "bin", "one"), "first")
	write(t, filepath.Join(dir, "two"), "second")
	if err := os.Chmod(filepath.Join(dir, "bin", "one"), 0o755); err != nil {
		t.Fatal(err)
	}
	part, err := s.commit(dir, Pin{Name: name, Version: "v1", Licence: "MIT"}, key, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func TestStore(t *testing.T) {
	s := Open(t.TempDir())
	if _, ok := s.Built("apple", "k1"); ok {
		t.Fatal("an empty store gives a part")
	}
	part := made(t, s, "apple", "k1")
	got, ok := s.Built("apple", "k1")
	if !ok || got.Version != "v1" || got.Licence != "MIT" || got.Took != 1500*time.Millisecond || got.Bytes() != 11 || len(got.Files) != 2 {
		t.Fatalf("got %+v, %v", got, ok)
	}
	if got.Files[0].Path != "bin/one" || got.Files[0].Mode != 0o755 || !strings.HasPrefix(got.Files[0].SHA256, "a7937b64b8ca") {
		t.Errorf("got %+v", got.Files[0])
	}
	if file, err := got.Path("bin/one"); err != nil || file != filepath.Join(part.Dir, "bin", "one") {
		t.Errorf("got %q, %v", file, err)
	}
	if _, err := got.Path("bin/none"); err == nil {
		t.Error("a file that is not there has a path")
	}
	if err := got.Verify(""); err != nil {
		t.Error(err)
	}
	if s.lastTook("apple") != 1500*time.Millisecond || s.lastTook("pear") != 0 {
		t.Errorf("last took %s and %s", s.lastTook("apple"), s.lastTook("pear"))
	}
}

// A part that is not whole is not a part.
func TestBrokenParts(t *testing.T) {
	for name, test := range map[string]struct {
		harm     func(dir string) error
		verified bool // whether only Verify finds it
	}{
		"no record":    {func(dir string) error { return os.Remove(filepath.Join(dir, recordFile)) }, false},
		"half record":  {func(dir string) error { return os.Truncate(filepath.Join(dir, recordFile), 60) }, false},
		"missing file": {func(dir string) error { return os.Remove(filepath.Join(dir, "two")) }, false},
		"cut short":    {func(dir string) error { return os.Truncate(filepath.Join(dir, "two"), 3) }, false},
		"other mode":   {func(dir string) error { return os.Chmod(filepath.Join(dir, "bin", "one"), 0o644) }, false},
		"other bytes":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "two"), []byte("secant"), 0o644) }, true},
		"under another key": {func(dir string) error {
			return os.Rename(dir, filepath.Join(filepath.Dir(dir), "k2"))
		}, false},
		"leads out": {func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, recordFile))
			if err != nil {
				return err
			}
			text = []byte(strings.Replace(string(text), `"two"`, `"../two"`, 1))
			return os.WriteFile(filepath.Join(dir, recordFile), text, 0o644)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := Open(t.TempDir())
			part := made(t, s, "apple", "k1")
			if err := test.harm(part.Dir); err != nil {
				t.Fatal(err)
			}
			if _, ok := s.Built("apple", "k1"); ok != test.verified {
				t.Errorf("taken for good: %v", ok)
			}
			if _, ok := s.Built("apple", "k2"); ok {
				t.Error("taken for good under another key")
			}
			if err := part.Verify(""); test.verified && (err == nil || !strings.Contains(err.Error(), "two has 6 bytes")) {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

func TestCommitReplacesBroken(t *testing.T) {
	s := Open(t.TempDir())
	part := made(t, s, "apple", "k1")
	if err := os.Remove(filepath.Join(part.Dir, "two")); err != nil {
		t.Fatal(err)
	}
	made(t, s, "apple", "k1")
	if _, ok := s.Built("apple", "k1"); !ok {
		t.Error("the part is not whole again")
	}
}

func TestCommitRefuses(t *testing.T) {
	s := Open(t.TempDir())
	dir, err := s.begin("apple", "k1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.commit(dir, Pin{Name: "apple"}, "k1", 0); err == nil {
		t.Error("a part with no files is taken")
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.commit(dir, Pin{Name: "apple"}, "k1", 0); err == nil {
		t.Error("a part with a link is taken")
	}
	if _, ok := s.Built("apple", "k1"); ok {
		t.Error("there is a part")
	}
}

func TestSweepAndClean(t *testing.T) {
	pins, err := Load(t.Context(), project(t))
	if err != nil {
		t.Fatal(err)
	}
	s := Open(t.TempDir())
	key, err := pins.Key("pear")
	if err != nil {
		t.Fatal(err)
	}
	half, err := s.begin("pear", key)
	if err != nil {
		t.Fatal(err)
	}
	present, old, gone := made(t, s, "pear", key), made(t, s, "pear", "outdated"), made(t, s, "plum", "k1")
	write(t, filepath.Join(s.Dir(), "build", "m2", "x"), "x")
	freed, err := s.Clean(pins, false)
	if err != nil || freed != old.Bytes()+gone.Bytes() {
		t.Errorf("freed %d, %v", freed, err)
	}
	for dir, want := range map[string]bool{half: false, present.Dir: true, old.Dir: false, gone.Dir: false, filepath.Join(s.Dir(), "build"): true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v", dir, !want)
		}
	}
	if _, err := s.Clean(pins, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "build")); err == nil {
		t.Error("the build caches are still there")
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	release, err := Lock(t.Context(), dir, "makes images", func(Holder) { t.Error("the first one waits") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Lock(ctx, dir, "builds parts", func(h Holder) {
		if h.PID != os.Getpid() || h.What != "makes images" || !strings.Contains(h.String(), "(makes images, since ") {
			t.Errorf("it waits for %+v: %s", h, h)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waits, entered := make(chan struct{}), make(chan error)
	go func() {
		again, err := Lock(t.Context(), dir, "builds parts", func(Holder) { close(waits) })
		if err == nil {
			err = again()
		}
		entered <- err
	}()
	<-waits
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if err := <-entered; err != nil {
		t.Error(err)
	}
}
