package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test program stand for the real one.
func TestMain(m *testing.M) {
	if os.Getenv("PAUSE_TEST_RUN") == "1" {
		os.Stdout.WriteString("up\n")
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEndsOnSignal(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PAUSE_TEST_RUN=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		// The line comes a moment before main listens for signals; a signal
		// in between ends the process as well, only not with code 0.
		time.Sleep(50 * time.Millisecond)
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestReap(t *testing.T) {
	pids := make([]int, 3)
	for i := range pids {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pids[i] = pid
	}
	total := 0
	for deadline := time.Now().Add(5 * time.Second); total < len(pids) && time.Now().Before(deadline); {
		total += reap()
	}
	if total != len(pids) {
		t.Fatalf("collected %d of %d", total, len(pids))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
}
