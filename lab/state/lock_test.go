package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/state"
)

// holdLock is the environment variable under which this binary is a process that
// takes a lock, says so, and keeps it until its standard input ends.
const holdLock = "ALERTLAB_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdLock); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

func hold(path string) int {
	if _, err := state.TryLock(path); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

// holder is another process that has the lock.
type holder struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  string
}

func startHolder(t *testing.T, path string) *holder {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holdLock+"="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	h := &holder{cmd: cmd, stdin: stdin, said: lines.Text()}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return h
}

// take takes a lock that is free, or nearly so: a process that another test is
// starting has this one's files for a moment, and with them their locks.
func take(t *testing.T, path string) *state.Lock {
	t.Helper()
	for {
		lock, err := state.TryLock(path)
		if err == nil {
			return lock
		}
		if !errors.Is(err, state.ErrLocked) {
			t.Fatal(err)
		}
		free, err := state.Watch(path)
		if err == nil {
			err = free(patience(t))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLockAcrossProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lab.lock")
	other := startHolder(t, path)
	if other.said != "held" {
		t.Fatalf("the other process said %q", other.said)
	}
	if _, err := state.TryLock(path); !errors.Is(err, state.ErrLocked) {
		t.Fatalf("a held lock: %v", err)
	}
	if third := startHolder(t, path); third.said != state.ErrLocked.Error() {
		t.Errorf("a third process said %q", third.said)
	}
	// However the holder ends, the system lets go of the lock.
	free, err := state.Watch(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := free(patience(t)); err != nil {
		t.Fatalf("the lock of a dead process was not given up: %v", err)
	}
	lock := take(t, path)
	if held := startHolder(t, path); held.said != state.ErrLocked.Error() {
		t.Errorf("another process said %q", held.said)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

// An owner that removes the file while it holds the lock, as a purge does, leaves
// the lock to whoever comes to the path next: once, however many come.
func TestLockOfRemovedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 100 {
		path := filepath.Join(dir, fmt.Sprint(i))
		var owners atomic.Int32
		owner, err := state.TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		locks := make(chan *state.Lock, 4)
		for range cap(locks) {
			wg.Go(func() {
				lock, err := state.TryLock(path)
				switch {
				case err == nil:
					owners.Add(1)
					locks <- lock
				case !errors.Is(err, state.ErrLocked):
					t.Error(err)
				}
			})
		}
		if err := errors.Join(os.Remove(path), owner.Release()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if n := owners.Load(); n > 1 {
			t.Fatalf("%d owners at a time", n)
		}
		close(locks)
		for lock := range locks {
			lock.Release()
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	ctx := patience(t)
	path := filepath.Join(t.TempDir(), "lab.lock")
	wait, err := state.Watch(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(ctx); err != nil {
		t.Errorf("without a lock file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("watching made the file")
	}
	other := startHolder(t, path)
	if wait, err = state.Watch(path); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if err := wait(short); !errors.Is(err, context.Canceled) {
		t.Errorf("while it is held: %v", err)
	}
	if wait, err = state.Watch(path); err != nil {
		t.Fatal(err)
	}
	// The owner removes the file, as a purge does, and ends a little later.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- wait(ctx) }()
	if err := other.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
}
