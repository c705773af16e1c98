package parts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// clutter is what no root file system needs: documentation, translations,
// caches, the databases of the package manager. Licences stay.
var clutter = []string{
	"dev", "etc/apt", "etc/dpkg", "run", "usr/include", "usr/share/bash-completion", "usr/share/bug",
	"usr/share/doc-base", "usr/share/gdb", "usr/share/info", "usr/share/lintian", "usr/share/locale",
	"usr/share/man", "usr/share/menu", "usr/share/pixmaps", "usr/share/zsh", "usr/share/applications",
	"usr/share/icons", "usr/share/fish", "usr/lib/systemd", "usr/lib/tmpfiles.d", "usr/lib/sysusers.d",
	"usr/lib/udev", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "tmp",
}

// written are the files that Debian's maintainer scripts would make. The
// users are those that every Debian system has and that programs here ask for.
var written = map[string]string{
	"etc/passwd": "root:x:0:0:root:/root:/bin/bash\n" +
		"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	"etc/group":         "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
	"etc/shells":        "/bin/sh\n/bin/bash\n",
}

// folders are folders that are always there, whatever packages hold them.
var folders = map[string]int64{
	"dev": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755, "root": 0o700, "tmp": 0o1777,
	"var/cache": 0o755, "var/log": 0o755, "var/tmp": 0o1777, "var/lib": 0o755,
}

const (
	certificates = "usr/share/ca-certificates/"        // one authority each
	bundle       = "etc/ssl/certs/ca-certificates.crt" // all of them
	xattr        = "SCHILY.xattr."                     // extended attributes in tar
	licences     = "usr/share/doc/"                    // with a file named copyright for each package
)

// filterRoot makes root file system to from the archive from, which holds
// unpacked packages. Equal packages give equal bytes.
func filterRoot(ctx context.Context, from, to string, pin DebianPin, epoch int64) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := newRootWriter(out, pin, epoch, debianArch(runtime.GOARCH))
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return w.finish()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := w.add(header, r); err != nil {
			return fmt.Errorf("%s: %s: %w", from, header.Name, err)
		}
	}
}

// rootWriter writes a root file system from the entries of another archive.
type rootWriter struct {
	tar     *tar.Writer
	epoch   time.Time
	arch    string
	pin     DebianPin
	seen    map[string]bool   // paths that were written
	dropped map[string]bool   // files that were not
	links   map[string]string // to be written
	certs   map[string][]byte
}

func newRootWriter(out io.Writer, pin DebianPin, epoch int64, arch string) *rootWriter {
	links := map[string]string{}
	for name, target := range pin.Links {
		links[name] = os.Expand(target, func(word string) string {
			if word == "arch" {
				return arch
			}
			return "$" + word
		})
	}
	return &rootWriter{tar.NewWriter(out), time.Unix(epoch, 0).UTC(), arch, pin, map[string]bool{}, map[string]bool{}, links, map[string][]byte{}}
}

// below tells whether name is prefix or in it.
func below(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, strings.TrimSuffix(prefix, "/")+"/")
}

// wanted tells whether an entry stays.
func (w *rootWriter) wanted(name string, kind byte) bool {
	if name == "." || kind == tar.TypeChar || kind == tar.TypeBlock || kind == tar.TypeFifo {
		return false
	}
	if _, ok := written[name]; ok || name == bundle {
		return false
	}
	if _, ok := w.links[name]; ok {
		return false
	}
	if inside, ok := strings.CutPrefix(name, licences); ok && !licence(inside, kind) {
		return false
	}
	in := func(prefix string) bool { return below(name, prefix) }
	return !slices.ContainsFunc(clutter, in) && !removed(name, w.pin.Remove)
}

// licence tells whether a path inside the documentation is a package's licence
// or the folder of one.
func licence(name string, kind byte) bool {
	_, file, inside := strings.Cut(name, "/")
	return file == "copyright" || !inside && kind == tar.TypeDir
}

// removed tells whether a pattern matches a path or a folder above it.
func removed(name string, patterns []string) bool {
	for ; name != "."; name = path.Dir(name) {
		for _, pattern := range patterns {
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return true
			}
		}
	}
	return false
}

func (w *rootWriter) add(header *tar.Header, content io.Reader) error {
	name := path.Clean(strings.TrimPrefix(header.Name, "./"))
	if !filepath.IsLocal(name) {
		return errors.New("the name leads out of the root")
	}
	if mode, ok := folders[name]; ok {
		return w.folder(name, mode)
	}
	if !w.wanted(name, header.Typeflag) {
		w.dropped[name] = true
		return nil
	}
	h := &tar.Header{
		Typeflag: header.Typeflag, Name: name, Linkname: header.Linkname, Size: header.Size,
		Mode: header.Mode & 0o7777, Uid: header.Uid, Gid: header.Gid, Format: tar.FormatPAX,
		ModTime: header.ModTime.Truncate(time.Second).UTC(),
	}
	if h.ModTime.After(w.epoch) {
		h.ModTime = w.epoch
	}
	for key, value := range header.PAXRecords {
		if strings.HasPrefix(key, xattr) {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords[key] = value
		}
	}
	if header.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if header.Typeflag == tar.TypeLink {
		h.Linkname = path.Clean(strings.TrimPrefix(header.Linkname, "./"))
		if w.dropped[h.Linkname] {
			return fmt.Errorf("is a hard link to %s, which is left out", h.Linkname)
		}
	}
	if below(name, certificates) && strings.HasSuffix(name, ".crt") {
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		w.certs[name], content = text, bytes.NewReader(text)
	}
	w.seen[name] = true
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w.tar, content)
	return err
}

// finish writes what the packages do not hold, and ends the archive.
func (w *rootWriter) finish() error {
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		if err := w.folder(name, folders[name]); err != nil {
			return err
		}
	}
	files := maps.Clone(written)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.certs)) {
		b.Write(bytes.TrimSpace(w.certs[name]))
		b.WriteByte('\n')
	}
	if b.Len() > 0 {
		files[bundle] = b.String()
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}
		if err := w.write(h, text); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.links)) {
		h := &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: w.links[name], Mode: 0o777}
		if err := w.write(h, ""); err != nil {
			return err
		}
	}
	return w.tar.Close()
}

// write adds an entry of our own and the folders above it.
func (w *rootWriter) write(h *tar.Header, text string) error {
	if err := w.folder(path.Dir(h.Name), 0o755); err != nil {
		return err
	}
	h.Format, h.ModTime = tar.FormatPAX, w.epoch
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.WriteString(w.tar, text)
	return err
}

func (w *rootWriter) folder(name string, mode int64) error {
	if name == "." || w.seen[name] {
		return nil
	}
	if err := w.folder(path.Dir(name), 0o755); err != nil {
		return err
	}
	w.seen[name] = true
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Format: tar.FormatPAX, ModTime: w.epoch})
}

// unpackRoot writes the files of a root file system below dir, as far as a
// program needs them that runs in it: without owners and times.
func unpackRoot(ctx context.Context, file, dir string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = unpackEntry(root, h, r)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", file, err)
		}
	}
}

func unpackEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		err := root.Mkdir(name, mode|0o700)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(h.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	}
	return fmt.Errorf("%s is of a kind that is not expected here", h.Name)
}
