package chaos_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of its own for a lab's state, this many bytes large.
func (l *lab) smallDisk(size int) {
	l.t.Helper()
	if os.Geteuid() != 0 {
		l.t.Skip("only root can mount a small file system for the lab")
	}
	dir := filepath.Dir(l.state)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		l.t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	// Before the lab's own clean-up, which may be registered earlier and so comes later:
	// detached, it goes when the last process that uses it ends.
	l.t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			l.t.Error(err)
		}
	})
}

// fill writes a file until the disk has no room for another page, and gives what
// removes it.
func (l *lab) fill() (empty func()) {
	l.t.Helper()
	path := filepath.Join(filepath.Dir(l.state), "filling")
	f, err := os.Create(path)
	if err != nil {
		l.t.Fatal(err)
	}
	page := make([]byte, 1<<16)
	for len(page) > 0 {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			page = page[:len(page)/16]
		} else if err != nil {
			l.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		l.t.Fatal(err)
	}
	return func() {
		l.t.Helper()
		if err := os.Remove(path); err != nil {
			l.t.Fatal(err)
		}
	}
}

// TestFullDisk fills the disk of a lab while alerts are published, also over a
// kill -9. What cannot be stored is not acknowledged; once there is room again, up
// heals the lab, and every acknowledged alert is there and in the archive, whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.smallDisk(200 << 20)
	l.must("up", "--progress", "quiet")
	p := l.produce(seeded(t).Uint64())
	for _, kill := range []bool{false, true} {
		n := len(p.Acknowledged())
		l.eventually("alerts are acknowledged", func() (bool, string) {
			now := len(p.Acknowledged())
			return now > n+20, fmt.Sprint(now)
		})
		empty := l.fill()
		l.eventually("the brokers refuse what they cannot store", func() (bool, string) {
			_, out, _ := l.run(nil, "status")
			return strings.Contains(out, "not acknowledged"), out
		})
		if kill {
			l.killRunner()
			code, _, stderr := l.run(nil, "up", "--progress", "quiet")
			if code != 1 || !strings.HasPrefix(stderr, "error: ") || !strings.Contains(stderr, "no space left on device") || !strings.Contains(stderr, "next: free disk space") {
				t.Errorf("up on a full disk: exit code %d, %s", code, stderr)
			}
		}
		empty()
		l.must("up", "--progress", "quiet")
		n = len(p.Acknowledged())
		l.eventually("alerts are acknowledged again", func() (bool, string) {
			now := len(p.Acknowledged())
			return now > n+20, fmt.Sprint(now)
		})
	}
	acked := p.stop(t)
	l.inTopic(acked)
	l.caughtUp()
	l.archived(acked...)
	l.healthy()
	err := filepath.WalkDir(l.dir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasPrefix(d.Name(), ".write-") || strings.HasPrefix(d.Name(), ".journal-")) {
			t.Errorf("half a file is left: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	l.purge()
}

// TestReadOnlyState makes a lab's disk read-only, before the lab is there and while
// it does not run. up says so and names what to do; once the disk takes writes again,
// the lab goes on with all that it acknowledged.
func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := filepath.Dir(l.state)
	l.smallDisk(200 << 20)
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string) {
		t.Helper()
		remount(unix.MS_RDONLY)
		code, _, stderr := l.run(nil, "up", "--progress", "quiet")
		if code != 2 || !strings.HasPrefix(stderr, "error: there is no place for the lab's state: ") ||
			!strings.Contains(stderr, "read-only file system") || !strings.Contains(stderr, "next: export ALERTLAB_STATE_DIR=DIRECTORY") {
			t.Errorf("up of %s: exit code %d, %s", what, code, stderr)
		}
		remount(0)
	}
	refused("a lab that is not there")
	if _, err := os.Stat(l.state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	l.must("up", "--progress", "quiet")
	p := l.produce(seeded(t).Uint64())
	l.eventually("alerts are acknowledged", func() (bool, string) {
		now := len(p.Acknowledged())
		return now > 20, fmt.Sprint(now)
	})
	acked := p.stop(t)
	l.caughtUp()
	l.must("down", "--progress", "quiet")
	l.dead()
	refused("a lab that does not run")
	l.must("up", "--progress", "quiet")
	l.inTopic(acked)
	l.archived(acked...)
	l.healthy()
	l.purge()
}
