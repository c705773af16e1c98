package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/alertlab/alertlab/bundle"
)

// small is a bundle of few bytes with all kinds of entries.
func small(t testing.TB) bundle.Contents {
	shared := layer(1, 300)
	return bundle.Contents{
		About: bundle.About{Stack: "summit", Profile: "small"},
		Sources: []bundle.Source{
			bundle.Images{
				{Reference: redis, Image: image(t, "amd64", shared, layer(2, 20))},
				{Reference: pause, Image: image(t, "amd64", shared)},
			},
			bundle.Charts{chart(t, t.TempDir(), "kafka", "1.2.3")},
		},
	}
}

func verifyBytes(t testing.TB, content []byte) []*bundle.Problem {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.tar")
	must(t, os.WriteFile(path, content, 0o600))
	err := bundle.Verify(context.Background(), path, nil)
	if err == nil {
		return nil
	}
	var d *bundle.DamageError
	if !errors.As(err, &d) {
		t.Fatal(err)
	}
	if len(d.Problems) == 0 || d.Path != path {
		t.Fatalf("%+v", d)
	}
	return d.Problems
}

// TestFlippedBit flips bits all over a bundle, one at a time: each is found, and
// named by the region in which it lies and by whom the region belongs to.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	_, content := saved(t, small(t))
	names, sizes := tarEntries(t, content)
	regionOf := func(pos int) (name string, inContent bool) {
		begin := 0
		for i, n := range names {
			end := begin + 512 + (int(sizes[i])+511)/512*512
			if pos < end {
				return n, pos >= begin+512 && pos < begin+512+int(sizes[i])
			}
			begin = end
		}
		return "", false
	}
	path := filepath.Join(t.TempDir(), "x.tar")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	_, err = f.Write(content)
	must(t, err)
	step := 3
	if testing.Short() {
		step = 41
	}
	for pos := 0; pos < len(content); pos += step {
		bit := byte(1) << (pos % 8)
		_, err := f.WriteAt([]byte{content[pos] ^ bit}, int64(pos))
		must(t, err)
		err = bundle.Verify(context.Background(), path, nil)
		_, werr := f.WriteAt(content[pos:pos+1], int64(pos))
		must(t, werr)
		var d *bundle.DamageError
		if !errors.As(err, &d) {
			t.Fatalf("bit at %d: %v", pos, err)
		}
		name, inContent := regionOf(pos)
		found := slices.ContainsFunc(d.Problems, func(p *bundle.Problem) bool {
			covers := p.Offset <= int64(pos) && int64(pos) < p.Offset+p.Size
			if !covers || name != "" && p.Entry != name {
				return false
			}
			// Whatever is a blob has an owner and, if its content is wrong, a digest.
			return !strings.HasPrefix(name, "blobs/") || len(p.Owners) > 0 && (!inContent || p.Digest.Hex == filepath.Base(name))
		})
		if !found {
			t.Fatalf("bit at %d of %q: %v", pos, name, err)
		}
		if strings.HasPrefix(name, "blobs/") && len(d.Problems) != 1 {
			t.Fatalf("bit at %d of %q gives several problems: %v", pos, name, err)
		}
	}
	must(t, bundle.Verify(context.Background(), path, nil))
}

// TestReadDamaged reads from an open bundle whose layer goes bad: the damage is
// named, and no reader gets the whole of it.
func TestReadDamaged(t *testing.T) {
	t.Parallel()
	path, content := saved(t, small(t))
	b := opened(t, path)
	img, err := b.Image(redis)
	must(t, err)
	layers, err := img.Layers()
	must(t, err)
	digest, err := layers[0].Digest()
	must(t, err)
	at := bytes.Index(content, []byte("blobs/sha256/"+digest.Hex)) + 512
	content[at+100] ^= 4
	must(t, os.WriteFile(path, content, 0o600))
	size, _ := layers[0].Size()
	rc, err := layers[0].Compressed()
	must(t, err)
	n, err := bytes.NewBuffer(nil).ReadFrom(rc)
	var p *bundle.Problem
	if !errors.As(err, &p) || p.Digest != digest || !slices.Equal(p.Owners, []string{redis, pause}) || p.Offset != int64(at) || !errors.Is(err, bundle.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if n >= size {
		t.Errorf("%d of %d bytes of a damaged blob were handed out", n, size)
	}
}

// chunk is an entry of an archive with its header and padding.
type chunk struct {
	name string
	data []byte
}

func chunks(t testing.TB, content []byte) []chunk {
	t.Helper()
	names, sizes := tarEntries(t, content)
	var list []chunk
	pos := 0
	for i, n := range names {
		end := pos + 512 + (int(sizes[i])+511)/512*512
		list = append(list, chunk{n, content[pos:end]})
		pos = end
	}
	return list
}

func joined(list []chunk) []byte {
	var b []byte
	for _, c := range list {
		b = append(b, c.data...)
	}
	return append(b, make([]byte, 1024)...)
}

// entry makes a chunk with any header.
func entry(t testing.TB, h tar.Header, data string) chunk {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h.Size = int64(len(data))
	must(t, w.WriteHeader(&h))
	_, err := w.Write([]byte(data))
	must(t, err)
	must(t, w.Flush())
	return chunk{h.Name, b.Bytes()}
}

// hugeEntry has a header that announces more than any file has.
func hugeEntry(t testing.TB, name string) chunk {
	t.Helper()
	var b bytes.Buffer
	must(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Size: 1 << 60, Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatGNU}))
	return chunk{name, b.Bytes()}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	_, content := saved(t, small(t))
	whole := chunks(t, content)
	last := len(whole) - 1
	insert := func(i int, c ...chunk) []byte { return joined(slices.Insert(slices.Clone(whole), i, c...)) }
	without := func(i int) []byte { return joined(slices.Delete(slices.Clone(whole), i, i+1)) }
	type want struct {
		err   error
		entry string
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    []want
	}{
		{"nothing", nil, []want{{bundle.ErrTruncated, "oci-layout"}}},
		{"text", []byte(strings.Repeat("hello ", 1000)), []want{{bundle.ErrFormat, "oci-layout"}}},
		{"another archive", joined([]chunk{entry(t, tar.Header{Name: "manifest.json", Mode: 0o644}, "[]")}), []want{{bundle.ErrFormat, "oci-layout"}}},
		{"a layer is missing", without(last), []want{{bundle.ErrMissing, whole[last].name}}},
		{"a layer in the middle is missing", without(last - 2), []want{{bundle.ErrMissing, whole[last-2].name}}},
		{"two are missing", joined(slices.Delete(slices.Clone(whole), last-2, last)), []want{{bundle.ErrMissing, whole[last-2].name}, {bundle.ErrMissing, whole[last-1].name}}},
		{"unknown file at the end", insert(last+1, entry(t, tar.Header{Name: "README", Mode: 0o644}, "hi")), []want{{bundle.ErrUnknownEntry, "README"}}},
		{"unknown file in the middle", insert(last-1, entry(t, tar.Header{Name: "README", Mode: 0o644}, "hi")), []want{{bundle.ErrUnknownEntry, "README"}}},
		{"unknown files before the manifests", insert(2, entry(t, tar.Header{Name: "a", Mode: 0o644}, "hi"), entry(t, tar.Header{Name: "b/", Typeflag: tar.TypeDir}, "")),
			[]want{{bundle.ErrUnknownEntry, "a"}, {bundle.ErrUnknownEntry, "b/"}}},
		{"a blob twice", insert(last+1, whole[last]), []want{{bundle.ErrUnknownEntry, whole[last].name}}},
		{"out of the archive", insert(last, entry(t, tar.Header{Name: "../../etc/passwd", Mode: 0o644}, "x")), []want{{bundle.ErrName, "../../etc/passwd"}}},
		{"out of the archive by a detour", insert(last, entry(t, tar.Header{Name: "blobs/../../x", Mode: 0o644}, "x")), []want{{bundle.ErrName, "blobs/../../x"}}},
		{"absolute", insert(last, entry(t, tar.Header{Name: "/etc/passwd", Mode: 0o644}, "x")), []want{{bundle.ErrName, "/etc/passwd"}}},
		{"link", insert(last, entry(t, tar.Header{Name: "blobs/x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, "")), []want{{bundle.ErrName, "blobs/x"}}},
		{"link in place of a blob", joined(append(slices.Clone(whole[:last]), entry(t, tar.Header{Name: whole[last].name, Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""))),
			[]want{{bundle.ErrName, whole[last].name}, {bundle.ErrMissing, whole[last].name}}},
		{"terminal codes in a name", insert(last, entry(t, tar.Header{Name: "a\x1b[31m", Mode: 0o644}, "x")), []want{{bundle.ErrUnknownEntry, "a?[31m"}}},
		{"wrong size", joined(append(slices.Clone(whole[:last]), entry(t, tar.Header{Name: whole[last].name, Mode: 0o644}, "short"))), []want{{bundle.ErrWrongSize, whole[last].name}}},
		{"huge size", insert(last, hugeEntry(t, "big")), []want{{bundle.ErrWrongSize, "big"}, {bundle.ErrMissing, whole[last].name}}},
		{"huge size of a blob", joined(append(slices.Clone(whole[:last]), hugeEntry(t, whole[last].name))), []want{{bundle.ErrWrongSize, whole[last].name}}},
		{"bytes behind the end", append(bytes.Clone(content), "x"...), []want{{bundle.ErrUnknownEntry, ""}}},
		{"zeros behind the end", append(bytes.Clone(content), make([]byte, 5120)...), []want{{bundle.ErrUnknownEntry, ""}}},
		{"no end", content[:len(content)-1024], []want{{bundle.ErrTruncated, ""}}},
		{"half an end", content[:len(content)-512], []want{{bundle.ErrTruncated, ""}}},
		{"end within the last blob", content[:len(content)-1024-1], []want{{bundle.ErrTruncated, whole[last].name}}},
		{"end before the last blob", content[:len(content)-1024-len(whole[last].data)], []want{{bundle.ErrMissing, whole[last].name}}},
		{"other owner", joined(append(slices.Clone(whole[:last]), chunk{"", withTime(whole[last].data)})), []want{{bundle.ErrDamaged, whole[last].name}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			problems := verifyBytes(t, c.content)
			var got []want
			for _, p := range problems {
				for _, kind := range []error{bundle.ErrFormat, bundle.ErrTruncated, bundle.ErrDamaged, bundle.ErrMissing, bundle.ErrWrongSize, bundle.ErrUnknownEntry, bundle.ErrName, bundle.ErrLimit} {
					if errors.Is(p, kind) {
						got = append(got, want{kind, p.Entry})
					}
				}
				if p.Digest != (v1.Hash{}) && len(p.Owners) == 0 {
					t.Errorf("nobody owns it: %v", p)
				}
			}
			slices.SortStableFunc(got, func(a, b want) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			slices.SortStableFunc(c.want, func(a, b want) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			if !slices.Equal(got, c.want) {
				t.Errorf("found %v\nwant  %v", got, c.want)
			}
			// Open need not see damage that leaves the length as it is.
			if _, err := bundle.Read(bytes.NewReader(c.content), int64(len(c.content))); err == nil && len(c.content) != len(content) {
				t.Error("Read opens it")
			}
		})
	}
}

// withTime gives an entry a time of modification, with a right checksum.
func withTime(data []byte) []byte {
	data = bytes.Clone(data)
	h, err := tar.NewReader(bytes.NewReader(append(bytes.Clone(data), make([]byte, 1024)...))).Next()
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	h.ModTime = h.ModTime.AddDate(10, 0, 0)
	h.Format = tar.FormatUSTAR
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		panic(err)
	}
	copy(data, b.Bytes())
	return data
}

// TestTruncated cuts a bundle everywhere: it is never opened, and Verify names
// the blobs that it lacks.
func TestTruncated(t *testing.T) {
	t.Parallel()
	_, content := saved(t, small(t))
	for end := 0; end < len(content); end += 131 {
		if _, err := bundle.Read(bytes.NewReader(content[:end]), int64(end)); err == nil {
			t.Fatalf("%d of %d bytes are opened", end, len(content))
		} else if !errors.Is(err, bundle.ErrTruncated) {
			t.Fatalf("%d of %d bytes: %v", end, len(content), err)
		}
		b := verifyBytes(t, content[:end])
		if len(b) == 0 {
			t.Fatalf("%d of %d bytes pass", end, len(content))
		}
	}
}

// FuzzOpen reads arbitrary bytes. Whatever passes Verify is a bundle whose every
// part can be read.
func FuzzOpen(f *testing.F) {
	_, content := saved(f, small(f))
	f.Add(content)
	f.Add(content[:len(content)/2])
	f.Add(joined(chunks(f, content)[:3]))
	_, none := saved(f, bundle.Contents{})
	f.Add(none)
	f.Add([]byte("oci-layout"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Read(bytes.NewReader(data), int64(len(data)))
		sound := bundle.VerifyAt(context.Background(), bytes.NewReader(data), int64(len(data)))
		var d *bundle.DamageError
		if sound != nil && (!errors.As(sound, &d) || len(d.Problems) == 0 || sound.Error() == "") {
			t.Fatalf("%v", sound)
		}
		if err != nil {
			if sound == nil {
				t.Fatalf("Verify passes what Open refuses: %v", err)
			}
			return
		}
		readEverything(t, b, sound)
	})
}

// FuzzIndex puts arbitrary text for the index and one manifest into an archive
// whose digests are right, so that what is behind the digests is reached.
func FuzzIndex(f *testing.F) {
	_, content := saved(f, small(f))
	list := chunks(f, content)
	manifest := bytes.TrimRight(list[2].data[512:], "\x00")
	index := bytes.TrimRight(list[1].data[512:], "\x00")
	f.Add(index, manifest)
	f.Add(bytes.ReplaceAll(index, []byte(`"size":`), []byte(`"size":-`)), manifest)
	f.Add(index, bytes.ReplaceAll(manifest, []byte(`"size":`), []byte(`"size":9999999999`)))
	f.Add(bytes.ReplaceAll(index, []byte("linux"), []byte("x")), manifest)
	f.Add([]byte("{}"), []byte("[]"))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		sum := func(b []byte) string { return digestText(b) }
		// The manifest is the first in the index: give it its new digest.
		old := fmt.Sprintf(`"size":%d,"digest":"%s"`, len(bytes.TrimRight(list[2].data[512:], "\x00")), "sha256:"+filepath.Base(list[2].name))
		index = bytes.ReplaceAll(index, []byte(old), fmt.Appendf(nil, `"size":%d,"digest":"%s"`, len(manifest), sum(manifest)))
		layoutText := fmt.Sprintf(`{"imageLayoutVersion":"1.0.0","dev.alertlab.bundle.index":{"digest":"%s","size":%d}}`, sum(index), len(index))
		file := func(name string, data []byte) chunk {
			return entry(t, tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}, string(data))
		}
		made := slices.Clone(list)
		made[0], made[1] = file("oci-layout", []byte(layoutText)), file("index.json", index)
		made[2] = file("blobs/sha256/"+strings.TrimPrefix(sum(manifest), "sha256:"), manifest)
		data := joined(made)
		b, err := bundle.Read(bytes.NewReader(data), int64(len(data)))
		var d *bundle.DamageError
		if err != nil {
			if !errors.As(err, &d) {
				t.Fatal(err)
			}
			return
		}
		readEverything(t, b, b.Verify(context.Background(), nil))
	})
}

func readEverything(t *testing.T, b *bundle.Bundle, sound error) {
	t.Helper()
	var out bytes.Buffer
	if err := b.WriteImages(context.Background(), &out); err != nil && sound == nil {
		t.Fatal(err)
	}
	for _, c := range b.Charts() {
		rc, err := b.ChartArchive(c.Name, c.Version)
		if err == nil {
			_, err = out.ReadFrom(rc)
		}
		if err != nil && sound == nil {
			t.Fatal(err)
		}
	}
	for _, e := range b.Images() {
		if img, err := b.Image(e.Reference); err != nil && sound == nil {
			t.Fatal(err)
		} else if err == nil {
			_, _ = img.ConfigFile()
		}
	}
}
