// Package benchdoc keeps docs/benchmarks.md, which several programs write: each has
// a section of its own between two comments, and leaves those of the others as they
// are. It knows nothing of what is measured.
package benchdoc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"
)

// Put writes text as the named section of the file at path, in the place of the
// section's former text, or at the end. The file and its folder are made if need be,
// and the file is replaced in one step.
func Put(path, section, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := put(string(old), section, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, []byte(next), 0o644)
}

// Get reads the named section of the file at path; "" when there is none.
func Get(path, section string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(text), "<!-- begin "+section+" -->\n")
	if !ok {
		return "", nil
	}
	found, _, ok := strings.Cut(rest, "<!-- end "+section+" -->\n")
	if !ok {
		return "", fmt.Errorf("%s: section %q begins and does not end", path, section)
	}
	return found, nil
}

var name = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// put is Put on the text of the file.
func put(old, section, text string) (string, error) {
	if !name.MatchString(section) {
		return "", fmt.Errorf("%q cannot name a section", section)
	}
	begin, end := "<!-- begin "+section+" -->\n", "<!-- end "+section+" -->\n"
	block := begin + strings.TrimRight(text, "\n") + "\n" + end
	if strings.Contains(text, "<!-- begin ") || strings.Contains(text, "<!-- end ") {
		return "", fmt.Errorf("the text of section %q holds the mark of a section", section)
	}
	from := strings.Index(old, begin)
	if from < 0 {
		if old != "" {
			old = strings.TrimRight(old, "\n") + "\n\n"
		}
		return old + block, nil
	}
	length := strings.Index(old[from:], end)
	if length < 0 {
		return "", fmt.Errorf("section %q begins and does not end", section)
	}
	return old[:from] + block + old[from+length+len(end):], nil
}
