package parts

import (
	"context"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// buildGo compiles the programs of a part into bin of dir.
func (b *builder) buildGo(ctx context.Context, pin Pin, dir string) error {
	programs, err := b.pins.programs(pin)
	if err != nil {
		return err
	}
	if len(programs) == 0 {
		return errors.New("there is no program to build")
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-p=" + strconv.Itoa(b.jobs), "-ldflags=" + linkerFlags(pin)}
	if len(pin.Go.Tags) > 0 {
		args = append(args, "-tags="+strings.Join(pin.Go.Tags, ","))
	}
	args = append(args, "-o", bin+string(filepath.Separator))
	for _, program := range programs {
		args = append(args, program.Package)
	}
	c := b.command(pin.Name, goRegistry)
	c.dir, c.env = b.pins.lineDir(pin.Go.Line), b.goEnv(pin)
	if err := c.run(ctx, "go", args...); err != nil {
		return err
	}
	for _, program := range programs {
		built := filepath.Join(bin, executable(program.Package))
		if err := os.Rename(built, filepath.Join(bin, program.Name)); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(bin, program.Name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

var majorElement = regexp.MustCompile(`^v[0-9]+$`)

// executable is the name that the go command gives to a package's program:
// the last element of its path that is no major version.
func executable(importPath string) string {
	if base := path.Base(importPath); !majorElement.MatchString(base) {
		return base
	}
	return path.Base(path.Dir(importPath))
}

// linkerFlags leaves out the symbol tables, which halves a program, and sets
// the part's variables.
func linkerFlags(pin Pin) string {
	flags := []string{"-s", "-w"}
	for _, name := range slices.Sorted(maps.Keys(pin.Go.Variables)) {
		flags = append(flags, "-X", name+"="+expand(pin.Go.Variables[name], pin.Version))
	}
	return strings.Join(flags, " ")
}

// expand puts a version into a text: $version, $number, $major and $minor.
func expand(text, version string) string {
	number := strings.TrimPrefix(version, "v")
	major, rest, _ := strings.Cut(number, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return os.Expand(text, func(name string) string {
		switch name {
		case "version":
			return version
		case "number":
			return number
		case "major":
			return major
		case "minor":
			return minor
		}
		return ""
	})
}
