// Command profiled is alertlab with a CPU profiler, for bench alone: the program as it
// ships has none. With ALERTLAB_BENCH_PROFILES a process that stays profiles from
// SIGUSR1 to SIGUSR2, and writes VERB-PID.pprof there; any other profiles all of its
// life.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"

	"github.com/alertlab/alertlab/cmd"
)

// staying are the verbs of processes that run as long as their lab.
var staying = []string{"runner", "object-store"}

func main() {
	end := func() {}
	if dir := os.Getenv("ALERTLAB_BENCH_PROFILES"); dir != "" && len(os.Args) > 1 {
		end = profile(dir, os.Args[1])
	}
	code := cmd.Main(os.Args, cmd.Hooks{})
	end()
	os.Exit(code)
}

// profile arranges for profiles of this process; end writes one that goes on.
func profile(dir, verb string) (end func()) {
	path := filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", verb, os.Getpid()))
	var mu sync.Mutex
	var file *os.File
	begin := func() {
		mu.Lock()
		defer mu.Unlock()
		if file != nil {
			return
		}
		f, err := os.Create(path + ".part")
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			return
		}
		file = f
	}
	end = func() {
		mu.Lock()
		defer mu.Unlock()
		if file == nil {
			return
		}
		pprof.StopCPUProfile()
		err := file.Close()
		file = nil
		if err == nil {
			err = os.Rename(path+".part", path)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
	if !slices.Contains(staying, verb) {
		begin()
		return end
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for s := range signals {
			if s == syscall.SIGUSR1 {
				begin()
			} else {
				end()
			}
		}
	}()
	return end
}
