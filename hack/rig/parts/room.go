package parts

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/alertlab/alertlab/lab/fault"
)

// What a build needs, in bytes. The caches of a cold one take most of its disk;
// one that has them needs room for parts and their temporary files. Memory is
// for two links side by side.
const (
	NeedDisk     = 15e9
	NeedDiskWarm = 4e9
	NeedMemory   = 8e9
)

// Space is what a machine has for a build, in bytes.
type Space struct {
	Dir       string // the disk is that of this folder
	Disk      int64  // free for this user
	NeedDisk  int64  // to be free for a build: less where the build caches are filled
	Memory    int64  // of the machine, or of the control group when that is less
	Available int64  // memory that is not in use
}

// Room measures what there is for building in a cache folder, which need not
// exist yet.
func Room(cacheDir string) (Space, error) {
	s := Space{Dir: cacheDir, NeedDisk: NeedDisk}
	if warm(cacheDir) {
		s.NeedDisk = NeedDiskWarm
	}
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

// warm tells whether most of what a build downloads and compiles is there, by
// the sign that the first and the last of the large parts have been built
// with the caches that are there.
func warm(cacheDir string) bool {
	for _, pattern := range []string{"build/gocache", "build/gomod", "parts/kubernetes/*/" + recordFile, "parts/traefik/*/" + recordFile} {
		if found, err := filepath.Glob(filepath.Join(cacheDir, pattern)); err != nil || len(found) == 0 {
			return false
		}
	}
	return true
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

// CheckDisk gives a *fault.Fault when a build would fill the disk.
func (s Space) CheckDisk() error {
	if s.Disk >= s.NeedDisk {
		return nil
	}
	return fault.New(fault.StepFailed, "there is too little room on the disk to build the rig's parts",
		fmt.Sprintf("%s has %.1f GB free, and building takes %.0f GB", s.Dir, float64(s.Disk)/1e9, float64(s.NeedDisk)/1e9),
		"free some, or name a folder on another disk in ALERTLAB_RIG_CACHE")
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
