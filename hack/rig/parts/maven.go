package parts

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/lab/fault"
)

// buildMaven copies a part's jars into lib, or runs the program in them.
func (b *builder) buildMaven(ctx context.Context, pin Pin, dir string) error {
	if err := b.need(ctx, "mvn", "maven"); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, ".work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	pom, err := projectFile(pin.Maven)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o644); err != nil {
		return err
	}
	lib := filepath.Join(dir, "lib")
	if pin.Maven.Run.Main != "" {
		lib = filepath.Join(work, "lib")
	}
	c := b.command(pin.Name, mavenRegistry)
	c.dir = work
	err = c.run(ctx, "mvn", "--batch-mode", "--no-transfer-progress", "--strict-checksums", "--file", "pom.xml",
		"-Dmaven.repo.local="+filepath.Join(b.store.dir, "build", "m2"),
		b.pins.doc.MavenPlugin+":copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+lib)
	if err != nil || pin.Maven.Run.Main == "" {
		return err
	}
	return b.runJava(ctx, pin, work, filepath.Join(dir, filepath.FromSlash(crdFolder)))
}

type mavenDependency struct {
	Group      string           `xml:"groupId"`
	Artifact   string           `xml:"artifactId"`
	Version    string           `xml:"version"`
	Exclusions []mavenExclusion `xml:"exclusions>exclusion,omitempty"`
}

type mavenExclusion struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
}

type mavenProject struct {
	XMLName      xml.Name          `xml:"http://maven.apache.org/POM/4.0.0 project"`
	Model        string            `xml:"modelVersion"`
	Group        string            `xml:"groupId"`
	Artifact     string            `xml:"artifactId"`
	Version      string            `xml:"version"`
	Packaging    string            `xml:"packaging"`
	Dependencies []mavenDependency `xml:"dependencies>dependency"`
}

// projectFile writes the pom.xml of a project that has the artifacts as its
// dependencies, and nothing else.
func projectFile(pin MavenPin) ([]byte, error) {
	p := mavenProject{Model: "4.0.0", Group: "alertlab", Artifact: "parts", Version: "1", Packaging: "pom"}
	var exclusions []mavenExclusion
	for _, text := range pin.Exclude {
		group, artifact, _ := strings.Cut(text, ":")
		exclusions = append(exclusions, mavenExclusion{group, artifact})
	}
	for _, text := range pin.Artifacts {
		fields := strings.Split(text, ":")
		p.Dependencies = append(p.Dependencies, mavenDependency{fields[0], fields[1], fields[2], exclusions})
	}
	return xml.MarshalIndent(p, "", "  ")
}

// runJava runs the program of a part over the jars in lib of work, and moves
// what it writes to into. Where the machine's own Java is older than the
// program wants, it runs in the root file system of a part that has one.
func (b *builder) runJava(ctx context.Context, pin Pin, work, into string) error {
	run := pin.Maven.Run
	c := b.command(pin.Name, registry{})
	java, classes, out := "java", filepath.Join(work, "lib", "*"), filepath.Join(work, "out")
	c.dir = work
	if release := javaRelease(ctx); release < run.Java {
		if os.Geteuid() != 0 {
			return fault.New(fault.StepFailed, fmt.Sprintf("part %s needs Java %d or later", pin.Name, run.Java),
				fmt.Sprintf("the Java on the PATH is of release %d (0 for none), and only root can use the one of part %s", release, run.Root),
				"install it, or build as root")
		}
		runtime, ok := b.result(run.Root)
		if !ok {
			return fmt.Errorf("part %s is not built", run.Root)
		}
		root := filepath.Join(work, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			return err
		}
		if err := unpackRoot(ctx, filepath.Join(runtime.Dir, RootFile), root); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(root, "rig"), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(work, "lib"), filepath.Join(root, "rig", "lib")); err != nil {
			return err
		}
		own, err := filepath.EvalSymlinks(filepath.Join(root, "usr/bin/java"))
		if err != nil {
			return err
		}
		java, classes, out = strings.TrimPrefix(own, root), "/rig/lib/*", "/rig/out"
		// There is no /proc in there, so a program cannot find the libraries
		// beside it.
		c.env = []string{"LD_LIBRARY_PATH=" + filepath.Join(filepath.Dir(filepath.Dir(java)), "lib")}
		c.root, c.dir, work = root, "/", filepath.Join(root, "rig")
	}
	written := filepath.Join(work, "out")
	if err := os.Mkdir(written, 0o755); err != nil {
		return err
	}
	args := append([]string{"-cp", classes, run.Main}, run.Args...)
	for _, class := range slices.Sorted(maps.Keys(run.CRDs)) {
		args = append(args, class+"="+out+"/"+run.CRDs[class])
	}
	if err := c.run(ctx, java, args...); err != nil {
		return err
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	for _, name := range run.CRDs {
		text, err := os.ReadFile(filepath.Join(written, name))
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return errors.New(run.Main + " left " + name + " empty")
		}
		if err := os.WriteFile(filepath.Join(into, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var javaVersion = regexp.MustCompile(`version "(?:1\.)?([0-9]+)`)

// javaRelease gives the feature release of the machine's Java, 0 for none.
func javaRelease(ctx context.Context) int {
	out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if err != nil {
		return 0
	}
	found := javaVersion.FindSubmatch(out)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(found[1])) // digits only
	return n
}
