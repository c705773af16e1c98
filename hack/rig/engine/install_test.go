package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alertlab/alertlab/lab/fault"
)

// fakeApt stands for apt-get on the PATH. It tells in named pipes that it has
// begun and how it ended, and waits in between until it is let go on.
type fakeApt struct {
	t                   *testing.T
	dir                 string
	begun, proceed, end *os.File
}

const fakeAptGet = `#!/bin/sh
for s in HUP INT QUIT PIPE TERM; do trap "echo $s >>'$FAKE_APT/signals'" $s; done
echo "$*" >>"$FAKE_APT/runs"
echo begun >"$FAKE_APT/begun"
read word <"$FAKE_APT/go"
echo "E: the word is $word"
said=$?
[ "$word" = ok ]
code=$?
echo "$* said=$said" >"$FAKE_APT/end"
exit $code
`

func newFakeApt(t *testing.T) *fakeApt {
	t.Helper()
	a := &fakeApt{t: t, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(a.dir, "apt-get"), []byte(fakeAptGet), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]**os.File{"begun": &a.begun, "go": &a.proceed, "end": &a.end} {
		path := filepath.Join(a.dir, name)
		err := syscall.Mkfifo(path, 0o600)
		if err == nil {
			// For both directions, so that opening waits for nobody.
			*f, err = os.OpenFile(path, os.O_RDWR, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*f).Close() })
	}
	t.Setenv("FAKE_APT", a.dir)
	t.Setenv("PATH", a.dir+":"+os.Getenv("PATH"))
	return a
}

// line reads what the program tells next.
func (a *fakeApt) line(f *os.File) string {
	a.t.Helper()
	b := make([]byte, 200)
	if err := f.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	n, err := f.Read(b)
	if err != nil {
		a.t.Fatalf("%s: %v", filepath.Base(f.Name()), err)
	}
	return strings.TrimSpace(string(b[:n]))
}

func (a *fakeApt) goOn(word string) {
	a.t.Helper()
	if _, err := fmt.Fprintln(a.proceed, word); err != nil {
		a.t.Fatal(err)
	}
}

// file reads what the runs left: "runs" are their words, "signals" those that reached one.
func (a *fakeApt) file(name string) string {
	b, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil && !os.IsNotExist(err) {
		a.t.Fatal(err)
	}
	return string(b)
}

func TestAptGet(t *testing.T) {
	a := newFakeApt(t)
	a.goOn("ok")
	a.goOn("ok")
	if err := aptGet(t.Context(), Options{}, []string{"update"}, []string{"install", "x"}); err != nil {
		t.Error(err)
	}
	a.goOn("bad")
	err := aptGet(t.Context(), Options{}, []string{"update"}, []string{"install", "x"})
	var f *fault.Fault
	if !errors.As(err, &f) || !strings.Contains(f.Why, "apt-get update: exit status 1: E: the word is bad") || !strings.HasSuffix(f.Next, "apt-get update") {
		t.Errorf("a run that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := aptGet(ctx, Options{}, []string{"update"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if got, want := a.file("runs"), "update\ninstall x\nupdate\n"; got != want {
		t.Errorf("it ran %q, want %q", got, want)
	}
}

// A run that has begun goes to its end; the next one is not begun.
func TestAptGetInterrupted(t *testing.T) {
	for _, word := range []string{"ok", "bad"} {
		t.Run(word, func(t *testing.T) {
			a := newFakeApt(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			said := make(chan string, 10)
			over := make(chan error, 1)
			go func() {
				over <- aptGet(ctx, Options{Say: func(s string) { said <- s }}, []string{"update"}, []string{"install", "x"})
			}()
			a.line(a.begun)
			cancel()
			lines := []string{<-said, <-said}
			select {
			case err := <-over:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			a.goOn(word)
			err := <-over
			if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "the word is bad") != (word == "bad") {
				t.Errorf("got %v", err)
			}
			if got := a.line(a.end); got != "update said=0" {
				t.Errorf("it ended as %q", got)
			}
			if got, want := a.file("runs"), "update\n"; got != want {
				t.Errorf("it ran %q", got)
			}
			if got := a.file("signals"); got != "" {
				t.Errorf("it got the signals %q", got)
			}
			want := []string{"apt-get update", "interrupted: waits for apt-get, which must not be stopped midway"}
			if len(said) > 0 || !slices.Equal(lines, want) {
				t.Errorf("it said %q, and %d lines more", lines, len(said))
			}
		})
	}
}

// A terminal's Ctrl-C goes to the whole process group and ends a rig that does
// not wait any more; apt-get neither gets it nor ends for want of a reader.
func TestAptGetOutlivesTheRig(t *testing.T) {
	a := newFakeApt(t)
	rig := exec.Command(os.Args[0], "apt-get", "install", "x")
	rig.Env = append(os.Environ(), probeEnv+"=1")
	rig.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := rig.Start(); err != nil {
		t.Fatal(err)
	}
	a.line(a.begun)
	if err := syscall.Kill(-rig.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := rig.Wait(); !errors.As(err, &exit) {
		t.Errorf("the rig ended with %v", err)
	}
	a.goOn("ok")
	if got := a.line(a.end); got != "install x said=0" {
		t.Errorf("it ended as %q", got)
	}
	if got := a.file("signals"); got != "" {
		t.Errorf("it got the signals %q", got)
	}
}
