package labtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Another project imports labtest, smoke and the data plane with one line in its go.mod,
// without our replacements of Kubernetes' modules, and reaches none of them. That module
// is testdata/consumer; its test, which brings a lab up, is built and run as anybody's.
//
// It needs what a build of this project needs: the module cache, or a module proxy.
func TestConsumer(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "consumer"))); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		// The checksums of everything that it needs are in our go.sum, so that no
		// checksum database is asked.
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GONOSUMDB=*")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	sums, err := os.ReadFile(filepath.Join(checkout, "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	run("mod", "edit", "-replace", "github.com/alertlab/alertlab="+checkout)
	run("vet", "./...")
	run("build", "./...")
	deps := strings.Fields(run("list", "-deps", "-test", "./..."))
	if len(deps) < 300 {
		t.Fatalf("go list saw %d packages", len(deps))
	}
	for _, d := range deps {
		for _, foreign := range []string{"k8s.io/", "sigs.k8s.io/", "helm.sh/", "github.com/k3d-io/", "github.com/argoproj/"} {
			if strings.HasPrefix(d, foreign) {
				t.Errorf("another project's test reaches %s", d)
			}
		}
	}
	t.Logf("%d packages, none of Kubernetes", len(deps))
	run("test", "-count=1", "./...")
}
