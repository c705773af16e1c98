package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	k3dtypes "github.com/k3d-io/k3d/v5/pkg/types"
	"golang.org/x/sync/errgroup"

	"github.com/alertlab/alertlab/lab/fault"
)

// traces are what a cluster has on the engine.
type traces struct {
	containers []string // IDs
	volumes    []string
	networks   []string // IDs
}

func (t traces) empty() bool {
	return len(t.containers) == 0 && len(t.volumes) == 0 && len(t.networks) == 0
}

func (t traces) String() string {
	var b []string
	for _, p := range []struct {
		what string
		list []string
	}{{"container", t.containers}, {"volume", t.volumes}, {"network", t.networks}} {
		for _, one := range p.list {
			b = append(b, p.what+" "+one)
		}
	}
	return strings.Join(b, ", ")
}

// Delete takes a cluster away, finished or not, with its containers, volumes,
// network (kind's shared one when the rig caused it and nobody is in it) and
// record, and looks whether anything stayed. A name of which nothing is known, or
// whose cluster is another engine's, is a fault of code NoLab.
func (c *Clusters) Delete(ctx context.Context, name string, report func(Progress)) error {
	rec, err := c.known(ctx, name)
	if err != nil {
		return err
	}
	j := c.job(Config{Name: name, Maker: rec.Maker, Report: report})
	before, err := j.traces(ctx, traces{})
	if err != nil {
		return err
	}
	err = j.maker(rec.Maker).remove(ctx, j)
	after, terr := j.traces(ctx, before)
	if terr != nil {
		return errors.Join(err, terr)
	}
	if !after.empty() { // of a Create that was cut, or that the maker's way did not find
		if serr := j.sweep(ctx, after); serr != nil {
			err = errors.Join(err, serr)
		}
		if after, terr = j.traces(ctx, before); terr != nil {
			return errors.Join(err, terr)
		}
	}
	if !after.empty() {
		if err == nil {
			err = errors.New("the engine still has " + after.String())
		}
		return fault.Wrap(fault.StepFailed, fmt.Sprintf("cluster %q is not wholly deleted", name), err, "go run ./hack/rig cluster delete "+name)
	}
	if rec.Maker == Kind && rec.KindNetworkAbsent {
		if err := j.removeKindNetwork(ctx); err != nil {
			return err
		}
	}
	if err := c.state.remove(name); err != nil {
		return err
	}
	j.say("deleted")
	return nil
}

// known returns the record of a cluster, or one made up from what the engine has.
func (c *Clusters) known(ctx context.Context, name string) (record, error) {
	rec, err := c.recordOf(ctx, name)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return rec, err
	}
	cl, err := c.Get(ctx, name)
	if err != nil {
		return rec, err
	}
	return record{Name: name, Maker: cl.Maker}, nil
}

// traces asks the engine for everything that belongs to the cluster, and for the
// volumes of before: those without a name have no labels.
func (j *job) traces(ctx context.Context, before traces) (traces, error) {
	var t traces
	list, err := j.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return t, err
	}
	for _, s := range list {
		k, _, ok := classify(s.Labels)
		if !ok || k != (key{j.cfg.Maker, j.cfg.Name}) {
			continue
		}
		t.containers = append(t.containers, s.ID)
		for _, m := range s.Mounts {
			if m.Type == mount.TypeVolume {
				t.volumes = append(t.volumes, m.Name)
			}
		}
	}
	volumes, err := j.docker.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return t, err
	}
	for _, v := range volumes.Volumes {
		ours := j.cfg.Maker == K3d && v.Labels[k3dtypes.LabelClusterName] == j.cfg.Name
		if ours || slices.Contains(before.volumes, v.Name) {
			t.volumes = append(t.volumes, v.Name)
		}
	}
	slices.Sort(t.volumes)
	t.volumes = slices.Compact(t.volumes)
	if j.cfg.Maker != Kind {
		nets, err := j.docker.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", networkName(j.cfg.Maker, j.cfg.Name)))})
		if err != nil {
			return t, err
		}
		for _, n := range nets {
			made := n.Labels[LabelCluster] == j.cfg.Name || (j.cfg.Maker == K3d && n.Labels["app"] == "k3d")
			if n.Name == networkName(j.cfg.Maker, j.cfg.Name) && made {
				t.networks = append(t.networks, n.ID)
			}
		}
	}
	return t, nil
}

// sweep removes traces by the engine's API: containers side by side, then what
// they held.
func (j *job) sweep(ctx context.Context, t traces) error {
	var g errgroup.Group
	for _, id := range t.containers {
		g.Go(func() error {
			return gone(j.docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true}))
		})
	}
	err := g.Wait()
	for _, v := range t.volumes {
		err = errors.Join(err, gone(j.docker.VolumeRemove(ctx, v, false)))
	}
	for _, n := range t.networks {
		err = errors.Join(err, gone(j.docker.NetworkRemove(ctx, n)))
	}
	return err
}

// gone takes "there is no such thing" for success.
func gone(err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// removeKindNetwork removes kind's network unless somebody is in it, or another
// cluster of the rig will do it.
func (j *job) removeKindNetwork(ctx context.Context) error {
	all, _, err := j.recorded(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Maker == Kind && r.Name != j.cfg.Name {
			return nil
		}
	}
	n, err := j.docker.NetworkInspect(ctx, kindNetwork, network.InspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(n.Containers) > 0 {
		j.say("the network %s stays: %d others are in it", kindNetwork, len(n.Containers))
		return nil
	}
	return gone(j.docker.NetworkRemove(ctx, n.ID))
}

func asFault(err error, f **fault.Fault) bool { return errors.As(err, f) }
