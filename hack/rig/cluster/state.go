package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/google/renameio/v2"
)

// records are the folder with what has to be known of clusters beyond what the
// engine knows: one folder each, of mode 0700, with cluster.json and kubeconfig.
type records struct{ dir string }

// record is cluster.json.
type record struct {
	Name  string `json:"name"`
	Maker Maker  `json:"maker"`
	// Engine is nil in records that were written before it was kept; those count
	// for whichever engine is in use.
	Engine *engineID `json:"engine,omitempty"`
	// KindNetworkAbsent says that the engine had no network of kind's when the
	// cluster was begun, so that kind made it and it may be removed.
	KindNetworkAbsent bool `json:"kind_network_absent,omitempty"`
	// Pool is the address range given to MetalLB, so that no other cluster on the
	// same network gets it.
	Pool *Range `json:"pool,omitempty"`
}

// lockFile is a plain file in the records' folder, of whoever makes or deletes
// clusters; no cluster has its name.
const lockFile = "lock"

func (r records) folder(name string) string     { return filepath.Join(r.dir, name) }
func (r records) kubeconfig(name string) string { return filepath.Join(r.folder(name), "kubeconfig") }

// write stores a record; the file is either the old or the new one.
func (r records) write(rec record) error {
	b, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	return r.replace(rec.Name, "cluster.json", b)
}

func (r records) writeKubeconfig(name string, b []byte) error {
	return r.replace(name, "kubeconfig", b)
}

func (r records) replace(name, file string, b []byte) error {
	if err := os.MkdirAll(r.folder(name), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(r.folder(name), file), b, 0o600)
}

// read returns a record; the error is os.ErrNotExist when there is none.
func (r records) read(name string) (record, error) {
	b, err := os.ReadFile(filepath.Join(r.folder(name), "cluster.json"))
	if errors.Is(err, syscall.ENOTDIR) {
		return record{}, os.ErrNotExist // lockFile
	}
	if err != nil {
		return record{}, err
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil {
		return record{}, fmt.Errorf("%s: %w", filepath.Join(r.folder(name), "cluster.json"), err)
	}
	if rec.Name != name {
		return record{}, fmt.Errorf("%s is the record of %q", filepath.Join(r.folder(name), "cluster.json"), rec.Name)
	}
	return rec, nil
}

// list returns every record, sorted by name.
func (r records) list() ([]record, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []record
	for _, e := range entries {
		if !e.IsDir() {
			continue // lockFile
		}
		rec, err := r.read(e.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue // not a cluster's folder
		}
		if err != nil {
			return nil, err
		}
		all = append(all, rec)
	}
	return all, nil
}

func (r records) remove(name string) error { return os.RemoveAll(r.folder(name)) }

// record writes the record of a cluster that is about to be made.
func (j *job) record(ctx context.Context) (record, error) {
	here, err := j.engine(ctx)
	if err != nil {
		return record{}, err
	}
	rec := record{Name: j.cfg.Name, Maker: j.cfg.Maker, Engine: &here}
	if j.cfg.Maker == Kind {
		_, err := j.docker.NetworkInspect(ctx, kindNetwork, network.InspectOptions{})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return rec, err
		}
		rec.KindNetworkAbsent = err != nil
		// A cluster that lives beside one whose Create found no network inherits the
		// duty of removing it.
		all, _, err := j.recorded(ctx)
		if err != nil {
			return rec, err
		}
		for _, other := range all {
			rec.KindNetworkAbsent = rec.KindNetworkAbsent || other.KindNetworkAbsent
		}
	}
	return rec, j.state.write(rec)
}
