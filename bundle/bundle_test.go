package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/alertlab/alertlab/bundle"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c := sample(t)
	path, content := saved(t, c)
	must(t, bundle.Verify(context.Background(), path, nil))
	b := opened(t, path)

	if got := b.About(); got != (bundle.About{Stack: "summit", Profile: "small", Platform: "linux/amd64", CreatedBy: "alertlab test"}) {
		t.Errorf("about %+v", got)
	}
	var refs []string
	for _, e := range b.Images() {
		refs = append(refs, e.Reference)
	}
	if want := []string{redis, other, pause}; !slices.Equal(refs, want) {
		t.Errorf("images %q, want %q", refs, want)
	}
	for _, a := range c.Sources[0].(bundle.Images) {
		img, err := b.Image(a.Reference)
		must(t, err)
		must(t, validate.Image(img))
		want, _ := a.Image.Digest()
		if got, err := img.Digest(); err != nil || got != want {
			t.Errorf("%s has digest %s, %v, and went in with %s", a.Reference, got, err, want)
		}
	}
	charts := b.Charts()
	if len(charts) != 2 || charts[0].Name != "argo-cd" || charts[0].Version != "7.0.0+a.1" || charts[1].Reference != "kafka:1.2.3" {
		t.Errorf("charts %+v", charts)
	}
	original, err := os.ReadFile(c.Sources[1].(bundle.Charts)[1])
	must(t, err)
	rc, err := b.ChartArchive("argo-cd", "7.0.0+a.1")
	if got := readAll(t, rc, err); !bytes.Equal(got, original) {
		t.Error("the chart's archive is another one")
	}
	img, err := b.Chart("kafka", "1.2.3")
	must(t, err)
	config, err := img.RawConfigFile()
	must(t, err)
	if want := `{"name":"kafka","version":"1.2.3","description":"made for a test","apiVersion":"v2","appVersion":"1.10"}`; string(config) != want {
		t.Errorf("config of the chart:\n%s\nwant\n%s", config, want)
	}

	names, _ := tarEntries(t, content)
	if !slices.Equal(names[:2], []string{"oci-layout", "index.json"}) {
		t.Errorf("the archive begins with %q", names[:2])
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("entries twice in %q", names)
	}
	// 3 manifests, 3 configs, 4 layers of images, one of them shared; 2 times 3 of charts.
	if want := 2 + 10 + 6; len(names) != want {
		t.Errorf("%d entries, want %d", len(names), want)
	}
	for _, ask := range []func() error{
		func() error { _, err := b.Image("pause:9"); return err },
		func() error { _, err := b.ChartArchive("kafka", "9"); return err },
		func() error {
			_, _, err := b.Blob(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)})
			return err
		},
	} {
		if err := ask(); !errors.Is(err, bundle.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
}

// TestFormat pins the head of a bundle: a change of these bytes is a change of
// the format.
func TestFormat(t *testing.T) {
	t.Parallel()
	path, content := saved(t, bundle.Contents{About: bundle.About{
		Stack: "s", Profile: "p", CreatedBy: "c", Platform: "linux/arm64", Created: time.Date(2031, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600)),
	}})
	const index = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{` +
		`"dev.alertlab.bundle.created-by":"c","dev.alertlab.bundle.format":"1","dev.alertlab.bundle.platform":"linux/arm64",` +
		`"dev.alertlab.bundle.profile":"p","dev.alertlab.bundle.stack":"s","org.opencontainers.image.created":"2031-02-03T03:05:06Z"}}`
	if got := string(content[1536 : 1536+len(index)]); got != index {
		t.Errorf("index\n%s\nwant\n%s", got, index)
	}
	b := opened(t, path)
	want := `{"imageLayoutVersion":"1.0.0","dev.alertlab.bundle.index":{"digest":"` + b.Digest().String() + `","size":343}}`
	if got := strings.TrimRight(string(content[512:1024]), "\x00"); got != want {
		t.Errorf("oci-layout\n%s\nwant\n%s", got, want)
	}
	header := "oci-layout" + strings.Repeat("\x00", 90) + "0000644\x000000000\x000000000\x0000000000232\x0000000000000\x00007752\x00 0"
	if got := string(content[:len(header)]); got != header {
		t.Errorf("header\n%q\nwant\n%q", got, header)
	}
	if !b.About().Created.Equal(time.Date(2031, 2, 3, 3, 5, 6, 0, time.UTC)) {
		t.Error(b.About().Created)
	}
}

func TestSameContentSameBytes(t *testing.T) {
	t.Parallel()
	c := sample(t)
	_, first := saved(t, c)
	slices.Reverse(c.Sources)
	for _, s := range c.Sources {
		if images, ok := s.(bundle.Images); ok {
			slices.Reverse(images)
		}
	}
	path, second := saved(t, c)
	if !bytes.Equal(first, second) {
		t.Error("the order of the sources shows in the bundle")
	}
	_, third := saved(t, bundle.Contents{About: c.About, Sources: []bundle.Source{opened(t, path)}})
	if !bytes.Equal(first, third) {
		t.Error("a bundle of a bundle is another one")
	}
	_, fourth := saved(t, bundle.Contents{About: bundle.About{Stack: "summit", Profile: "large"}, Sources: c.Sources})
	if bytes.Equal(first, fourth) {
		t.Error("the profile does not show in the bundle")
	}
}

// TestSources saves the same images from an OCI image layout, from archives and
// from a registry's kind of index, and expects the same image in each.
func TestSources(t *testing.T) {
	t.Parallel()
	amd, arm := image(t, "amd64", layer(1, 1000)), image(t, "arm64", layer(2, 1000))
	digest := func(img v1.Image) v1.Hash {
		h, err := img.Digest()
		must(t, err)
		return h
	}
	dir := filepath.Join(t.TempDir(), "layout")
	l, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, l.AppendImage(amd, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": pause})))
	both := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	must(t, l.AppendIndex(both, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "8.0", "io.containerd.image.name": "redis:8.0"})))

	docker := filepath.Join(t.TempDir(), "docker.tar")
	tag, err := name.NewTag("redis:8.0")
	must(t, err)
	must(t, tarball.WriteToFile(docker, tag, amd))
	own, _ := saved(t, bundle.Contents{Sources: []bundle.Source{bundle.Layout{Dir: dir}}})

	for _, c := range []struct {
		name string
		bundle.Source
		platform string
		refs     []string
		digest   v1.Hash
	}{
		{"layout", bundle.Layout{Dir: dir}, "", []string{redis, pause}, digest(amd)},
		{"picked", bundle.Layout{Dir: dir, References: []string{"redis:8.0"}}, "", []string{redis}, digest(amd)},
		{"picked for another platform", bundle.Layout{Dir: dir, References: []string{redis}}, "linux/arm64", []string{}, digest(arm)},
		{"own archive", bundle.Archives{own}, "", []string{redis, pause}, digest(amd)},
		// docker save keeps no digests: only the content is the same.
		{"docker archive", bundle.Archives{docker}, "", []string{redis}, v1.Hash{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, _ := saved(t, bundle.Contents{About: bundle.About{Platform: c.platform}, Sources: []bundle.Source{c.Source}})
			must(t, bundle.Verify(context.Background(), path, nil))
			if c.platform == "linux/arm64" {
				c.refs = []string{redis}
			}
			var refs []string
			for _, e := range opened(t, path).Images() {
				refs = append(refs, e.Reference)
				if (c.digest != v1.Hash{}) && e.Digest != c.digest {
					t.Errorf("%s has digest %s, want %s", e.Reference, e.Digest, c.digest)
				}
			}
			if !slices.Equal(refs, c.refs) {
				t.Errorf("images %q, want %q", refs, c.refs)
			}
		})
	}
}

func TestRefusedContents(t *testing.T) {
	t.Parallel()
	amd, arm := image(t, "amd64", layer(1, 10)), image(t, "arm64", layer(1, 10))
	foreign, err := mutate.AppendLayers(amd, static.NewLayer([]byte("x"), types.OCIRestrictedLayer))
	must(t, err)
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.tgz")
	must(t, os.WriteFile(broken, []byte("no gzip"), 0o600))
	amdDigest, _ := amd.Digest()
	armDigest, _ := arm.Digest()
	for _, c := range []struct {
		name    string
		source  bundle.Source
		want    error
		mention string
	}{
		{"other platform", bundle.Images{{Reference: pause, Image: arm}}, bundle.ErrPlatform, "linux/arm64"},
		{"no platform", bundle.Images{{Reference: pause, Image: empty.Image}}, bundle.ErrPlatform, pause},
		{"no tag", bundle.Images{{Reference: "registry.k8s.io/pause", Image: amd}}, bundle.ErrReference, "neither tag nor digest"},
		{"other digest", bundle.Images{{Reference: "pause@" + armDigest.String(), Image: amd}}, bundle.ErrReference, amdDigest.String()},
		{"one name twice", bundle.Images{{Reference: pause, Image: amd}, {Reference: pause, Image: image(t, "amd64")}}, bundle.ErrSource, "two different"},
		{"restricted layer", bundle.Images{{Reference: pause, Image: foreign}}, bundle.ErrSource, "may not be distributed"},
		{"no chart", bundle.Charts{broken}, bundle.ErrChart, "broken.tgz"},
		{"chart's version", bundle.Charts{chart(t, dir, "a", "new")}, bundle.ErrChart, `"new"`},
		{"chart's name", bundle.Charts{chart(t, dir, "A", "1.0.0")}, bundle.ErrChart, `"A"`},
		{"no layout", bundle.Layout{Dir: dir}, bundle.ErrSource, dir},
		{"no archive", bundle.Archives{broken}, bundle.ErrSource, "broken.tgz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.tar")
			_, err := bundle.Save(context.Background(), path, bundle.Contents{Sources: []bundle.Source{c.source}}, nil)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.mention) {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	_, err = bundle.Save(context.Background(), "x", bundle.Contents{About: bundle.About{Platform: "linux"}}, nil)
	if !errors.Is(err, bundle.ErrPlatform) {
		t.Error(err)
	}
	_, err = bundle.Save(context.Background(), "x.partial", bundle.Contents{}, nil)
	if !errors.Is(err, bundle.ErrPartial) {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	img := image(t, "amd64", layer(1, 10))
	raw, err := img.RawManifest()
	must(t, err)
	var m v1.Manifest
	must(t, json.Unmarshal(raw, &m))
	m.Layers[0].Size = 1 << 33
	huge, err := json.Marshal(m)
	must(t, err)
	_, err = bundle.Save(context.Background(), filepath.Join(t.TempDir(), "x.tar"),
		bundle.Contents{Sources: []bundle.Source{bundle.Images{{Reference: pause, Image: otherManifest{img, huge}}}}}, nil)
	if !errors.Is(err, bundle.ErrSource) || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// otherManifest is an image that announces something else than it has.
type otherManifest struct {
	v1.Image
	raw []byte
}

func (o otherManifest) RawManifest() ([]byte, error) { return o.raw, nil }

func TestReferences(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, text := range []string{"registry.example:5000/site", "registry.example:5000/site/"} {
		if got, err := bundle.RegistryAt(text).Image("docker.io/apache/kafka:4.3.1"); err != nil || got != "registry.example:5000/site/docker.io/apache/kafka:4.3.1" {
			t.Errorf("%s, %v", got, err)
		}
	}
	site := bundle.Registry{Host: "Registry.Site.example:5000", Prefix: "/mirror/alerts/"}
	for _, c := range []struct{ in, full, target string }{
		{"redis:8.0", redis, "registry.site.example:5000/mirror/alerts/docker.io/library/redis:8.0"},
		{"index.docker.io/library/redis:8.0", redis, "registry.site.example:5000/mirror/alerts/docker.io/library/redis:8.0"},
		{"docker.io/traefik:v3", "docker.io/library/traefik:v3", "registry.site.example:5000/mirror/alerts/docker.io/library/traefik:v3"},
		{"apache/kafka:4.3.1", "docker.io/apache/kafka:4.3.1", "registry.site.example:5000/mirror/alerts/docker.io/apache/kafka:4.3.1"},
		{pause, pause, "registry.site.example:5000/mirror/alerts/registry.k8s.io/pause:3.10.1"},
		{"localhost:5000/x:1", "localhost:5000/x:1", "registry.site.example:5000/mirror/alerts/localhost_5000/x:1"},
		{"localhost/x:1", "localhost/x:1", "registry.site.example:5000/mirror/alerts/localhost/x:1"},
		{"a.b/c@" + digest, "a.b/c@" + digest, "registry.site.example:5000/mirror/alerts/a.b/c@" + digest},
		{"a.b/c:1@" + digest, "a.b/c@" + digest, "registry.site.example:5000/mirror/alerts/a.b/c@" + digest},
		{"A.B/c_d__e-f.g:V_1", "a.b/c_d__e-f.g:V_1", "registry.site.example:5000/mirror/alerts/a.b/c_d__e-f.g:V_1"},
		{in: ""}, {in: "x"}, {in: "x:"}, {in: ":1"}, {in: "a.b/:1"}, {in: "a.b/../c:1"}, {in: "a.b//c:1"}, {in: "a.b/C:1"},
		{in: "a..b/c:1"}, {in: "[::1]:5000/c:1"}, {in: "a.b:x/c:1"}, {in: "a.b/c:.1"}, {in: "a.b/c@sha256:12"}, {in: "a.b/c@sha512:" + strings.Repeat("a", 128)},
		{in: "a.b/" + strings.Repeat("c", 252) + ":1"}, {in: "a b:1"}, {in: "a\x00b:1"},
	} {
		full, err := bundle.Normalize(c.in)
		if full != c.full || (c.full == "") != errors.Is(err, bundle.ErrReference) {
			t.Errorf("%q: %q, %v, want %q", c.in, full, err, c.full)
		}
		target, err := site.Image(c.in)
		if target != c.target || (c.full == "") != errors.Is(err, bundle.ErrReference) {
			t.Errorf("%q goes to %q, %v, want %q", c.in, target, err, c.target)
		}
	}
	for _, c := range []struct {
		registry            bundle.Registry
		name, version, want string
	}{
		{site, "kafka", "1.2.3", "registry.site.example:5000/mirror/alerts/charts/kafka:1.2.3"},
		{bundle.Registry{Host: "r.example"}, "argo-cd", "v7.0.0-rc.1+b.2", "r.example/charts/argo-cd:v7.0.0-rc.1_b.2"},
		{bundle.Registry{Host: "[::1]:5000"}, "a", "1", "[::1]:5000/charts/a:1"},
		{bundle.Registry{Host: "localhost"}, "a", "1", "localhost/charts/a:1"},
		{bundle.Registry{Host: "registry"}, "a", "1", ""},
		{bundle.Registry{Host: "https://r.example"}, "a", "1", ""},
		{bundle.Registry{Host: ""}, "a", "1", ""},
		{bundle.Registry{Host: "r.example", Prefix: "a/../b"}, "a", "1", ""},
		{bundle.Registry{Host: "r.example"}, "a/b", "1", ""},
	} {
		if got, err := c.registry.Chart(c.name, c.version); got != c.want || (c.want == "") != (err != nil) {
			t.Errorf("chart %s %s in %q: %q, %v, want %q", c.name, c.version, c.registry.Host, got, err, c.want)
		}
	}
}

// FuzzReference looks for references that two parsers read differently, and for
// targets that leave the prefix.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"redis:8.0", pause, other, "a.b/c@sha256:" + strings.Repeat("0", 64), "a.b/../c:1", "x", "0:0.."} {
		f.Add(s)
	}
	site := bundle.Registry{Host: "site.example", Prefix: "mirror"}
	f.Fuzz(func(t *testing.T, in string) {
		full, err := bundle.Normalize(in)
		if err != nil {
			if !errors.Is(err, bundle.ErrReference) {
				t.Fatal(err)
			}
			return
		}
		if again, err := bundle.Normalize(full); err != nil || again != full {
			t.Fatalf("%q becomes %q, then %q, %v", in, full, again, err)
		}
		target, err := site.Image(in)
		if err != nil {
			return // too long with the prefix
		}
		path, ok := strings.CutPrefix(target, "site.example/mirror/")
		if parts := strings.Split(path, "/"); !ok || slices.Contains(parts, "..") || slices.Contains(parts, ".") || slices.Contains(parts, "") {
			t.Fatalf("%q goes to %q", in, target)
		}
		for _, text := range []string{full, target} {
			ref, err := name.ParseReference(text, name.StrictValidation)
			if err != nil {
				t.Fatalf("go-containerregistry does not read %q: %v", text, err)
			}
			if got := strings.Replace(ref.Name(), "index.docker.io/", "docker.io/", 1); got != text {
				t.Fatalf("go-containerregistry reads %q as %q", text, got)
			}
		}
		if back := strings.Replace(path, "_", ":", 1); path != full && back != full {
			t.Fatalf("%q cannot be read back from %q", full, target)
		}
	})
}

func TestWriteImages(t *testing.T) {
	t.Parallel()
	path, _ := saved(t, sample(t))
	b := opened(t, path)
	var out bytes.Buffer
	must(t, b.WriteImages(context.Background(), &out, "redis:8.0", pause, redis))
	part, err := bundle.Read(bytes.NewReader(out.Bytes()), int64(out.Len()))
	must(t, err)
	must(t, part.Verify(context.Background(), nil))
	if got := part.Images(); len(got) != 2 || len(part.Charts()) != 0 {
		t.Errorf("%+v", got)
	}
	want := slices.DeleteFunc(b.Images(), func(e bundle.Entry) bool { return e.Reference == other })
	got := part.Images()
	slices.SortFunc(got, func(a, b bundle.Entry) int { return strings.Compare(a.Reference, b.Reference) })
	slices.SortFunc(want, func(a, b bundle.Entry) int { return strings.Compare(a.Reference, b.Reference) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
