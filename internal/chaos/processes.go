package chaos

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Process is a living process of a lab.
type Process struct {
	PID  int
	Args []string // its command line
}

// Is says whether the process was started with this verb as its first argument,
// e.g. "runner" or "object-store".
func (p Process) Is(verb string) bool { return len(p.Args) > 1 && p.Args[1] == verb }

// Kill ends the process with SIGKILL. One that has ended already is no error.
func (p Process) Kill() { _ = syscall.Kill(p.PID, syscall.SIGKILL) }

// Processes lists the processes that were started for labs under a state
// directory, by the ALERTLAB_STATE_DIR in their environment, oldest first. This
// process itself is never among them, and neither is one that is dead and not
// waited for yet.
func Processes(stateDir string) []Process {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	want := []byte("ALERTLAB_STATE_DIR=" + stateDir)
	var out []Process
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err != nil { // it ended meanwhile, or belongs to someone else
			continue
		}
		if !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || len(cmdline) == 0 {
			continue
		}
		out = append(out, Process{PID: pid, Args: strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")})
	}
	slices.SortFunc(out, func(a, b Process) int { return a.PID - b.PID })
	return out
}

// Running lists those Processes that were started with this verb.
func Running(stateDir, verb string) []Process {
	return slices.DeleteFunc(Processes(stateDir), func(p Process) bool { return !p.Is(verb) })
}
