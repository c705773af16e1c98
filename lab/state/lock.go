//go:build unix

package state

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("another process holds the lock")

// Lock is an exclusive lock on a file. The system lets go of it when the process
// ends, however it ends.
type Lock struct{ file *os.File }

// TryLock takes the lock on the file at path, which is created where missing. It
// does not wait: ErrLocked when another process has it.
//
// The lock is on the file that path names when it is taken. An owner may remove
// the file before it lets go; whoever had opened that file then holds the lock on
// something that nobody else will find, and begins again.
func TryLock(path string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrLocked
			}
			return nil, err
		}
		ours, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if named, err := os.Stat(path); err == nil && os.SameFile(ours, named) {
			return &Lock{f}, nil
		}
		f.Close()
	}
}

// flock is the system call, begun again when a signal interrupts it.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Release lets go of the lock.
func (l *Lock) Release() error { return l.file.Close() }

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}

// Watch opens the lock file at path and returns a function that waits until no
// process holds it, also when the file is removed meanwhile. Without such a file
// there is nothing to wait for.
func Watch(path string) (wait func(ctx context.Context) error, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func(context.Context) error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		free := make(chan error, 1)
		go func() {
			err := flock(f, syscall.LOCK_SH)
			f.Close() // before the caller goes on and takes the lock itself
			free <- err
		}()
		select {
		case err := <-free:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}
