package catalog

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/doctor"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded/loopback"
	"github.com/alertlab/alertlab/provider/existing"
	"github.com/alertlab/alertlab/provider/k3d"
	"github.com/alertlab/alertlab/provider/kind"
	"github.com/alertlab/alertlab/provider/nodes"
)

// What labs were seen to take, rounded up: docs/benchmarks.md.
const (
	gib         = 1 << 30
	embeddedMem = gib / 2
	clusterMem  = 2 * gib // Kubernetes, and our own pods
	brokerMem   = 640 << 20
	clusterDisk = 4 * gib
	nodeInotify = 12 // instances of root's that a node was seen to take
)

// Doctor looks at everything that a lab depends on before it is made, and changes
// nothing. dir is where labs lie.
func Doctor(ctx context.Context, desc state.Description, dir, executable string) []doctor.Finding {
	p, _, err := profileOf(desc)
	if err != nil {
		return []doctor.Finding{nodes.Trouble("profile", err)}
	}
	n := int64(p.Kafka.Brokers.Count)
	needs := doctor.Needs{Dir: dir, Memory: embeddedMem, Disk: gib + n*p.Kafka.Brokers.Storage.Size, Maps: 65530}
	var out []doctor.Finding
	if err := fit(p, desc); err != nil {
		out = append(out, doctor.Finding{Name: "profile", Grade: doctor.Bad, Seen: desc.Profile + ": " + err.Error(), Next: "alertlab profile list   # take another one"})
	} else {
		out = append(out, doctor.Good("profile", "%s, %d brokers, provider %s", desc.Profile, n, desc.Provider))
		if said, err := CheckFit(ctx, desc); err != nil {
			out = append(out, nodes.Trouble("room", err))
		} else if len(said) > 0 {
			out = append(out, doctor.Good("room", "%s", strings.Join(said, "; ")))
		}
	}
	switch desc.Provider {
	case Embedded:
		return append(append(out, (doctor.Machine{Root: "/"}).Look(needs)...), addresses(ctx, desc)...)
	case Existing:
		needs.Memory, needs.Disk = gib/4, gib/4
		out = append(out, (doctor.Machine{Root: "/"}).Look(needs)...)
		out = append(out, static(executable), imagesOf(desc))
		return append(out, surveyed(ctx, desc)...)
	}
	machine := 1 + agents(p)
	needs.Nodes, needs.Inotify = true, nodeInotify*machine
	needs.Memory, needs.Disk = clusterMem+n*brokerMem, clusterDisk
	out = append(append(out, (doctor.Machine{Root: "/"}).Look(needs)...), static(executable))
	if desc.Provider == Kind {
		if path, err := exec.LookPath("docker"); err != nil {
			out = append(out, doctor.Finding{Name: "docker program", Grade: doctor.Bad, Seen: "there is none, and kind does everything by it", Next: "install it, or: alertlab up --provider k3d"})
		} else {
			out = append(out, doctor.Good("docker program", "%s", path))
		}
		d := &kind.Docker{}
		out = append(out, d.Doctor(ctx, desc.Cluster.NodeImage)...)
		out = append(out, kind.New(desc.Name, "", d).DoctorName(ctx))
	} else {
		d := &k3d.Docker{}
		images := []string{desc.Cluster.NodeImage}
		if tools := os.Getenv("K3D_IMAGE_TOOLS"); tools != "" {
			images = append(images, tools)
		}
		out = append(out, d.Doctor(ctx, images...)...)
		out = append(out, k3d.New(desc.Name, "", d).DoctorName(ctx))
	}
	return append(out, bundled(desc, p))
}

func agents(p *profiles.Profile) int {
	switch b := p.Kafka.Brokers; {
	case b.AntiAffinity:
		return b.Count
	case b.NodePool != profiles.NodePool{}:
		return 1
	}
	return 0
}

// addresses looks whether an embedded lab's addresses can be had.
func addresses(ctx context.Context, desc state.Description) []doctor.Finding {
	if desc.Advertise == "" {
		return []doctor.Finding{doctor.Good("addresses", "the lab takes free ones of the loopback network")}
	}
	if err := loopback.CheckAdvertised(ctx, desc.Advertise, desc.Published); err != nil {
		return []doctor.Finding{nodes.Trouble("addresses", err)}
	}
	return []doctor.Finding{doctor.Good("addresses", "%s is this machine's", desc.Advertise)}
}

// static says whether this program can run in pods.
func static(executable string) doctor.Finding {
	if err := ownimage.Static(executable); err != nil {
		return doctor.Finding{Name: "own image", Grade: doctor.Bad, Seen: err.Error(), Next: "make build"}
	}
	return doctor.Good("own image", "this program can run in pods")
}

// bundled looks for the images of others in the bundle.
func bundled(desc state.Description, p *profiles.Profile) doctor.Finding {
	list := strings.Join(images(p, desc), ", ")
	if desc.Cluster.Bundle == "" {
		return doctor.Finding{Name: "images", Grade: doctor.Warn, Seen: "there is no bundle: the nodes pull " + list, Next: "alertlab up --bundle FILE   # where they reach no registry"}
	}
	missing, err := nodes.Missing(desc.Cluster.Bundle, images(p, desc))
	missing = append(missing, missingCharts(p, desc)...)
	switch {
	case err != nil:
		return doctor.Finding{Name: "images", Grade: doctor.Bad, Seen: err.Error(), Next: "alertlab up --bundle FILE   # another one"}
	case len(missing) > 0:
		return doctor.Finding{Name: "images", Grade: doctor.Bad, Seen: desc.Cluster.Bundle + " has no " + strings.Join(missing, ", "), Next: "alertlab up --bundle FILE   # another one"}
	}
	return doctor.Good("images", "the bundle has %s", list)
}

// imagesOf says from where nodes have the images.
func imagesOf(desc state.Description) doctor.Finding {
	if err := checkExisting(desc); err != nil {
		return nodes.Trouble("images", err)
	}
	return doctor.Good("images", "nodes %s", cmp.Or(map[bool]string{true: "have them"}[desc.Cluster.ImagesLoaded], "pull them from "+desc.Cluster.Registry))
}

// surveyed is the survey of a cluster, as findings.
func surveyed(ctx context.Context, desc state.Description) []doctor.Finding {
	s, err := Survey(ctx, desc)
	if err != nil {
		return []doctor.Finding{nodes.Trouble("cluster", err)}
	}
	return existing.Findings(s)
}
