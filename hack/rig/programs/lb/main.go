package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	valuesFile = "/etc/confd/values.yaml"
	// ready is what k3d v5 looks for in the log of its load balancer.
	ready = "start worker processes"
	// interval is how often the file is looked at; k3d waits five seconds
	// for the line after it has written.
	interval = 250 * time.Millisecond
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &balancer{log: log, dial: new(net.Dialer).DialContext}
	follow(ctx, valuesFile, interval, b)
	b.close()
}

// version tells one writing of a file from the next, also when the content and
// the modification time are the same: k3d copies the file into the container,
// which gives it another inode or another change time.
type version struct {
	inode        uint64
	second, nano int64
	size         int64
}

func versionOf(file string) (version, error) {
	var s syscall.Stat_t
	if err := syscall.Stat(file, &s); err != nil {
		return version{}, err
	}
	return version{s.Ino, s.Ctim.Sec, s.Ctim.Nsec, s.Size}, nil
}

// follow takes the file over whenever it was written, until ctx ends. What
// cannot be read leaves the listeners as they are.
func follow(ctx context.Context, file string, every time.Duration, b *balancer) {
	var last version
	var complained string
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		v, err := versionOf(file)
		if err == nil && v != last {
			if err = take(ctx, file, b); err == nil {
				last = v
			}
		}
		// A half-written file is read again; the same complaint is made once.
		if err != nil && err.Error() != complained {
			complained = err.Error()
			b.log.Warn("the load balancer's file cannot be used yet", "error", err)
		} else if err == nil {
			complained = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func take(ctx context.Context, file string, b *balancer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	want, skipped, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := b.set(ctx, want); err != nil {
		return err
	}
	for _, s := range skipped {
		b.log.Warn("not forwarded", "port", s)
	}
	for _, f := range want {
		b.log.Info("forwarding", "port", f.port, "nodes", f.backends)
	}
	b.log.Info(ready, "ports", len(want))
	return nil
}
