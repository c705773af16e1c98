package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
)

// record is engine.json: what the own engine is, and what the machine had before
// it. It is written before anything is changed, so that Stop can put things back
// whatever happened since.
type record struct {
	Boot       string    `json:"boot"` // of the machine: numbers of processes and settings of the kernel are this boot's
	Dockerd    process   `json:"dockerd"`
	Containerd process   `json:"containerd"`
	Range      string    `json:"range"`   // of the addresses of its networks
	Wrapper    bool      `json:"wrapper"` // CAP_SYS_RESOURCE is missing
	Began      time.Time `json:"began"`
	Before     before    `json:"before"`
}

// before is what the machine had.
type before struct {
	Sysctls map[string]string `json:"sysctls"` // path below /proc/sys to value
	Absent  []string          `json:"absent"`  // paths outside of the cache that dockerd makes, and that were not there
	Engines []process         `json:"engines"` // programs of other engines that ran
}

// Settings of the kernel that dockerd changes.
var sysctls = []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding"}

// Paths that a dockerd makes wherever its folders are, innermost first.
var outside = []string{"/etc/docker/key.json", "/etc/docker", "/run/docker/plugins", "/run/docker", "/run/containerd/s", "/run/containerd"}

func (h home) record() (*record, error) {
	b, err := os.ReadFile(h.file("engine.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		// Processes are found by their arguments too; only what was before is lost.
		return nil, fmt.Errorf("%s: %w", h.file("engine.json"), err)
	}
	return &r, nil
}

func (h home) write(r *record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return h.replace("engine.json", append(b, '\n'), 0o600)
}

// replace writes a file of the engine's folder at once.
func (h home) replace(name string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(h.file(name), content, mode, renameio.WithStaticPermissions(mode))
}

// look records what the machine has now.
func look() (before, error) {
	b := before{Sysctls: map[string]string{}}
	for _, name := range sysctls {
		v, err := readSysctl(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return b, err
		}
		b.Sysctls[name] = v
	}
	for _, path := range outside {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			b.Absent = append(b.Absent, path)
		}
	}
	var err error
	b.Engines, err = otherEngines()
	return b, err
}
