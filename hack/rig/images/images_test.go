package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/alertlab/alertlab/lab/fault"
)

// recipes is a small file of recipes with one of everything.
const recipes = `apiVersion: alertlab/v1alpha1
kind: RigImages
images:
- name: scratch
  reference: rig.local/scratch:${tool#v}-0
  part: tool
  source: https://example.org/tool
  layers:
  - files:
    - {path: /usr/bin/tool, part: tool, from: bin/tool}
    - {path: /tmp, folder: true, mode: "1777"}
    - {path: /data, folder: true, owner: "999:1000"}
    - {path: /etc/version, text: "tool ${tool}\n", mode: "0600"}
    - {path: /usr/bin/other, link: tool}
  entrypoint: [/usr/bin/tool]
  cmd: [serve]
  env: {B: "2", A: "1"}
  user: "65534:65534"
  workdir: /data
  volumes: [/data]
- name: rooted
  reference: rig.local/rooted:${root}
  part: tool
  engine: true
  layers:
  - root: root
  - files:
    - {path: /bin/tool, part: tool, from: bin/tool}
    - {path: /srv/note, text: "x"}
    - {path: /opt/jars/, part: tool, from: "lib/*.jar"}
  entrypoint: [/bin/tool]
  user: "0"
- name: rooted-too
  reference: rig.local/rooted-too:${root}
  part: root
  layers:
  - root: root
  entrypoint: [/bin/sh]
  user: "0"
- name: node
  reference: rig.local/node:${tool}
  part: tool
  node: true
  layers:
  - root: root
  - files:
    - {path: /rig/images/all.tar, archive: [scratch, rooted]}
    - {path: /rig/images/names.txt, references: [scratch, rooted]}
  entrypoint: [/bin/tool]
  user: "0"
`

func parse(t *testing.T, text string) *Recipes {
	t.Helper()
	r, err := Parse("images.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// write makes a file below dir with its folders.
func write(t *testing.T, file string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// rootTar is a Debian root as far as it matters: merged /usr, modes, devices.
func rootTar(t *testing.T, extra ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	time := time.Unix(1_760_000_000, 0)
	for _, h := range append([]tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin"},
		{Typeflag: tar.TypeDir, Name: "./dev/", Mode: 0o755},
		{Typeflag: tar.TypeChar, Name: "./dev/null", Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Typeflag: tar.TypeDir, Name: "./srv/", Mode: 0o700},
		{Typeflag: tar.TypeDir, Name: "./usr/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./usr/bin/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./usr/bin/bash", Mode: 0o755, Size: 4},
		{Typeflag: tar.TypeSymlink, Name: "./usr/bin/sh", Linkname: "bash"},
	}, extra...) {
		h.ModTime = time
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(bytes.Repeat([]byte("b"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func fakeParts(t *testing.T) map[string]Part {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tool/bin/tool"), 0o755, "a program")
	write(t, filepath.Join(dir, "tool/lib/a.jar"), 0o644, "a jar")
	write(t, filepath.Join(dir, "tool/lib/b.jar"), 0o644, "another jar")
	write(t, filepath.Join(dir, "root/root.tar"), 0o644, rootTar(t))
	return map[string]Part{
		"tool": {Dir: filepath.Join(dir, "tool"), Key: "t1", Version: "v1.2.3", Licence: "MIT"},
		"root": {Dir: filepath.Join(dir, "root"), Key: "r1", Version: "trixie", Licence: "LicenseRef-Debian"},
	}
}

// built runs Build and gives the names of what it built, too.
func built(t *testing.T, o Options) (Result, []string) {
	t.Helper()
	names := []string{}
	o.Report = func(i Image) {
		if i.Built {
			names = append(names, i.Name)
		}
	}
	r, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(fault.Text(err))
	}
	slices.Sort(names)
	return r, names
}

func imageOf(t *testing.T, r Result, name string) *stored {
	t.Helper()
	s, err := openStore(r.Layout)
	if err != nil {
		t.Fatal(err)
	}
	_, img, ok := s.find(r.Reference(name))
	if !ok {
		t.Fatalf("no image %s", name)
	}
	return img
}

// listing describes the entries of a tar, one a line.
func listing(t *testing.T, r io.ReadCloser, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b strings.Builder
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %04o %d:%d %s", string(h.Typeflag), h.Mode, h.Uid, h.Gid, h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&b, " -> %s", h.Linkname)
		}
		if h.Typeflag == tar.TypeReg && len(content) < 40 {
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", what, got, want)
	}
}

func TestConfigurationAndLayers(t *testing.T) {
	r, _ := built(t, Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()})
	img := imageOf(t, r, "scratch")
	config := *img.config
	for i := range config.History { // keys are tested by what they cause
		key, plain, ok := parseNote(config.History[i].Comment)
		if !ok || len(key) != 64 || plain%512 != 0 {
			t.Errorf("history has no note: %q", config.History[i].Comment)
		}
		config.History[i].Comment = ""
	}
	config.RootFS.DiffIDs = nil
	got, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "configuration", string(got), strings.ReplaceAll(`{
  "architecture": "ARCH",
  "created": "1980-01-01T00:00:00Z",
  "history": [
    {
      "created": "1980-01-01T00:00:00Z",
      "created_by": "/usr/bin/tool /tmp /data /etc/version /usr/bin/other"
    }
  ],
  "os": "linux",
  "rootfs": {
    "type": "layers",
    "diff_ids": null
  },
  "config": {
    "Cmd": [
      "serve"
    ],
    "Entrypoint": [
      "/usr/bin/tool"
    ],
    "Env": [
      "A=1",
      "B=2"
    ],
    "Labels": {
      "dev.alertlab.rig.part": "tool",
      "dev.alertlab.rig.pins": "tool=t1",
      "org.opencontainers.image.licenses": "MIT",
      "org.opencontainers.image.source": "https://example.org/tool",
      "org.opencontainers.image.version": "v1.2.3"
    },
    "User": "65534:65534",
    "Volumes": {
      "/data": {}
    },
    "WorkingDir": "/data"
  }
}`, "ARCH", runtime.GOARCH))
	u, err := img.layers[0].Uncompressed()
	same(t, "layer", listing(t, u, err), `5 0755 999:1000 data/
5 0755 0:0 etc/
0 0600 0:0 etc/version "tool v1.2.3\n"
5 1777 0:0 tmp/
5 0755 0:0 usr/
5 0755 0:0 usr/bin/
2 0777 0:0 usr/bin/other -> tool
0 0755 0:0 usr/bin/tool "a program"
`)
	want := []string{"rig.local/rooted-too:trixie", "rig.local/rooted:trixie", "rig.local/scratch:1.2.3-0"}
	for i, img := range r.Images {
		if img.Reference != want[i] || img.Size < 500 || img.Engine != (img.Name == "rooted") {
			t.Errorf("image %d is %+v", i, img)
		}
	}
	path, err := layout.FromPath(r.Layout)
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
}

// A layer over a root must write through the root's links and keep the modes of
// its folders: else /bin would hide /usr/bin, and /srv be open to all.
func TestLayerOverRoot(t *testing.T) {
	r, _ := built(t, Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()})
	img := imageOf(t, r, "rooted")
	u, err := img.layers[0].Uncompressed()
	same(t, "root", listing(t, u, err), `2 0000 0:0 bin -> usr/bin
5 0755 0:0 dev/
5 0700 0:0 srv/
5 0755 0:0 usr/
5 0755 0:0 usr/bin/
0 0755 0:0 usr/bin/bash "bbbb"
2 0000 0:0 usr/bin/sh -> bash
`)
	u, err = img.layers[1].Uncompressed()
	same(t, "files", listing(t, u, err), `5 0755 0:0 opt/
5 0755 0:0 opt/jars/
0 0644 0:0 opt/jars/a.jar "a jar"
0 0644 0:0 opt/jars/b.jar "another jar"
5 0700 0:0 srv/
0 0644 0:0 srv/note "x"
5 0755 0:0 usr/
5 0755 0:0 usr/bin/
0 0755 0:0 usr/bin/tool "a program"
`)
	if other := imageOf(t, r, "rooted-too"); other.layers[0].digest != img.layers[0].digest {
		t.Error("two images on one root do not share its layer")
	}
}

func TestNodeArchive(t *testing.T) {
	r, _ := built(t, Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()})
	tag := mustTag(t, "rig.local/node:v1.2.3")
	img, err := tarball.ImageFromPath(r.Node.File, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("the archive is not valid: %v", err)
	}
	if id, err := img.ConfigName(); err != nil || id != r.Node.ID || r.Node.Reference != "rig.local/node:v1.2.3" {
		t.Errorf("the archive holds %s (%v), the result says %+v", id, err, r.Node)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	u, err := layers[1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	inner := filepath.Join(t.TempDir(), "all.tar")
	for in := tar.NewReader(u); ; {
		h, err := in.Next()
		if err != nil {
			t.Fatalf("the layer has no names.txt: %v", err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "/all.tar") {
			write(t, inner, 0o644, string(data))
		}
		if strings.HasSuffix(h.Name, "/names.txt") {
			same(t, "names", string(data), "rig.local/scratch:1.2.3-0\nrig.local/rooted:trixie\n")
			break
		}
	}
	for _, name := range []string{"scratch", "rooted"} {
		tag := mustTag(t, r.Reference(name))
		img, err := tarball.ImageFromPath(inner, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img); err != nil {
			t.Errorf("%s in the node is not valid: %v", name, err)
		}
		want := imageOf(t, r, name).manifest.Config.Digest
		if id, err := img.ConfigName(); err != nil || id != want {
			t.Errorf("%s in the node is %s (%v), in the layout %s", name, id, err, want)
		}
	}
}

func TestEqualPartsGiveEqualImages(t *testing.T) {
	first, _ := built(t, Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()})
	// Other folders, other times.
	second, _ := built(t, Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()})
	for i := range first.Images {
		if first.Images[i].Digest != second.Images[i].Digest {
			t.Errorf("%s: %s, then %s", first.Images[i].Name, first.Images[i].Digest, second.Images[i].Digest)
		}
	}
	a, err := os.ReadFile(first.Node.File)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second.Node.File)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the archives of the node differ")
	}
}

func TestOnlyWhatChangedIsBuilt(t *testing.T) {
	all := []string{"node", "rooted", "rooted-too", "scratch"}
	cases := []struct {
		name   string
		change func(t *testing.T, o *Options)
		want   []string
	}{
		{"nothing", func(*testing.T, *Options) {}, []string{}},
		{"a part of all", func(t *testing.T, o *Options) { o.Parts["tool"] = withKey(o.Parts["tool"], "t2") }, []string{"node", "rooted", "scratch"}},
		{"the root", func(t *testing.T, o *Options) { o.Parts["root"] = withKey(o.Parts["root"], "r2") }, []string{"node", "rooted", "rooted-too"}},
		{"a part nobody uses", func(t *testing.T, o *Options) { o.Parts["else"] = Part{Key: "x"} }, []string{}},
		{"a recipe", func(t *testing.T, o *Options) {
			o.Recipes = parse(t, strings.Replace(recipes, "cmd: [serve]", "cmd: [run]", 1))
		}, []string{"node", "scratch"}},
		{"a lost layer", func(t *testing.T, o *Options) { spoil(t, o, os.Remove) }, []string{"rooted", "rooted-too"}},
		{"a layer cut off", func(t *testing.T, o *Options) {
			spoil(t, o, func(file string) error { return os.Truncate(file, 10) })
		}, []string{"rooted", "rooted-too"}},
		{"an index that is none", func(t *testing.T, o *Options) { write(t, filepath.Join(o.Cache, "images/index.json"), 0o644, "{") }, []string{"rooted", "rooted-too", "scratch"}},
		{"a damaged manifest", func(t *testing.T, o *Options) {
			s, err := openStore(filepath.Join(o.Cache, "images"))
			if err != nil {
				t.Fatal(err)
			}
			d, _, _ := s.find("rig.local/rooted-too:trixie")
			flip(t, s.blob(d.Digest))
		}, []string{"rooted-too"}},
		{"a node archive cut off", func(t *testing.T, o *Options) {
			found, err := filepath.Glob(filepath.Join(o.Cache, "node/*.tar"))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			if err := os.Truncate(found[0], 4000); err != nil {
				t.Fatal(err)
			}
		}, []string{"node"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()}
			first, names := built(t, o)
			if !slices.Equal(names, all) {
				t.Fatalf("the first run built %v", names)
			}
			write(t, filepath.Join(o.Cache, "images/blobs/sha256/.new-1"), 0o644, "of a killed build")
			write(t, filepath.Join(o.Cache, "node/.new-1/layer"), 0o644, "of a killed build")
			c.change(t, &o)
			second, names := built(t, o)
			if slices.Contains(names, "rooted") && strings.Contains(c.name, "layer") {
				// Once one image has the layer again, the other has it too.
				names = slices.Compact(slices.Sorted(slices.Values(append(names, "rooted-too"))))
			}
			if !slices.Equal(names, c.want) && !(strings.Contains(c.name, "layer") && slices.Equal(names, []string{"rooted-too"})) {
				t.Errorf("built %v, want %v", names, c.want)
			}
			if _, names := built(t, o); len(names) > 0 {
				t.Errorf("the third run built %v", names)
			}
			if strings.Contains(c.name, "damaged") || strings.Contains(c.name, "lost") || strings.Contains(c.name, "cut off") {
				for i := range first.Images {
					if first.Images[i].Digest != second.Images[i].Digest {
						t.Errorf("%s became another image", first.Images[i].Name)
					}
				}
			}
			onlyNeeded(t, second)
		})
	}
}

func withKey(p Part, key string) Part { p.Key = key; return p }

// spoil does something to the blob of the shared root.
func spoil(t *testing.T, o *Options, do func(string) error) {
	t.Helper()
	s, err := openStore(filepath.Join(o.Cache, "images"))
	if err != nil {
		t.Fatal(err)
	}
	_, img, ok := s.find("rig.local/rooted-too:trixie")
	if !ok {
		t.Fatal("no image")
	}
	if err := do(img.layers[0].file); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, file, 0o644, string(data))
}

// onlyNeeded checks that the cache holds nothing that no image needs.
func onlyNeeded(t *testing.T, r Result) {
	t.Helper()
	s, err := openStore(r.Layout)
	if err != nil {
		t.Fatal(err)
	}
	needed := map[string]bool{}
	for _, d := range s.index.Manifests {
		img, err := s.open(d)
		if err != nil {
			t.Fatal(err)
		}
		needed[d.Digest.Hex], needed[img.manifest.Config.Digest.Hex] = true, true
		for _, l := range img.layers {
			needed[l.digest.Hex] = true
		}
	}
	for dir, want := range map[string]int{s.blobs(): len(needed), filepath.Dir(r.Node.File): 1} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != want {
			t.Errorf("%s holds %v, want %d files (%v)", dir, entries, want, err)
		}
	}
}

// A flipped bit in a layer is found by whoever reads it, at the latest at its end.
func TestDamagedLayerIsFound(t *testing.T) {
	o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()}
	r, _ := built(t, o)
	img := imageOf(t, r, "rooted")
	flip(t, img.layers[0].file)
	for what, open := range map[string]func() (io.ReadCloser, error){"packed": img.layers[0].Compressed, "plain": img.layers[0].Uncompressed} {
		in, err := open()
		if err == nil {
			_, err = io.Copy(io.Discard, in)
			in.Close()
		}
		var damage *CorruptError
		if !errors.As(err, &damage) || damage.File != img.layers[0].file {
			t.Errorf("%s: %v", what, err)
		}
	}
	flip(t, img.layers[0].file) // it is whole again
	// The node holds the image, and says which file is damaged, wherever that is;
	// unless what is unpacked is the same.
	o.Recipes = parse(t, strings.Replace(recipes, "names.txt", "list.txt", 1))
	whole, err := os.ReadFile(img.layers[0].file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		torn := bytes.Clone(whole)
		torn[i] ^= 1
		write(t, img.layers[0].file, 0o644, string(torn))
		var tar []byte
		if in, err := img.layers[0].Uncompressed(); err == nil {
			tar, err = io.ReadAll(in)
			in.Close()
			if err == nil && len(tar) > 0 {
				continue // a byte of the header that says nothing of the content
			}
		}
		_, err := Build(t.Context(), o)
		var damage *CorruptError
		if !errors.As(err, &damage) || damage.File != img.layers[0].file {
			t.Errorf("byte %d of %d: got %v", i, len(whole), err)
		}
	}
	// Without the folder that has the file, all is as it was.
	if err := os.RemoveAll(r.Layout); err != nil {
		t.Fatal(err)
	}
	again, _ := built(t, o)
	for i := range r.Images {
		if again.Images[i].Digest != r.Images[i].Digest {
			t.Errorf("%s became another image", r.Images[i].Name)
		}
	}
}

// A part is read before anything is packed from it, once, and not at all when
// everything is packed already.
func TestPartIsChecked(t *testing.T) {
	o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()}
	var read, bad atomic.Int32 // reads of the parts; which of them is damaged
	damage := fault.New(fault.StepFailed, "part root is not what was built", "root.tar has another sum", "rm -r it")
	for i, name := range []string{"tool", "root"} {
		p := o.Parts[name]
		p.Check = func() error {
			read.Add(1)
			if bad.Load() == int32(i) {
				return damage
			}
			return nil
		}
		o.Parts[name] = p
	}
	unused := 0
	o.Parts["else"] = Part{Key: "x", Check: func() error { unused++; return damage }}

	bad.Store(1)
	_, err := Build(t.Context(), o)
	if !errors.Is(err, damage) || fault.Text(err) != fault.Text(damage) {
		t.Errorf("got %v", err)
	}
	s, err := openStore(filepath.Join(o.Cache, "images"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.index.Manifests {
		if d.Annotations[RefName] != "rig.local/scratch:1.2.3-0" {
			t.Errorf("%s was packed from a damaged part", d.Annotations[RefName])
		}
		if _, err := s.open(d); err != nil {
			t.Errorf("half an image: %v", err)
		}
	}
	entries, err := os.ReadDir(s.blobs())
	if err != nil || len(entries) > 3 {
		t.Errorf("the layout has %v (%v), more than one image", entries, err)
	}
	if node, _ := filepath.Glob(filepath.Join(o.Cache, "node", "*")); len(node) > 0 {
		t.Errorf("there is %v", node)
	}

	bad.Store(-1)
	read.Store(0)
	if r, _ := built(t, o); read.Load() != 2 {
		t.Errorf("two parts were read %d times", read.Load())
	} else {
		onlyNeeded(t, r)
	}
	read.Store(0)
	if _, names := built(t, o); len(names) > 0 || read.Load() != 0 {
		t.Errorf("with everything packed, %v are packed and %d parts read", names, read.Load())
	}
	o.Recipes = parse(t, strings.Replace(recipes, "cmd: [serve]", "cmd: [run]", 1))
	o.Recipes.Images = o.Recipes.Images[:1] // scratch, of the tool alone
	if _, names := built(t, o); len(names) != 1 || read.Load() != 1 || unused != 0 {
		t.Errorf("for an image of one part, %v are packed and %d parts read", names, read.Load())
	}
}

func TestStoppedBuild(t *testing.T) {
	o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := Build(ctx, o)
	if fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("a stopped build says %v", err)
	}
	if _, names := built(t, o); len(names) != 4 {
		t.Errorf("after it, only %v are built", names)
	}
}

func TestMissingThings(t *testing.T) {
	cases := []struct {
		name   string
		change func(t *testing.T, o *Options)
		want   string
	}{
		{"a part", func(_ *testing.T, o *Options) { delete(o.Parts, "root") }, "the image recipes need the part root"},
		{"a file", func(t *testing.T, o *Options) {
			if err := os.Remove(filepath.Join(o.Parts["tool"].Dir, "bin/tool")); err != nil {
				t.Fatal(err)
			}
		}, "the part tool has no bin/tool"},
		{"a root", func(t *testing.T, o *Options) {
			if err := os.Remove(filepath.Join(o.Parts["root"].Dir, "root.tar")); err != nil {
				t.Fatal(err)
			}
		}, "the part root has no root.tar"},
		{"jars", func(t *testing.T, o *Options) {
			if err := os.RemoveAll(filepath.Join(o.Parts["tool"].Dir, "lib")); err != nil {
				t.Fatal(err)
			}
		}, "the part tool has no lib/*.jar"},
		{"difference between two references", func(t *testing.T, o *Options) {
			o.Recipes = parse(t, strings.Replace(recipes, "rig.local/rooted-too:${root}", "rig.local/rooted:trixie", 1))
		}, "two images have the name rig.local/rooted:trixie"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir()}
			c.change(t, &o)
			_, err := Build(t.Context(), o)
			if text := fault.Text(err); err == nil || !strings.Contains(text, c.want) || !strings.Contains(text, "next: ") {
				t.Errorf("got %q, want %q and what to do", text, c.want)
			}
		})
	}
}

func TestExtraImages(t *testing.T) {
	dir := t.TempDir()
	saved := func(file, reference, arch string) {
		img := randomImage(t, arch)
		tag := mustTag(t, reference)
		if err := tarball.WriteToFile(filepath.Join(dir, file), tag, img); err != nil {
			t.Fatal(err)
		}
	}
	saved("operator.tar", "quay.io/strimzi/operator:1.2.0", runtime.GOARCH)
	write(t, filepath.Join(dir, "README"), 0o644, "not an image")
	path, err := layout.Write(filepath.Join(dir, "layout"), emptyIndex())
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(randomImage(t, runtime.GOARCH), layout.WithAnnotations(map[string]string{RefName: "example.org/two:2"})); err != nil {
		t.Fatal(err)
	}
	o := Options{Recipes: parse(t, recipes), Parts: fakeParts(t), Cache: t.TempDir(), Extra: []string{dir}}
	r, names := built(t, o)
	if len(r.Images) != 5 || len(names) != 6 {
		t.Fatalf("got %v, built %v", r.Images, names)
	}
	for _, i := range r.Images {
		if i.Extra != slices.Contains([]string{"quay.io/strimzi/operator:1.2.0", "example.org/two:2"}, i.Reference) {
			t.Errorf("%+v", i)
		}
	}
	if again, names := built(t, o); len(names) != 0 || len(again.Images) != 5 {
		t.Errorf("a second run gives %v and builds %v", again.Images, names)
	}
	o.Extra = nil
	if without, _ := built(t, o); len(without.Images) != 3 {
		t.Errorf("without the folder there are %v", without.Images)
	}

	for _, c := range []struct {
		name   string
		change func()
		want   string
	}{
		{"the same twice", func() { saved("again.tar", "quay.io/strimzi/operator:1.2.0", runtime.GOARCH) }, "comes from"},
		{"a name of ours", func() { saved("again.tar", "rig.local/rooted:trixie", runtime.GOARCH) }, "the rig builds rig.local/rooted:trixie itself"},
		{"another platform", func() { saved("again.tar", "example.org/x:1", "s390x") }, "is for linux/s390x"},
		{"no archive", func() { write(t, filepath.Join(dir, "again.tar"), 0o644, "text") }, "again.tar"},
		{"a compressed one", func() { write(t, filepath.Join(dir, "again.tar.gz"), 0o644, "text") }, "again.tar.gz is compressed"},
		{"nothing", func() {
			for _, name := range []string{"operator.tar", "again.tar.gz", "layout"} {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}, "there is neither a .tar file in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change()
			defer os.Remove(filepath.Join(dir, "again.tar"))
			o.Extra = []string{dir}
			_, err := Build(t.Context(), o)
			text := fault.Text(err)
			if err == nil || !strings.Contains(text, c.want) || !strings.Contains(text, dir) || !strings.Contains(text, "next: ") {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func randomImage(t *testing.T, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return withPlatform(t, img, arch)
}
