package cluster

import (
	"context"
	"fmt"

	"github.com/alertlab/alertlab/lab/fault"
)

// engineID tells engines apart, as records name them.
type engineID struct {
	// ID is what the engine calls itself. Docker until version 23 keeps it in
	// /etc/docker/key.json: two engines of one machine share it there, and it is
	// another one when that file was removed.
	ID string `json:"id"`
	// Root is the folder of the engine's data.
	Root string `json:"root"`
	// Host is the address by which it was reached, as DOCKER_HOST takes it.
	Host string `json:"host"`
}

// same tells whether two names are of one engine: the same data, on the same
// machine. The machine is known by the engine's own name or by its address.
func (e engineID) same(o engineID) bool {
	return e.Root == o.Root && (e.ID == o.ID || e.Host == o.Host)
}

// engine asks the engine who it is.
func (c *Clusters) engine(ctx context.Context) (engineID, error) {
	info, err := c.docker.Info(ctx)
	if err != nil {
		return engineID{}, c.silent(err)
	}
	return engineID{ID: info.ID, Root: info.DockerRootDir, Host: c.docker.DaemonHost()}, nil
}

// silent is the fault of an engine that cannot be asked.
func (c *Clusters) silent(err error) error {
	return fault.Wrap(fault.StepFailed, "the Docker engine at "+c.docker.DaemonHost()+" does not answer", err, "go run ./hack/rig doctor")
}

// elsewhere tells whether the cluster is another engine's.
func (r record) elsewhere(here engineID) bool { return r.Engine != nil && !r.Engine.same(here) }

// recorded returns the records of this engine's clusters and of others', each
// sorted by name.
func (c *Clusters) recorded(ctx context.Context) (mine, others []record, err error) {
	all, err := c.state.list()
	if err != nil || len(all) == 0 {
		return nil, nil, err
	}
	here, err := c.engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		if r.elsewhere(here) {
			others = append(others, r)
		} else {
			mine = append(mine, r)
		}
	}
	return mine, others, nil
}

// recordOf returns the record of a cluster of this engine. The error is
// os.ErrNotExist when there is none, and a fault of code NoLab, with the address
// of the engine to use, when the cluster is another one's.
func (c *Clusters) recordOf(ctx context.Context, name string) (record, error) {
	rec, err := c.state.read(name)
	if err != nil {
		return rec, err
	}
	here, err := c.engine(ctx)
	if err != nil {
		return rec, err
	}
	if rec.elsewhere(here) {
		return rec, fault.New(fault.NoLab, fmt.Sprintf("cluster %q was made on another engine", name),
			fmt.Sprintf("on the one at %s, whose data is in %s; this one is at %s, with its data in %s", rec.Engine.Host, rec.Engine.Root, here.Host, here.Root),
			fmt.Sprintf("export DOCKER_HOST=%s\nor, when that engine is gone for good: rm -r %s", rec.Engine.Host, c.state.folder(name)))
	}
	return rec, nil
}
