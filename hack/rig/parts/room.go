package parts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/alertlab/alertlab/lab/fault"
)

// NeedMemory is what a build needs, in bytes: two links side by side.
const NeedMemory = 8e9

// Space is what a machine has for a build, in bytes.
type Space struct {
	Dir       string // the disk is that of this folder
	Disk      int64  // free for this user
	Memory    int64  // of the machine, or of the control group when that is less
	Available int64  // memory that is not in use
}

// Room measures what there is for building in a cache folder, which need not
// exist yet.
func Room(cacheDir string) (Space, error) {
	s := Space{Dir: cacheDir}
	dir := cacheDir
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return s, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	s.Disk = int64(disk.Bavail) * disk.Bsize
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return s, err
	}
	defer f.Close()
	s.Memory, s.Available, err = memory(f)
	if err != nil {
		return s, err
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		// A group without a limit says "max" or a number larger than any memory.
		if text, err := os.ReadFile(file); err == nil {
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				s.Memory, s.Available = min(s.Memory, limit), min(s.Available, limit)
			}
		}
	}
	return s, nil
}

// memory reads MemTotal and MemAvailable of /proc/meminfo (proc(5)), in bytes.
func memory(r io.Reader) (total, available int64, err error) {
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		switch fields[0] {
		case "MemTotal:":
			total = n * 1024
		case "MemAvailable:":
			available = n * 1024
		}
	}
	if err := scanner.Err(); err != nil {
		return 0, 0, err
	}
	if total == 0 || available == 0 {
		return 0, 0, fmt.Errorf("/proc/meminfo gives no MemTotal or MemAvailable")
	}
	return total, available, nil
}

// CheckDisk gives a *fault.Fault when a build that needs this many bytes would
// fill the disk.
func (s Space) CheckDisk(need int64) error {
	if s.Disk >= need {
		return nil
	}
	return fault.New(fault.StepFailed, "there is too little room on the disk to build the rig's parts",
		fmt.Sprintf("%s has %.1f GB free, and building takes %.1f GB", s.Dir, float64(s.Disk)/1e9, float64(need)/1e9),
		"free some, or name a folder on another disk in ALERTLAB_RIG_CACHE")
}

// Need is the room on the disk that building some parts takes, in bytes.
type Need struct {
	Least int64 // when the caches of a line are dropped as soon as it is built
	Most  int64 // when all caches are kept for the next build
}

// Shares of Need that are no line's.
const (
	needOutput = 3e9   // the parts themselves (2.1 GB) and what is half built
	needMain   = 1.3e9 // the caches of the checkout's own line
)

// Need tells what building the parts of these names takes.
func (p *Pins) Need(names []string) Need {
	if len(names) == 0 {
		return Need{}
	}
	n := Need{needOutput, needOutput}
	var lines []string
	var sizes []int64
	for _, name := range names {
		pin, _ := p.Part(name) // an unknown one takes nothing
		if line := pin.Go.Line; line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
			size := int64(needMain)
			if line != MainLine {
				size = p.line(line).Disk * 1e6
			}
			sizes = append(sizes, size)
			n.Most += size
		}
	}
	slices.Sort(sizes)
	for _, size := range sizes[max(0, len(sizes)-mostLanes):] {
		n.Least += size
	}
	return n
}

// CheckMemory gives a *fault.Fault when a build would run out of memory.
func (s Space) CheckMemory() error {
	if s.Memory >= NeedMemory {
		return nil
	}
	return fault.New(fault.StepFailed, "this machine has too little memory to build the rig's parts",
		fmt.Sprintf("it has %.1f GB, and linking Kubernetes beside other builds takes %.0f GB", float64(s.Memory)/1e9, NeedMemory/1e9),
		"build on a machine with more, and copy its cache folder here")
}

// dirSize gives what the files below dir take on the disk, in bytes; 0 when there
// is no such folder.
func dirSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			size += stat.Blocks * 512 // stat(2): of 512 bytes, whatever the file system's are
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return size, nil
	}
	return size, err
}
