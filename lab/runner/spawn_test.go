package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/lab/state"
)

// actAs and actRoot make this binary a runner's process; see act.
const (
	actAs   = "ALERTLAB_TEST_ACT_AS"
	actRoot = "ALERTLAB_TEST_ROOT"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(actAs); role != "" {
		os.Exit(act(role, state.At(os.Getenv(actRoot), "default")))
	}
	// Short socket paths lie in a folder of the temporary directory, which is
	// this run's own. It is short itself, so that most sockets need none.
	temp, err := os.MkdirTemp("", "r")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("TMPDIR", temp)
	code := m.Run()
	os.RemoveAll(temp)
	os.Exit(code)
}

func act(role string, dir state.Dir) int {
	fmt.Println("acting as", role)
	switch role {
	case "runner":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err := newServer(dir, newLab(dir)).Serve(ctx, func() { runner.Ready(nil) })
		if err != nil {
			runner.Ready(err)
			return 1
		}
		return 0
	case "refuse":
		runner.Ready(errors.New("another process\nholds the lock"))
		return 1
	case "die":
		fmt.Fprintln(os.Stderr, "panic: nothing works")
		return 7
	case "hang":
		if err := os.WriteFile(filepath.Join(dir.Path(), "pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
			return 1
		}
		os.Stdin.Close()
		select {}
	case "twice":
		// What is said after the start must not end up in a file.
		runner.Ready(nil)
		f, err := os.Create(filepath.Join(dir.Path(), "said"))
		if err != nil {
			return 1
		}
		runner.Ready(errors.New("the server ended badly"))
		f.Close()
		fmt.Println("said twice")
		return 0
	}
	return 2
}

func spawn(ctx context.Context, t *testing.T, dir state.Dir, role string) (*runner.Client, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return runner.Spawn(ctx, dir, exe, nil, append(os.Environ(), actAs+"="+role, actRoot+"="+dir.Root()))
}

func TestSpawn(t *testing.T) {
	t.Parallel()
	dir, ctx := newDir(t), patience(t)
	client, err := spawn(ctx, t, dir, "runner")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Up(ctx, describe("local"), func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	st, err := client.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// A session of its own: a closed terminal does not reach it.
	if sid, err := unix.Getsid(st.PID); err != nil || sid != st.PID || st.PID == os.Getpid() {
		t.Errorf("process %d is in session %d, %v", st.PID, sid, err)
	}
	if log, err := os.ReadFile(dir.Log("runner")); err != nil || !strings.HasPrefix(string(log), "acting as runner") {
		t.Errorf("the log is %q, %v", log, err)
	}
	if err := client.Down(ctx, true, func(event.Event) {}); err != nil {
		t.Fatal(err)
	}
	if dir.Exists() {
		t.Error("the lab's directory is left")
	}
}

// SIGTERM takes a lab down as a cancelled context does.
func TestSpawnedTerm(t *testing.T) {
	t.Parallel()
	dir, ctx := newDir(t), patience(t)
	client, err := spawn(ctx, t, dir, "runner")
	if err != nil {
		t.Fatal(err)
	}
	st, err := client.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := state.Watch(dir.LockPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := gone(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Dial(ctx, dir); !errors.Is(err, runner.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

func TestSpawnFails(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{
		"refuse": "another process holds the lock",
		"die":    "it ended before it listened (exit status 7); see ",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			_, err := spawn(patience(t), t, dir, role)
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			log, err := os.ReadFile(dir.Log("runner"))
			if err != nil || (role == "die" && !strings.Contains(string(log), "nothing works")) {
				t.Errorf("the log is %q, %v", log, err)
			}
		})
	}
	t.Run("no executable", func(t *testing.T) {
		t.Parallel()
		if _, err := runner.Spawn(patience(t), newDir(t), filepath.Join(t.TempDir(), "none"), nil, nil); err == nil {
			t.Error("it was started")
		}
	})
}

// A spawn that is given up leaves no process that nobody knows of.
func TestSpawnGivenUp(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithCancel(patience(t))
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	// The child tells through a fifo that it has begun.
	pid := filepath.Join(dir.Path(), "pid")
	if err := unix.Mkfifo(pid, 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() {
		b, err := os.ReadFile(pid)
		if err != nil {
			t.Error(err)
		}
		told <- string(b)
		cancel()
	}()
	if _, err := spawn(ctx, t, dir, "hang"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var child int
	if _, err := fmt.Sscan(<-told, &child); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is left: %v", child, err)
	}
}

// Saying more than once how the start went harms nothing.
func TestReadyTwice(t *testing.T) {
	t.Parallel()
	dir, ctx := newDir(t), patience(t)
	if err := errors.Join(dir.Create(), unix.Mkfifo(dir.Log("runner"), 0o600)); err != nil {
		t.Fatal(err)
	}
	log := make(chan string, 1)
	go func() {
		b, err := os.ReadFile(dir.Log("runner"))
		if err != nil {
			t.Error(err)
		}
		log <- string(b)
	}()
	// It does not listen, which is all that Spawn can say of it.
	if _, err := spawn(ctx, t, dir, "twice"); !errors.Is(err, runner.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	// The log is a fifo here, so that it ends when the process has.
	if log := <-log; !strings.HasSuffix(log, "said twice\n") {
		t.Errorf("the process said %q", log)
	}
	if b, err := os.ReadFile(filepath.Join(dir.Path(), "said")); err != nil || len(b) != 0 {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
