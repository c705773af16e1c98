package tui

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"

	"github.com/alertlab/alertlab/lab/event"
)

// childVariable makes this test binary follow a walk on its own terminal.
const childVariable = "ALERTLAB_TEST_TUI_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child follows a walk that is over before the first frame is due.
func child() int {
	events := make(chan event.Event)
	go func() {
		for _, e := range []event.Event{plan, began(0, "kafka"), over(0.3, event.Done, "kafka"), {Time: at(0.3), Kind: event.Finished}} {
			events <- e
		}
	}()
	if err := Follow(context.Background(), os.Stdout, os.Stdin, events, func() {}, About{}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A real terminal of 40 columns that answers no question: nothing is asked of
// it, the whole report stays on it although it is lower than that, and it is
// left as it was found.
func TestTerminalThatNeverAnswers(t *testing.T) {
	t.Parallel()
	master, slave := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 4, Col: 40}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "TERM=xterm-256color", "NO_COLOR=", "COLORTERM=", "TMUX=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = screen.ReadFrom(master) // ends with EIO when the last slave is closed
	}()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	slave.Close()
	<-read

	got := screen.String()
	for what, question := range map[string]string{
		"its background colour": "\x1b]11;?", "the cursor's position": "\x1b[6n", "its kind": "\x1b[c", "another screen": "\x1b[?1049h",
	} {
		if strings.Contains(got, question) {
			t.Errorf("the terminal was asked for %s: %q", what, got)
		}
	}
	if !strings.Contains(got, "\x1b[32m✓") {
		t.Errorf("no colours on a terminal: %q", got)
	}
	report := `✓ start six brokers                0.3s
· start the schema registry
· load 300 alerts into alerts-…
· 日本語の表題でとても長いステ…
all done in 0.3s, 1 step
`
	if text := strings.ReplaceAll(ansi.Strip(got), "\r", ""); !strings.HasSuffix(text, report) {
		t.Errorf("the report is not what stays on the terminal:\n%q", text)
	}
	if hide, show := strings.LastIndex(got, ansi.HideCursor), strings.LastIndex(got, ansi.ShowCursor); show < hide {
		t.Error("the cursor stays hidden")
	}
	if *before != *after {
		t.Errorf("the terminal's settings were %+v and are %+v", *before, *after)
	}
}

// openTerminal opens a pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}
