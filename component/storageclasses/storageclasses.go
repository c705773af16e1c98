// Package storageclasses gives a cluster the storage classes that a profile names,
// over local-path volumes: the real names and reclaim policies, and nothing of the
// real storage.
package storageclasses

import (
	"cmp"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// builtIn is the class that k3s brings.
const builtIn = "local-path"

// Want describes the classes of a profile's brokers on k3s.
func Want(p *profiles.Profile, lab component.Lab) plan.Want { return WantBeside(builtIn, p, lab) }

// WantBeside describes them beside the class that the cluster itself brings over
// local-path volumes.
func WantBeside(builtIn string, p *profiles.Profile, lab component.Lab) plan.Want {
	classes := []any{}
	title := "no storage class beside the cluster's own " + builtIn
	if s := p.Kafka.Brokers.Storage; s.Class != "" && s.Class != builtIn {
		classes = append(classes, map[string]any{"name": s.Class, "reclaimPolicy": cmp.Or(s.ReclaimPolicy, "Delete")})
		title = "storage class " + s.Class + " over local-path"
	}
	r := component.Release{Name: "storage-classes", Namespace: component.Namespace, Chart: "storage-classes",
		Values: map[string]any{"lab": lab.Name, "classes": classes}}
	return r.Want(title)
}
