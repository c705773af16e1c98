package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// Store is the cache folder of the rig, as far as parts are concerned:
//
//	lock                  see Lock
//	parts/NAME/KEY/       one built part, with part.json
//	parts/NAME/.KEY-*     one that is being built, or was when the rig ended
//	build/                caches of the build tools, kept for the next build
//	build/lines/LINE/     those of one line, dropped when it is built (little disk)
//	log/parts/            the output of each build
type Store struct{ dir string }

// Open gives the store in the cache folder of the rig, which need not exist.
func Open(cacheDir string) *Store {
	// Build tools run in folders of their own. Without a working directory,
	// a relative path is wrong for them, and they say so.
	if path, err := filepath.Abs(cacheDir); err == nil {
		cacheDir = path
	}
	return &Store{cacheDir}
}

// Dir is the cache folder.
func (s *Store) Dir() string { return s.dir }

// Part is a built part.
type Part struct {
	Name    string
	Key     string
	Dir     string // absolute; Files are in it
	Version string
	Licence string
	Files   []File        // sorted by path, without part.json
	Took    time.Duration // building it
	Pins    Pin           // as it was built
}

// File is one file of a built part.
type File struct {
	Path   string      `json:"path"` // relative, with slashes
	Size   int64       `json:"size"` // bytes
	Mode   fs.FileMode `json:"mode"` // permissions
	SHA256 string      `json:"sha256"`
}

// Bytes gives the size of a part's files together.
func (p Part) Bytes() int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// Path gives the absolute path of a part's file; an error when it has none
// of this name.
func (p Part) Path(name string) (string, error) {
	if !slices.ContainsFunc(p.Files, func(f File) bool { return f.Path == name }) {
		return "", fmt.Errorf("part %s has no file %s", p.Name, name)
	}
	return filepath.Join(p.Dir, filepath.FromSlash(name)), nil
}

// record is part.json.
type record struct {
	Name    string  `json:"name"`
	Key     string  `json:"key"`
	Version string  `json:"version"`
	Licence string  `json:"licence"`
	Took    float64 `json:"took_seconds"`
	Files   []File  `json:"files"`
	Pins    Pin     `json:"pins"`
}

const recordFile = "part.json"

// Built gives a part that the store holds completely. It looks at the names
// and sizes of its files, so that one that was removed or cut short is not
// taken for good; Verify reads them.
func (s *Store) Built(name, key string) (Part, bool) {
	dir := filepath.Join(s.dir, "parts", name, key)
	part, err := readPart(dir)
	if err != nil || part.Name != name || part.Key != key {
		return Part{}, false
	}
	for _, f := range part.Files {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Size || info.Mode().Perm() != f.Mode {
			return Part{}, false
		}
	}
	return part, true
}

func readPart(dir string) (Part, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return Part{}, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return Part{}, err
	}
	for _, f := range r.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return Part{}, fmt.Errorf("%s names a file outside of it: %q", dir, f.Path)
		}
	}
	took := time.Duration(r.Took * float64(time.Second))
	return Part{r.Name, r.Key, dir, r.Version, r.Licence, r.Files, took, r.Pins}, nil
}

// Verify reads a part's files, those whose names begin with prefix, and compares
// them with what was built. The error is a *fault.Fault that names the first
// file that differs.
func (p Part) Verify(prefix string) error {
	for _, f := range p.Files {
		if !strings.HasPrefix(f.Path, prefix) {
			continue
		}
		got, err := describeFile(p.Dir, f.Path)
		if err == nil && got != f {
			err = fmt.Errorf("%s has %d bytes with sum %.12s, not %d with %.12s", f.Path, got.Size, got.SHA256, f.Size, f.SHA256)
		}
		if err != nil {
			return fault.Wrap(fault.StepFailed, "part "+p.Name+" is not what was built", err, "rm -r "+p.Dir+", and build it again")
		}
	}
	return nil
}

// lastTook gives how long it took to build any version of a part the last
// time; zero when the store holds none.
func (s *Store) lastTook(name string) time.Duration {
	var took time.Duration
	var latest time.Time
	files, _ := filepath.Glob(filepath.Join(s.dir, "parts", name, "*", recordFile)) // the pattern is well formed
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().Before(latest) {
			continue
		}
		if part, err := readPart(filepath.Dir(file)); err == nil {
			took, latest = part.Took, info.ModTime()
		}
	}
	return took
}

// begin makes the folder in which a part is built.
func (s *Store) begin(name, key string) (string, error) {
	dir := filepath.Join(s.dir, "parts", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(dir, "."+key+"-")
}

// commit makes what was built in dir the part of this key. Everything is on
// the disk before the name is: a part that can be seen survives a power cut.
func (s *Store) commit(dir string, pin Pin, key string, took time.Duration) (Part, error) {
	r := record{Name: pin.Name, Key: key, Version: pin.Version, Licence: pin.Licence, Took: took.Seconds(), Pins: pin}
	var folders []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			folders = append(folders, name)
			return nil
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		f, err := describeFile(dir, filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		r.Files = append(r.Files, f)
		return syncPath(name)
	})
	if err != nil {
		return Part{}, err
	}
	if len(r.Files) == 0 {
		return Part{}, errors.New("the build left no files")
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return Part{}, err
	}
	file := filepath.Join(dir, recordFile)
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return Part{}, err
	}
	for _, name := range append(folders, file) {
		if err := syncPath(name); err != nil {
			return Part{}, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return Part{}, err
	}
	final := filepath.Join(s.dir, "parts", pin.Name, key)
	// What stands there is no good part, or nothing would have been built.
	if err := os.RemoveAll(final); err != nil {
		return Part{}, err
	}
	if err := os.Rename(dir, final); err != nil {
		return Part{}, err
	}
	if err := syncPath(filepath.Dir(final)); err != nil {
		return Part{}, err
	}
	return readPart(final)
}

func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func describeFile(dir, name string) (File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return File{}, err
	}
	return File{name, n, info.Mode().Perm(), hex.EncodeToString(sum.Sum(nil))}, nil
}

// sweep removes what builds left that did not end. Only the holder of the
// lock may call it.
func (s *Store) sweep() error {
	left, err := filepath.Glob(filepath.Join(s.dir, "parts", "*", ".*-*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Clean removes the parts that pins do not name by their present key, and
// with build the caches of the build tools too. It gives how many bytes of
// parts it removed. Only the holder of the lock may call it.
func (s *Store) Clean(pins *Pins, build bool) (int64, error) {
	if err := s.sweep(); err != nil {
		return 0, err
	}
	keep := map[string]bool{}
	for _, name := range pins.Names() {
		key, err := pins.Key(name)
		if err != nil {
			return 0, err
		}
		keep[filepath.Join(s.dir, "parts", name, key)] = true
	}
	found, err := filepath.Glob(filepath.Join(s.dir, "parts", "*", "*"))
	if err != nil {
		return 0, err
	}
	var freed int64
	for _, dir := range found {
		if keep[dir] {
			continue
		}
		if part, err := readPart(dir); err == nil {
			freed += part.Bytes()
		}
		if err := os.RemoveAll(dir); err != nil {
			return freed, err
		}
	}
	if build {
		return freed, os.RemoveAll(filepath.Join(s.dir, "build"))
	}
	return freed, nil
}

// logFile is where the whole output of a build goes.
func (s *Store) logFile(name string) string {
	return filepath.Join(s.dir, "log", "parts", name+".log")
}

// buildDir holds the caches of the go command: those that all lines share, or
// those of one line, which can be dropped alone.
func (s *Store) buildDir(line string) string {
	if line == "" {
		return filepath.Join(s.dir, "build")
	}
	return filepath.Join(s.dir, "build", "lines", line)
}

// goEnv is the environment of a go command: its caches are below dir, readable
// and removable by the user, and nothing that a build depends on is left to
// the user's settings. Where modules come from is.
func goEnv(dir, flags string) []string {
	return []string{
		"GOCACHE=" + filepath.Join(dir, "gocache"),
		"GOMODCACHE=" + filepath.Join(dir, "gomod"),
		"GOFLAGS=-modcacherw " + flags,
		"GOWORK=off", "GOEXPERIMENT=", "GODEBUG=", "GOAMD64=v1", "GOARM64=v8.0",
		"GOOS=linux", "CGO_ENABLED=0",
	}
}
