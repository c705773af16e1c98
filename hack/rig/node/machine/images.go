package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Images is the set of image archives that a node carries, in one folder:
// common.tar for every node, server.tar for the control plane, and names.txt,
// the references in them, one a line.
type Images struct{ Dir string }

// Names reads the references.
func (i Images) Names() ([]string, error) {
	f, err := os.Open(filepath.Join(i.Dir, "names.txt"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if n := strings.TrimSpace(s.Text()); n != "" && !strings.HasPrefix(n, "#") {
			names = append(names, n)
		}
	}
	return names, s.Err()
}

// Pick gives the one name whose repository (what is before the tag) is given.
func Pick(names []string, repository string) (string, bool) {
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, repository); ok && (rest == "" || rest[0] == ':' || rest[0] == '@') {
			return n, true
		}
	}
	return "", false
}

// Import loads the archives into containerd, side by side, and leaves a mark,
// so that it happens once in the life of the node's storage. Output of the
// tool goes to log. It returns how long it took; zero if it was done before.
func (i Images) Import(ctx context.Context, server bool, mark string, log io.Writer) (time.Duration, error) {
	if _, err := os.Stat(mark); err == nil {
		return 0, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	began := time.Now()
	archives := []string{"common.tar"}
	if server {
		archives = append(archives, "server.tar")
	}
	errs := make([]error, len(archives))
	outs := make([][]byte, len(archives))
	var both sync.WaitGroup
	for n, a := range archives {
		both.Go(func() {
			cmd := exec.CommandContext(ctx, "ctr", "--namespace", "k8s.io", "images", "import", "--all-platforms", filepath.Join(i.Dir, a))
			var err error
			if outs[n], err = cmd.CombinedOutput(); err != nil {
				errs[n] = fmt.Errorf("the images of %s cannot be imported: %w: %s", a, err, lastLine(string(outs[n])))
			}
		})
	}
	both.Wait()
	for _, out := range outs {
		_, _ = log.Write(out) // a log that cannot be written is no reason to fail
	}
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return time.Since(began), os.WriteFile(mark, nil, 0o644)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
