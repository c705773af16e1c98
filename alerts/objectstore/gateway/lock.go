package gateway

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// LockedError says that another process still serves the folder.
type LockedError struct {
	Path string
	Wait time.Duration
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is held by another process, waited %s", e.Path, e.Wait.Round(time.Millisecond))
}

// lock takes the folder's lock for the rest of the process's life. After a kill
// -9 of the parent its old child may still be finishing requests; two gateways
// over one folder would each answer with what the other is changing.
//
// The kernel releases the lock when the process ends, however it ends. The
// descriptor is a bare one, since an *os.File that nobody holds is closed by
// the garbage collector.
func lock(ctx context.Context, path string, deadline time.Time) error {
	start := time.Now()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	locked := make(chan error, 1)
	go func() {
		// Blocking in the kernel is woken by the release itself. If we give up
		// first, the process ends and this with it.
		for {
			err := unix.Flock(fd, unix.LOCK_EX)
			if err != unix.EINTR {
				locked <- err
				return
			}
		}
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case err := <-locked:
		if err != nil {
			return fmt.Errorf("lock %s: %w", path, err)
		}
		return nil
	case <-timer.C:
		return &LockedError{Path: path, Wait: time.Since(start)}
	case <-ctx.Done():
		return ctx.Err()
	}
}
