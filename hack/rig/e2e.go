package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/alertlab/alertlab/hack/rig/cluster"
	"github.com/alertlab/alertlab/hack/rig/engine"
	"github.com/alertlab/alertlab/hack/rig/images"
	"github.com/alertlab/alertlab/lab/fault"
)

// suites are the rig's tests that need an engine, in the order in which they run.
// Each has the machine to itself: two cores carry one cluster.
var suites = []struct{ folder, minutes string }{
	{"./hack/rig/engine", "10m"},
	{"./hack/rig/cluster/...", "20m"},
	{"./hack/rig/e2e", "60m"},
}

// long are the tests that only --all runs: each is a whole lab's life of many minutes on
// two cores. What the others prove by another provider or deployer, or of components
// alone, these prove again together.
const long = "^(TestEncryptedLab|TestExistingLab|TestExistingStrimzi|TestLab|TestLabFromRegistry)$"

func (r *rig) e2e() *cobra.Command {
	var run, archives string
	var all bool
	c := &cobra.Command{
		Use:   "e2e",
		Short: "Test the rig on itself: engines, clusters of every maker, the stack's components",
		Long: `e2e makes what is not there yet, as "all" does, and runs the tests that need a Docker
engine: a second engine beside the one in use, clusters by k3d, by kind and plain, and
the components of the stack together on one of them, every object of the full stack in a
dry run, and labs on k3d by Argo CD and on kind by Helm. With --all, also labs on k3d by
Helm, an encrypted one, and two on clusters that were there, of which one has its images
from a registry. It fails when the machine is
not left as it was. When a test fails or is interrupted, every cluster of the rig is taken
away.

With --images, the full stack's Kafka by Strimzi's operator, too, with --all also on a
cluster that was there, with its own operator and beside somebody else's: the folder has what
docker save wrote of quay.io/strimzi/operator:VERSION and of
quay.io/strimzi/kafka:VERSION-kafka-KAFKA, and the operator's chart as helm pull wrote
it.`,
		Example: "  rig e2e\n  rig e2e --all\n  rig e2e --run TestStack\n  rig e2e --run TestFullKafka --images ./strimzi",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if archives != "" {
				var err error
				if archives, err = filepath.Abs(archives); err == nil {
					_, err = os.ReadDir(archives)
				}
				if err != nil {
					return fault.Wrap(fault.BadInput, "there are no images of Strimzi", err, "name a folder with image archives: --images DIR")
				}
			}
			if err := r.ready(ctx); err != nil {
				return err
			}
			return r.withNode(ctx, func(e *engine.Engine, made images.Result) error {
				if err := r.takeTestsDown(ctx); err != nil {
					return err
				}
				before, err := engine.Snapshot(ctx, e)
				if err != nil {
					return err
				}
				begun := time.Now()
				tools, proxy := made.Reference("k3d-tools"), made.Reference("k3d-proxy")
				env := append(os.Environ(), "ALERTLAB_RIG_ENGINE=1", "ALERTLAB_RIG_CLUSTER=1", "ALERTLAB_RIG_CACHE="+r.cache,
					"ALERTLAB_RIG_BUNDLE="+r.bundleFile(), "ALERTLAB_RIG_NODE_IMAGE="+made.Node.Reference,
					"ALERTLAB_RIG_TOOLS_IMAGE="+tools, "ALERTLAB_RIG_PROXY_IMAGE="+proxy)
				if archives != "" {
					env = append(env, "ALERTLAB_RIG_STRIMZI="+archives)
				}
				seen := &testCounter{to: r.out}
				for _, s := range suites {
					one := time.Now()
					args := []string{"test", "-count=1", "-v", "-timeout", s.minutes}
					if run != "" {
						args = append(args, "-run", run)
					} else if !all {
						args = append(args, "-skip", long)
					}
					if err := r.test(ctx, env, seen, append(args, s.folder)...); err != nil {
						// A test that was killed takes nothing away itself.
						if downErr := r.takeDown(context.WithoutCancel(ctx), nil); downErr != nil {
							r.say("e2e: %v", downErr)
						}
						return err
					}
					r.say("e2e: %s in %s", s.folder, round(time.Since(one)))
				}
				if seen.tests == 0 {
					return fault.New(fault.BadInput, "no test matches --run "+run, "its pattern is that of `go test -run`", "grep -rh '^func Test' hack/rig/engine hack/rig/cluster hack/rig/e2e")
				}
				after, err := engine.Snapshot(ctx, e)
				if err != nil {
					return err
				}
				if left := after.Left(before); len(left) > 0 {
					return fault.New(fault.StepFailed, "the tests passed, and left something behind", fmt.Sprint(left), "go run ./hack/rig clean")
				}
				r.say("e2e: all passed in %s, nothing left behind", round(time.Since(begun)))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "the long tests, too")
	c.Flags().StringVar(&archives, "images", "", "folder with image archives and the chart of Strimzi's operator, for TestFullKafka and TestExistingStrimzi")
	c.Flags().StringVar(&run, "run", "", "only tests whose names match, as go test has it")
	return c
}

// takeTestsDown deletes the clusters that a killed run of the tests left behind: the
// engine's start brings them back, and this run's would have the same names.
func (r *rig) takeTestsDown(ctx context.Context) error {
	var names []string
	err := r.withClusters(ctx, func(_ *engine.Engine, clusters *cluster.Clusters) error {
		list, err := clusters.List(ctx)
		for _, one := range list {
			if strings.HasPrefix(one.Name, cluster.TestPrefix) {
				names = append(names, one.Name)
			}
		}
		return err
	})
	if err != nil || len(names) == 0 {
		return err
	}
	return r.takeDown(ctx, names)
}

// test runs the go command in the checkout. Interrupted, it gives the tests time to
// take away what they made.
func (r *rig) test(ctx context.Context, env []string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.project, env, out, r.err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 2 * time.Minute
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fault.New(fault.StepFailed, "a test failed", "see its output above", r.again())
	}
	return err
}

// testCounter passes the output of `go test -v` on, and counts the tests that it
// tells of.
type testCounter struct {
	to    io.Writer
	tests int
	end   []byte // of the last write, which may have broken the word in two
}

func (c *testCounter) Write(p []byte) (int, error) {
	const word = "=== RUN "
	text := append(c.end, p...)
	c.tests += strings.Count(string(text), word)
	c.end = bytes.Clone(text[max(0, len(text)-len(word)+1):])
	return c.to.Write(p)
}
