package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"

	"github.com/alertlab/alertlab/lab/doctor"
	"github.com/alertlab/alertlab/lab/fault"
)

// Doctor looks at the engine: whether it answers, may run privileged containers, and has
// the images with which clusters are made.
func (d *Connection) Doctor(ctx context.Context, images ...string) []doctor.Finding {
	api, err := d.Client(ctx)
	if err != nil {
		return []doctor.Finding{Trouble("engine", err)}
	}
	info, err := api.Info(ctx)
	if err != nil {
		return []doctor.Finding{Trouble("engine", err)}
	}
	out := []doctor.Finding{doctor.Good("engine", "%s %s at %s, %d processors, %.1f GiB", info.OperatingSystem, info.ServerVersion, api.DaemonHost(), info.NCPU, float64(info.MemTotal)/(1<<30))}
	rootless := slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.Contains(o, "rootless") })
	switch {
	case rootless:
		out = append(out, doctor.Finding{Name: "privileges", Grade: doctor.Warn, Seen: "the engine runs without root: its containers' addresses are not reached from this machine",
			Next: "use an engine that runs as root: export DOCKER_HOST=unix:///var/run/docker.sock"})
	case info.OSType != "linux" || strings.Contains(info.OperatingSystem, "Desktop"):
		out = append(out, doctor.Finding{Name: "privileges", Grade: doctor.Bad, Seen: "the engine runs in a machine of its own (" + info.OperatingSystem + "): its containers' addresses are not reached from here",
			Next: "use an engine on this machine's kernel"})
	default:
		out = append(out, doctor.Good("privileges", "the engine runs as root on this machine's kernel"))
	}
	for _, image := range images {
		_, err := api.ImageInspect(ctx, image)
		switch {
		case cerrdefs.IsNotFound(err):
			out = append(out, doctor.Finding{Name: "image", Grade: doctor.Warn, Seen: "the engine does not have " + image + ", and will pull it",
				Next: "docker pull " + image + "   # or name one that it has: --node-image IMAGE"})
		case err != nil:
			out = append(out, Trouble("image", err))
		default:
			out = append(out, doctor.Good("image", "the engine has %s", image))
		}
	}
	return out
}

// Trouble is an error as a finding.
func Trouble(name string, err error) doctor.Finding {
	f := doctor.Finding{Name: name, Grade: doctor.Bad, Seen: err.Error()}
	var known *fault.Fault
	if errors.As(err, &known) {
		f.Next = known.Next
	}
	return f
}

// DoctorName says whether the name of a lab's cluster is free or the lab's.
func (c *Cluster) DoctorName(ctx context.Context) doctor.Finding {
	nodes, err := c.mine(ctx)
	if err != nil {
		return Trouble("cluster", err)
	}
	if len(nodes) == 0 {
		return doctor.Good("cluster", "the name %s is free", Name(c.Lab))
	}
	return doctor.Good("cluster", "%s", fmt.Sprintf("%s is the lab's, %d nodes", Name(c.Lab), len(nodes)))
}
