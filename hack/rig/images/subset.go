package images

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// subset picks from a Debian root the entries that some patterns name and
// everything those need to run: the folders and links on the way, the targets
// of links, the loader and the shared libraries, and what those need in turn. A
// program that every node keeps need not bring a whole root with it.
type subset struct {
	tree  tree
	place map[string]int64 // where in the file a regular file begins
	file  *os.File
	keep  map[string]bool
}

// pickFrom gives the names of the entries to keep. file is a root.tar.
func pickFrom(file *os.File, patterns []string) (map[string]bool, error) {
	s := &subset{tree: tree{}, place: map[string]int64{}, file: file, keep: map[string]bool{}}
	err := readRoot(file, func(h tar.Header, _ io.Reader) error {
		s.tree.add(h)
		// The reader takes whole blocks and skips contents by seeking.
		at, err := file.Seek(0, io.SeekCurrent)
		s.place[h.Name] = at
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range patterns {
		found := false
		for name := range s.tree {
			if ok, _ := path.Match(strings.TrimPrefix(p, "/"), name); ok {
				found = true
				if err := s.take(name); err != nil {
					return nil, err
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("%s has nothing that %s matches", file.Name(), p)
		}
	}
	// Programs name their loader and libraries by the links in the root.
	for name, h := range s.tree {
		if h.Typeflag == tar.TypeSymlink && !strings.Contains(name, "/") && s.keep[path.Clean(h.Linkname)] {
			s.keep[name] = true
		}
	}
	return s.keep, nil
}

// take keeps the entry at a path, which may lead through links.
func (s *subset) take(name string) error {
	name, err := s.tree.resolve(name)
	if err != nil {
		return err
	}
	h, there := s.tree[name]
	if !there {
		return fmt.Errorf("the root has no /%s", name)
	}
	if s.keep[name] {
		return nil
	}
	for dir := name; dir != "."; dir = path.Dir(dir) {
		s.keep[dir] = true
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		target := h.Linkname
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		return s.take(target)
	case tar.TypeLink:
		return s.take(h.Linkname)
	case tar.TypeReg:
		return s.libraries(name, h.Size)
	}
	return nil
}

// libraries keeps what a program or library is linked to.
func (s *subset) libraries(name string, size int64) error {
	f, err := elf.NewFile(io.NewSectionReader(s.file, s.place[name], size))
	var other *elf.FormatError
	if errors.As(err, &other) || errors.Is(err, io.EOF) {
		return nil // a script, or text
	}
	if err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader, err := io.ReadAll(p.Open())
			if err != nil {
				return fmt.Errorf("/%s: %w", name, err)
			}
			if err := s.take(strings.TrimRight(string(loader), "\x00")); err != nil {
				return fmt.Errorf("/%s: %w", name, err)
			}
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	for _, library := range libraries {
		where := s.find(library)
		if where == "" {
			return fmt.Errorf("/%s needs %s, which the root does not have", name, library)
		}
		if err := s.take(where); err != nil {
			return err
		}
	}
	return nil
}

// find looks for a library where Debian has them: usr/lib/<triplet>, usr/lib.
func (s *subset) find(library string) string {
	var found []string
	for name := range s.tree {
		dir, base := path.Split(name)
		if base == library && strings.HasPrefix(dir, "usr/lib/") && strings.Count(dir, "/") <= 3 {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}
