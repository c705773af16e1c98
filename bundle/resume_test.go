package bundle_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/alertlab/alertlab/bundle"
)

// counted is a source that counts how often each layer is opened, and fails when
// told so.
type counted struct {
	bundle.Images
	opened map[v1.Hash]int
	// left is how many bytes of layers may be read before failure; negative is
	// without end.
	left int
	err  error
	stop context.CancelFunc
}

func (c *counted) Artifacts(context.Context, v1.Platform) ([]bundle.Artifact, error) {
	var out []bundle.Artifact
	for _, a := range c.Images {
		out = append(out, bundle.Artifact{Reference: a.Reference, Image: countedImage{a.Image, c}})
	}
	return out, nil
}

type countedImage struct {
	v1.Image
	c *counted
}

func (i countedImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, err := i.Image.LayerByDigest(h)
	return countedLayer{l, i.c}, err
}

type countedLayer struct {
	v1.Layer
	c *counted
}

func (l countedLayer) Compressed() (io.ReadCloser, error) {
	h, _ := l.Digest()
	l.c.opened[h]++
	rc, err := l.Layer.Compressed()
	return &countedReader{rc, l.c}, err
}

type countedReader struct {
	io.ReadCloser
	c *counted
}

func (r *countedReader) Read(buf []byte) (int, error) {
	if r.c.left == 0 {
		if r.c.stop != nil {
			r.c.stop()
			return 0, nil
		}
		return 0, r.c.err
	}
	if r.c.left > 0 {
		buf = buf[:min(len(buf), r.c.left)]
	}
	n, err := r.ReadCloser.Read(buf)
	if r.c.left > 0 {
		r.c.left -= n
	}
	return n, err
}

var errLine = errors.New("the line is down")

// TestResume cuts a save after every so many bytes and saves again: no blob that
// was complete is fetched twice, and the result is the same bytes as ever.
func TestResume(t *testing.T) {
	t.Parallel()
	shared := layer(1, 700)
	images := bundle.Images{
		{Reference: redis, Image: image(t, "amd64", shared, layer(2, 1500), layer(5, 90))},
		{Reference: pause, Image: image(t, "amd64", layer(3, 10), shared)},
	}
	_, want := saved(t, bundle.Contents{Sources: []bundle.Source{images}})
	for cut := 0; cut < 2500; cut += 97 {
		path := filepath.Join(t.TempDir(), "x.tar")
		ctx, cancel := context.WithCancel(context.Background())
		source := &counted{Images: images, opened: map[v1.Hash]int{}, left: cut, err: errLine}
		contents := bundle.Contents{Sources: []bundle.Source{source}}
		wantErr := errLine
		if cut%2 == 1 { // half of the time it is the user who stops
			source.stop, wantErr = cancel, context.Canceled
		}
		if _, err := bundle.Save(ctx, path, contents, nil); !errors.Is(err, wantErr) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		cancel()
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("cut at %d: there is a bundle", cut)
		}
		if _, err := bundle.Open(path + ".partial"); !errors.Is(err, bundle.ErrPartial) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		half, err := os.ReadFile(path + ".partial")
		must(t, err)
		if _, err := bundle.Read(bytes.NewReader(half), int64(len(half))); err == nil {
			t.Fatalf("cut at %d: what is left is taken for a bundle", cut)
		}
		source.left, source.stop = -1, nil
		done, err := bundle.Save(context.Background(), path, contents, nil)
		must(t, err)
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: another bundle", cut)
		}
		twice := 0
		for _, n := range source.opened {
			if n == 2 {
				twice++
			} else if n > 2 {
				t.Fatalf("cut at %d: opened %v", cut, source.opened)
			}
		}
		if twice > 1 { // the one that was cut
			t.Fatalf("cut at %d: opened %v", cut, source.opened)
		}
		if cut > 1000 && done.Kept == 0 {
			t.Errorf("cut at %d: nothing was kept", cut)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("cut at %d: left behind %v", cut, left)
		}
	}
}

// TestResumeDamaged lets a save continue from a file that is broken in some
// place, or is something else altogether.
func TestResumeDamaged(t *testing.T) {
	t.Parallel()
	c := sample(t)
	_, want := saved(t, c)
	for name, spoil := range map[string]func([]byte) []byte{
		"whole":         func(b []byte) []byte { return b },
		"empty":         func([]byte) []byte { return nil },
		"a bit in head": func(b []byte) []byte { b[600] ^= 1; return b },
		"a bit in blob": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"a hole":        func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+2000]); return b },
		"longer":        func(b []byte) []byte { return append(b, make([]byte, 9999)...) },
		"shorter":       func(b []byte) []byte { return b[:len(b)-1500] },
		"text":          func([]byte) []byte { return []byte(strings.Repeat("not a bundle\n", 4000)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.tar")
			must(t, os.WriteFile(path+".partial", spoil(bytes.Clone(want)), 0o644))
			_, err := bundle.Save(context.Background(), path, c, nil)
			must(t, err)
			got, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Error("another bundle")
			}
		})
	}
}

// TestReuse saves changed content where an older bundle, or an interrupted save
// of one, lies.
func TestReuse(t *testing.T) {
	t.Parallel()
	images := bundle.Images{
		{Reference: redis, Image: image(t, "amd64", layer(1, 5000))},
		{Reference: pause, Image: image(t, "amd64", layer(2, 5000))},
	}
	_, old := saved(t, bundle.Contents{Sources: []bundle.Source{images}})
	for _, suffix := range []string{"", ".partial"} {
		path := filepath.Join(t.TempDir(), "x.tar")
		must(t, os.WriteFile(path+suffix, old, 0o644))
		more := append(bundle.Images{{Reference: other, Image: image(t, "amd64", layer(3, 5000))}}, images...)
		source := &counted{Images: more, opened: map[v1.Hash]int{}, left: -1}
		done, err := bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{source}}, nil)
		must(t, err)
		if len(source.opened) != 1 || done.Copied < 10000 || done.Written < 5000 || done.Written > 6000 {
			t.Errorf("beside x.tar%s: opened %v, %+v", suffix, source.opened, done)
		}
		must(t, bundle.Verify(context.Background(), path, nil))

		// The same once more is left as it is, unless it is damaged.
		clear(source.opened)
		done, err = bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{source}}, nil)
		must(t, err)
		if len(source.opened) != 0 || done.Copied+done.Written != 0 || done.Kept == 0 || done.Damage != nil {
			t.Errorf("the same again: opened %v, %+v", source.opened, done)
		}
		content, err := os.ReadFile(path)
		must(t, err)
		content[len(content)-2000] ^= 1
		must(t, os.WriteFile(path, content, 0o644))
		done, err = bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{source}}, nil)
		must(t, err)
		if len(source.opened) != 1 || done.Written == 0 || done.Damage == nil || !strings.Contains(done.Damage.Error(), path) || len(done.Damage.Problems) != 1 {
			t.Errorf("the same, damaged: opened %v, %+v", source.opened, done)
		}
		must(t, bundle.Verify(context.Background(), path, nil))
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("left behind %v", left)
		}
	}
}

func TestSourceThatLies(t *testing.T) {
	t.Parallel()
	img := image(t, "amd64", layer(1, 500))
	path := filepath.Join(t.TempDir(), "x.tar")
	_, err := bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{
		bundle.Images{{Reference: pause, Image: swapped{img, layer(2, 500)}}}}}, nil)
	if !errors.Is(err, bundle.ErrSource) || !strings.Contains(err.Error(), pause) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a bundle")
	}
}

// A flipped bit in a layout is told from one that lacks a file: only the first is
// mended by making the layout again from what it was made of.
func TestDamagedLayout(t *testing.T) {
	t.Parallel()
	img := image(t, "amd64", layer(1, 5000))
	layers, err := img.Layers()
	must(t, err)
	digest, err := layers[0].Digest()
	must(t, err)
	for _, c := range []struct {
		name    string
		spoil   func(t *testing.T, file string)
		damaged bool
	}{
		{"a flipped bit", func(t *testing.T, file string) {
			content, err := os.ReadFile(file)
			must(t, err)
			content[len(content)/2] ^= 1
			must(t, os.WriteFile(file, content, 0o644))
		}, true},
		{"a file that is gone", func(t *testing.T, file string) { must(t, os.Remove(file)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
			must(t, err)
			must(t, l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": pause})))
			c.spoil(t, filepath.Join(dir, "layout", "blobs", "sha256", digest.Hex))
			_, err = bundle.Save(context.Background(), filepath.Join(dir, "x.tar"), bundle.Contents{Sources: []bundle.Source{bundle.Layout{Dir: filepath.Join(dir, "layout")}}}, nil)
			if !errors.Is(err, bundle.ErrSource) || errors.Is(err, bundle.ErrDamaged) != c.damaged ||
				!strings.Contains(err.Error(), digest.String()) || !strings.Contains(err.Error(), pause) {
				t.Error(err)
			}
		})
	}
}

// swapped gives another layer than its manifest says.
type swapped struct {
	v1.Image
	layer v1.Layer
}

func (s swapped) LayerByDigest(v1.Hash) (v1.Layer, error) { return s.layer, nil }

// childLayout writes a layout whose layers take several steps to copy.
func childLayout(t *testing.T, dir string) {
	t.Helper()
	l, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	must(t, err)
	for i, ref := range []string{redis, pause} {
		img := image(t, "amd64", layer(uint64(10*i), 3<<20), layer(uint64(10*i+1), 2<<20))
		must(t, l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref})))
	}
}

// saveAsChild saves what lies in dir. It says each step on its standard output
// and goes on only when its standard input says so. With a limit it may write no
// file that is longer, as on a disk that is full.
func saveAsChild(dir string) int {
	if limit, err := strconv.ParseUint(os.Getenv("BUNDLE_TEST_LIMIT"), 10, 64); err == nil {
		// Go ignores the signal that comes with the error.
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Println(err)
			return 2
		}
	}
	in := bufio.NewReader(os.Stdin)
	done, err := bundle.Save(context.Background(), filepath.Join(dir, "x.tar"),
		bundle.Contents{Sources: []bundle.Source{bundle.Layout{Dir: filepath.Join(dir, "layout")}}},
		func(bundle.Progress) {
			fmt.Println("step")
			_, _ = in.ReadByte()
		})
	fmt.Println(done.Kept, err)
	if err != nil {
		return 1
	}
	return 0
}

// TestKilled kills a process that saves, further on each time, and lets the last
// one finish.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	childLayout(t, dir)
	path := filepath.Join(dir, "x.tar")
	for steps := 3; steps < 12; steps += 2 {
		cmd := exec.Command(os.Args[0], saveArg, dir)
		stdin, err := cmd.StdinPipe()
		must(t, err)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		out := bufio.NewScanner(stdout)
		for range steps {
			if !out.Scan() || out.Text() != "step" {
				t.Fatalf("the child says %q and not its next step", out.Text())
			}
			_, err := stdin.Write([]byte{'\n'})
			must(t, err)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if _, err := os.Stat(path); err == nil {
			t.Fatal("there is a bundle")
		}
	}
	done, err := bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{bundle.Layout{Dir: filepath.Join(dir, "layout")}}}, nil)
	must(t, err)
	if done.Kept < 3<<20 {
		t.Errorf("of five saves that were killed only %d bytes were kept", done.Kept)
	}
	must(t, bundle.Verify(context.Background(), path, nil))
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	childLayout(t, dir)
	path := filepath.Join(dir, "x.tar")
	cmd := exec.Command(os.Args[0], saveArg, dir)
	cmd.Env = append(os.Environ(), "BUNDLE_TEST_LIMIT=7000000")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), syscall.EFBIG.Error()) {
		t.Fatalf("%v: %s", err, out)
	}
	done, err := bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{bundle.Layout{Dir: filepath.Join(dir, "layout")}}}, nil)
	must(t, err)
	if done.Kept < 5<<20 {
		t.Errorf("only %d bytes were kept", done.Kept)
	}
	must(t, bundle.Verify(context.Background(), path, nil))
}

func TestBusy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.tar")
	c := sample(t)
	var once bool
	_, err := bundle.Save(context.Background(), path, c, func(bundle.Progress) {
		if once {
			return
		}
		once = true
		if _, err := bundle.Save(context.Background(), path, c, nil); !errors.Is(err, bundle.ErrBusy) {
			t.Errorf("a second save beside the first: %v", err)
		}
	})
	must(t, err)
	must(t, bundle.Verify(context.Background(), path, nil))
}
