package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// builderVersion counts the changes of this package that change what it
// builds from equal pins.
const builderVersion = 1

// goVersion asks the go command for its version, e.g. "go1.26.0". GOTOOLCHAIN
// is left alone: what a line's go.mod asks for is settled by its own pin.
func goVersion(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fault.Wrap(fault.StepFailed, "the go command cannot be asked for its version", err, "install Go, and put it on the PATH")
	}
	return strings.TrimSpace(string(out)), nil
}

// Key gives the hash of everything that decides what a part contains: its
// pin, the go.mod and go.sum of its line, the sources that it has in this
// checkout, the version of Go and the architecture. It reads files only. The
// error is a *fault.Fault for a name that is no part, else that of a file.
func (p *Pins) Key(name string) (string, error) {
	pin, ok := p.Part(name)
	if !ok {
		return "", p.unknown(name)
	}
	h := sha256.New()
	text, err := json.Marshal(pin.deciding())
	if err != nil {
		return "", err
	}
	add(h, "pin", text)
	add(h, "builder", fmt.Append(nil, builderVersion, p.target.OS, p.target.Arch, p.doc.Epoch))
	if pin.Go.Line != "" {
		if err := p.addGo(h, pin); err != nil {
			return "", fmt.Errorf("key of part %s: %w", name, err)
		}
	}
	// 80 bits: no two of a handful of keys are ever equal, and a path stays readable.
	return hex.EncodeToString(h.Sum(nil)[:10]), nil
}

// deciding is the pin without what does not change the part.
func (pin Pin) deciding() Pin {
	pin.Note = ""
	return pin
}

// add writes one named entry so that no two lists of entries look the same.
func add(h hash.Hash, name string, data []byte) {
	fmt.Fprintf(h, "%d %s %d ", len(name), name, len(data))
	_, _ = h.Write(data) // a hash never fails
}

func (p *Pins) addGo(h hash.Hash, pin Pin) error {
	add(h, "go", []byte(p.target.Go))
	dir := p.lineDir(pin.Go.Line)
	if err := addFiles(h, dir, "go.mod", "go.sum"); err != nil {
		return err
	}
	if len(pin.CRDs) > 0 {
		if err := addFiles(h, p.lineDir(toolsLine), "go.mod", "go.sum"); err != nil {
			return err
		}
	}
	for _, folder := range p.line(pin.Go.Line).localReplacements() {
		files, err := filepath.Glob(filepath.Join(dir, folder, "*"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := addFiles(h, dir, strings.TrimPrefix(file, dir+string(filepath.Separator))); err != nil {
				return err
			}
		}
	}
	programs, err := p.programs(pin)
	if err != nil {
		return err
	}
	var own []string
	for _, program := range programs {
		if folder, ok := strings.CutPrefix(program.Package, "./"); ok {
			own = append(own, folder)
		}
	}
	sources, err := sourcesOf(dir, own)
	if err != nil {
		return err
	}
	return addFiles(h, dir, sources...)
}

// addFiles adds files of dir by their name and content.
func addFiles(h hash.Hash, dir string, names ...string) error {
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		content := sha256.New()
		_, err = io.Copy(content, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		add(h, filepath.ToSlash(name), content.Sum(nil))
	}
	return nil
}

// programs gives the programs of a Go part, those of its Folder by name.
func (p *Pins) programs(pin Pin) ([]Program, error) {
	if pin.Go.Folder == "" {
		return pin.Go.Programs, nil
	}
	entries, err := os.ReadDir(filepath.Join(p.lineDir(pin.Go.Line), pin.Go.Folder))
	if err != nil {
		return nil, err
	}
	var list []Program
	for _, entry := range entries {
		folder := "./" + pin.Go.Folder + "/" + entry.Name()
		found, err := p.context().ImportDir(filepath.Join(p.lineDir(pin.Go.Line), folder), 0)
		var none *build.NoGoError
		switch {
		case !entry.IsDir() || errors.As(err, &none):
		case err != nil:
			return nil, err
		case found.Name == "main":
			list = append(list, Program{entry.Name(), folder})
		}
	}
	return list, nil
}

// context is that of a build for the target, for finding source files without
// the go command, which would need the modules of a line to be downloaded.
func (p *Pins) context() *build.Context { return linuxContext(p.target.Arch) }

func linuxContext(arch string) *build.Context {
	c := build.Default
	c.GOOS, c.CgoEnabled = "linux", false
	if arch != "" {
		c.GOARCH = arch
	}
	return &c
}

// sourcesOf gives the files of the module in dir that these packages, given as
// folders of it, are built from, sorted: their own and those of packages that
// they import from the same module.
func sourcesOf(dir string, folders []string) ([]string, error) {
	if len(folders) == 0 {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	prefix := modulePath(text) + "/"
	var files []string
	seen := map[string]bool{}
	for queue := slices.Clone(folders); len(queue) > 0; queue = queue[1:] {
		folder := queue[0]
		if seen[folder] {
			continue
		}
		seen[folder] = true
		found, err := linuxContext("").ImportDir(filepath.Join(dir, folder), 0)
		if err != nil {
			return nil, err
		}
		for _, list := range [][]string{found.GoFiles, found.SFiles, found.HFiles} {
			for _, name := range list {
				files = append(files, filepath.Join(folder, name))
			}
		}
		for _, pattern := range found.EmbedPatterns {
			list, err := embedded(dir, folder, strings.TrimPrefix(pattern, "all:"))
			if err != nil {
				return nil, err
			}
			files = append(files, list...)
		}
		for _, name := range found.Imports {
			if inner, ok := strings.CutPrefix(name, prefix); ok {
				queue = append(queue, inner)
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// embedded gives the files below a folder that an embed pattern takes, or may
// take: hidden ones too, whatever the pattern says of them.
func embedded(dir, folder, pattern string) ([]string, error) {
	matches, err := filepath.Glob(filepath.Join(dir, folder, pattern))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, match := range matches {
		err := filepath.WalkDir(match, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err = filepath.Rel(dir, name)
			files = append(files, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// modulePath gives the path that a go.mod declares.
func modulePath(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.TrimSpace(path)
		}
	}
	return ""
}
