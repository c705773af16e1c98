package e2e

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"slices"
)

// archive writes files as a tar archive, sorted by their names.
func archive(w io.Writer, files map[string]string) error {
	t := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, files[name]); err != nil {
			return err
		}
	}
	return t.Close()
}

// tgz writes files as a compressed archive.
func tgz(w io.Writer, files map[string]string) error {
	z := gzip.NewWriter(w)
	return errors.Join(archive(z, files), z.Close())
}
