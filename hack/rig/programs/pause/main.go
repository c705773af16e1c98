// pause keeps a pod's namespaces open and does nothing else: it waits for
// SIGINT or SIGTERM, and in between collects the processes that the pod's
// containers leave behind when they share their process namespace with it.
package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap collects every child that has ended and returns how many there were.
// One SIGCHLD can stand for several of them.
func reap() int {
	for n := 0; ; {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil || pid <= 0:
			return n
		default:
			n++
		}
	}
}
