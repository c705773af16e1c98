package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is one process of this boot of the machine, told apart from another
// that gets its number later.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
	Exe   string `json:"exe"`   // path of the program
}

// inspect reads what is now known of a process. The error is fs.ErrNotExist when
// there is none.
func inspect(pid int) (process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return process{}, err
	}
	start, zombie, err := startTime(stat)
	if err != nil {
		return process{}, err
	}
	if zombie {
		return process{}, fs.ErrNotExist
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return process{}, err
	}
	// So it reads once a package was upgraded under it.
	return process{pid, start, strings.TrimSuffix(exe, " (deleted)")}, nil
}

// startTime reads /proc/PID/stat (proc_pid_stat(5)): the name in parentheses may
// hold anything, what follows its last one is fields from the third on.
func startTime(stat []byte) (ticks uint64, zombie bool, err error) {
	at := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[at+1:])
	if at < 0 || len(fields) < 20 {
		return 0, false, errors.New("a stat of /proc is cut off")
	}
	ticks, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return ticks, string(fields[0]) == "Z" || string(fields[0]) == "X", err
}

// alive says whether this very process still runs.
func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := inspect(p.PID)
	return err == nil && now == p
}

// end asks a process to end, with SIGTERM, and after patience makes it, with
// SIGKILL. It does nothing to a process that is another one by now.
func (p process) end(ctx context.Context, patience time.Duration) error {
	if p.PID <= 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.alive() { // from here on the descriptor means this process, whatever becomes of its number
		return nil
	}
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, patience}, {unix.SIGKILL, 10 * time.Second}} {
		if step.wait <= 0 {
			continue
		}
		if err := unix.PidfdSendSignal(fd, step.signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("process %d: %w", p.PID, err)
		}
		over, err := ended(ctx, fd, step.wait)
		if over || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d (%s) does not end", p.PID, p.Exe)
}

// ended waits for the process behind a pidfd. A slice of the wait is bounded so
// that a cancelled context is seen.
func ended(ctx context.Context, fd int, wait time.Duration) (bool, error) {
	deadline := time.Now().Add(wait)
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		left := min(time.Until(deadline), 200*time.Millisecond)
		if left <= 0 {
			return false, nil
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
		if n > 0 {
			return true, nil
		}
	}
}

// find lists the processes whose program has the given base name and whose
// arguments have the given words one after the other. The words are paths of the
// engine's own folder, which makes the processes the engine's.
func find(program string, words ...string) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !hasWords(strings.Split(string(line), "\x00"), words) {
			continue
		}
		if p, err := inspect(pid); err == nil && filepath.Base(p.Exe) == program {
			found = append(found, p)
		}
	}
	return found, nil
}

func hasWords(args, words []string) bool {
	for i := 0; i+len(words) <= len(args); i++ {
		same := true
		for k, w := range words {
			same = same && args[i+k] == w
		}
		if same {
			return true
		}
	}
	return false
}

// bootID tells the boots of the machine apart.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
