package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// entry is one file of a layer to write.
type entry struct {
	header tar.Header
	open   func() (io.ReadCloser, error) // for regular files
}

// tree is what the layers below one leave at each path, as far as a layer above
// must know it. A folder that a layer writes into takes the mode that the layer
// gives it, and hides a link of the same name: both must be written again as
// they are.
type tree map[string]tar.Header // paths without a leading slash

// add takes over a header, whose name is clean.
func (t tree) add(h tar.Header) { t[h.Name] = h }

// resolve gives the path that the parents of p lead to, through the links of
// the layers below.
func (t tree) resolve(p string) (string, error) {
	const most = 40 // as many links in a row as Linux follows
	rest, done := strings.Split(strings.Trim(p, "/"), "/"), ""
	for links := 0; len(rest) > 1; {
		next := path.Join(done, rest[0])
		h, there := t[next]
		switch {
		case there && h.Typeflag == tar.TypeSymlink:
			if links++; links > most {
				return "", fmt.Errorf("%s: too many links", p)
			}
			target := h.Linkname
			if !path.IsAbs(target) {
				target = path.Join(done, target)
			}
			rest = append(strings.Split(strings.Trim(path.Clean("/"+target), "/"), "/"), rest[1:]...)
			done = ""
		case there && h.Typeflag != tar.TypeDir:
			return "", fmt.Errorf("%s: %s is a file", p, next)
		default:
			done, rest = next, rest[1:]
		}
	}
	return path.Join(done, rest[0]), nil
}

// readRoot calls each with every entry of a Debian root that an image can hold,
// in the archive's order. Devices are left out: a container gets its own.
//
// Times stay as they are: equal roots have equal times, and Java compares the
// time of its modules with the one in its archive of classes.
func readRoot(r io.Reader, each func(tar.Header, io.Reader) error) error {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out := tar.Header{
			Typeflag: h.Typeflag, Name: strings.TrimPrefix(path.Clean("/"+h.Name), "/"),
			Linkname: h.Linkname, Size: h.Size, Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid,
			ModTime: h.ModTime.Truncate(time.Second).UTC(),
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink:
		case tar.TypeLink:
			out.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		default:
			continue
		}
		for k, v := range h.PAXRecords {
			if strings.HasPrefix(k, "SCHILY.xattr.") { // file capabilities
				if out.PAXRecords == nil {
					out.PAXRecords = map[string]string{}
				}
				out.PAXRecords[k] = v
			}
		}
		if out.Name == "" {
			continue
		}
		if err := each(out, in); err != nil {
			return err
		}
	}
}

// planFiles gives the entries of a layer of files, sorted, with the folders
// around them.
func (b *builder) planFiles(below tree, l Layer) ([]entry, error) {
	byPath := map[string]entry{}
	put := func(f *File, to string, h tar.Header, open func() (io.ReadCloser, error)) error {
		name, err := below.resolve(to)
		if err != nil {
			return err
		}
		if old, twice := byPath[name]; twice && old.header.Typeflag != tar.TypeDir {
			return fmt.Errorf("%s is written twice", to)
		}
		h.Name, h.ModTime = name, time.Unix(epoch, 0).UTC()
		h.Uid, h.Gid = f.owner()
		byPath[name] = entry{h, open}
		return nil
	}
	for i := range l.Files {
		if err := b.planFile(&l.Files[i], put); err != nil {
			return nil, err
		}
	}
	for name := range byPath {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if e, here := byPath[dir]; here {
				if e.header.Typeflag != tar.TypeDir {
					return nil, fmt.Errorf("/%s is a file and the folder of /%s", dir, name)
				}
				continue
			}
			h, there := below[dir]
			if !there {
				h = tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: time.Unix(epoch, 0).UTC()}
			}
			byPath[dir] = entry{header: h}
		}
	}
	entries := make([]entry, 0, len(byPath))
	for _, e := range byPath {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.header.Name, b.header.Name) })
	return entries, nil
}

// planFile calls put with what one File of a recipe stands for.
func (b *builder) planFile(f *File, put func(*File, string, tar.Header, func() (io.ReadCloser, error)) error) error {
	text := func(data []byte) error {
		return put(f, f.Path, tar.Header{Typeflag: tar.TypeReg, Mode: f.mode(0o644), Size: int64(len(data))},
			func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	}
	switch {
	case f.Folder:
		return put(f, f.Path, tar.Header{Typeflag: tar.TypeDir, Mode: f.mode(0o755)}, nil)
	case f.Link != "":
		return put(f, f.Path, tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: f.Link}, nil)
	case f.Text != "":
		return text([]byte(b.expand(f.Text)))
	case len(f.References) > 0:
		images, err := b.tagged(f.References)
		if err != nil {
			return err
		}
		var lines strings.Builder
		for _, i := range images {
			lines.WriteString(i.reference + "\n")
		}
		return text([]byte(lines.String()))
	case f.Own != "":
		data, err := ownFile(f.Own)
		if err != nil {
			return err
		}
		return text(data)
	case len(f.Archive) > 0:
		images, err := b.tagged(f.Archive)
		if err != nil {
			return err
		}
		a := &archive{images: images, plain: true}
		size, err := a.size()
		if err != nil {
			return err
		}
		return put(f, f.Path, tar.Header{Typeflag: tar.TypeReg, Mode: f.mode(0o644), Size: size}, a.open)
	}
	dir := b.parts[f.Part].Dir
	found, err := filepath.Glob(filepath.Join(escapePattern(dir), filepath.FromSlash(f.From)))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return missing(f, dir)
	}
	for _, file := range found {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		to := f.Path
		if strings.HasSuffix(to, "/") {
			to += filepath.Base(file)
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a folder: name the files in it", file)
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		if err := put(f, to, tar.Header{Typeflag: tar.TypeReg, Mode: f.mode(mode), Size: info.Size()},
			func() (io.ReadCloser, error) { return os.Open(file) }); err != nil {
			return err
		}
	}
	return nil
}

// escapePattern makes a path that filepath.Glob takes literally.
func escapePattern(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

func missing(f *File, dir string) error {
	return fault.Wrap(fault.StepFailed, "the part "+f.Part+" has no "+f.From,
		&fs.PathError{Op: "looking in", Path: dir, Err: fs.ErrNotExist}, "go run ./hack/rig parts")
}

// writeEntries writes a tar.
func writeEntries(ctx context.Context, w io.Writer, entries []entry) error {
	out := tar.NewWriter(w)
	for _, e := range entries {
		if err := writeEntry(ctx, out, e); err != nil {
			return fmt.Errorf("/%s: %w", e.header.Name, err)
		}
	}
	return out.Close()
}

func writeEntry(ctx context.Context, out *tar.Writer, e entry) error {
	h := e.header
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if err := out.WriteHeader(&h); err != nil || e.open == nil {
		return err
	}
	r, err := e.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(out, cancellable{ctx, r}); err != nil {
		return err
	}
	return out.Flush() // says when the file was shorter than its header says
}
