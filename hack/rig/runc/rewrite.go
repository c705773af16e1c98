package runc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Apply edits the file that the call names, if it names one. A file that is
// right as it is stays untouched; another is replaced at once, with the mode and
// the owner that it had.
func (c Call) Apply() error {
	if c.File == "" {
		return nil
	}
	edit := Config
	if c.Exec {
		edit = Process
	}
	before, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	after, err := edit(before)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	return replace(c.File, after)
}

func replace(path string, content []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".runc-edit-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Getuid() || int(st.Gid) != os.Getgid()) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil { // after Chown, which can clear bits
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
