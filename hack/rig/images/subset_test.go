package images

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program makes an ELF file that asks for a loader and libraries and has no code.
func program(t *testing.T, loader string, libraries ...string) []byte {
	t.Helper()
	const header, segment, section = 64, 56, 64
	names := "\x00"
	var dynamic bytes.Buffer
	put := func(to *bytes.Buffer, v any) {
		if err := binary.Write(to, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range libraries {
		put(&dynamic, elf.Dyn64{Tag: int64(elf.DT_NEEDED), Val: uint64(len(names))})
		names += l + "\x00"
	}
	put(&dynamic, elf.Dyn64{})
	interp := loader + "\x00"
	at := uint64(header + segment)
	dynamicAt := at + uint64(len(interp))
	namesAt := dynamicAt + uint64(dynamic.Len())
	var out bytes.Buffer
	put(&out, elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: header, Shoff: namesAt + uint64(len(names)),
		Ehsize: header, Phentsize: segment, Phnum: 1, Shentsize: section, Shnum: 3, Shstrndx: 2})
	kind := elf.PT_INTERP
	if loader == "" {
		kind = elf.PT_NOTE
	}
	put(&out, elf.Prog64{Type: uint32(kind), Off: at, Filesz: uint64(len(interp))})
	out.WriteString(interp)
	out.Write(dynamic.Bytes())
	out.WriteString(names)
	put(&out, elf.Section64{})
	put(&out, elf.Section64{Type: uint32(elf.SHT_DYNAMIC), Off: dynamicAt, Size: uint64(dynamic.Len()), Link: 2, Entsize: 16})
	put(&out, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))})
	return out.Bytes()
}

func rootWith(t *testing.T, files map[string][]byte, links map[string]string) *os.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	out := tar.NewWriter(f)
	add := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"usr", "usr/bin", "usr/lib", "usr/lib/triplet", "usr/lib64", "usr/share"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: "./" + d + "/", Mode: 0o755}, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		add(tar.Header{Typeflag: tar.TypeReg, Name: "./" + name, Mode: 0o755}, files[name])
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "./" + name, Linkname: links[name]}, nil)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSubsetBringsWhatItNeeds(t *testing.T) {
	root := rootWith(t, map[string][]byte{
		"usr/bin/big":                program(t, "/lib64/ld.so", "libc.so"),
		"usr/bin/multi":              program(t, "/lib64/ld.so", "libx.so"),
		"usr/bin/script":             []byte("#!/bin/sh\n"),
		"usr/lib/triplet/ld-2.so":    program(t, ""),
		"usr/lib/triplet/libc.so":    program(t, ""),
		"usr/lib/triplet/libm.so":    program(t, "", "libc.so"),
		"usr/lib/triplet/libx-1.so":  program(t, "", "libm.so"),
		"usr/lib/triplet/libbig.so":  program(t, ""),
		"usr/share/libm.so":          []byte("no library"),
		"usr/lib/triplet/broken.txt": {0x7f},
	}, map[string]string{
		"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "share": "usr/share",
		"usr/bin/tool":            "alternative",
		"usr/bin/alternative":     "/usr/bin/multi",
		"usr/lib64/ld.so":         "../lib/triplet/ld-2.so",
		"usr/lib/triplet/libx.so": "libx-1.so",
	})
	keep, err := pickFrom(root, []string{"/usr/bin/too?", "/usr/bin/script", "/usr/lib/*/broken.txt"})
	if err != nil {
		t.Fatal(err)
	}
	want := `bin
lib
lib64
usr
usr/bin
usr/bin/alternative
usr/bin/multi
usr/bin/script
usr/bin/tool
usr/lib
usr/lib/triplet
usr/lib/triplet/broken.txt
usr/lib/triplet/ld-2.so
usr/lib/triplet/libc.so
usr/lib/triplet/libm.so
usr/lib/triplet/libx-1.so
usr/lib/triplet/libx.so
usr/lib64
usr/lib64/ld.so`
	same(t, "kept", strings.Join(slices.Sorted(maps.Keys(keep)), "\n"), want)
}

func TestSubsetSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, pattern, want string
		links               map[string]string
	}{
		{"nothing matches", "/usr/bin/none*", "has nothing that /usr/bin/none* matches", nil},
		{"a library", "/usr/bin/tool", "/usr/bin/tool needs libgone.so, which the root does not have", nil},
		{"the target of a link", "/usr/bin/link", "the root has no /usr/bin/gone", map[string]string{"usr/bin/link": "gone"}},
		{"links in a circle", "/usr/bin/link", "too many links", map[string]string{"usr/bin/link": "/a/x", "a": "b", "b": "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := rootWith(t, map[string][]byte{"usr/bin/tool": program(t, "", "libgone.so")}, c.links)
			if _, err := pickFrom(root, []string{c.pattern}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
