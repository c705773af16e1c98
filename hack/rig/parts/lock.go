package parts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Holder is who writes to the cache folder.
type Holder struct {
	PID   int       `json:"pid"`
	What  string    `json:"what"`  // what it does, as a user calls it
	Since time.Time `json:"since"` // when it began
}

// String says who it is, for a message to whoever waits.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d (%s, since %s)", h.PID, h.What, h.Since.Local().Format(time.TimeOnly))
}

// lockPoll is how often a held lock is tried again: flock cannot wait with a
// context.
const lockPoll = 200 * time.Millisecond

// Lock makes the caller the only one that writes to the cache folder, until
// release is called or the process ends. While another holds it, it waits, and
// calls waiting once with who that is. The error is that of ctx or of the
// file system.
func Lock(ctx context.Context, cacheDir, what string, waiting func(Holder)) (release func() error, err error) {
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cacheDir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := acquire(ctx, f, waiting); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	text, err := json.Marshal(Holder{os.Getpid(), what, time.Now()})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(text, 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { return errors.Join(f.Truncate(0), f.Close()) }, nil
}

func acquire(ctx context.Context, f *os.File, waiting func(Holder)) error {
	try := func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	err := try()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return err
	}
	var holder Holder
	if text, err := io.ReadAll(io.NewSectionReader(f, 0, 4096)); err == nil {
		_ = json.Unmarshal(text, &holder) // one that just begins has not said yet
	}
	if waiting != nil {
		waiting(holder)
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := try(); !errors.Is(err, syscall.EWOULDBLOCK) {
				return err
			}
		}
	}
}
