package catalog

import (
	"slices"
	"strings"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/provider/k3d"
)

// Needed is what a lab on Kubernetes needs of others, for a bundle: everything that its
// plan names, and what its nodes are made of. This program's own image is not of it: the
// program makes it.
type Needed struct {
	Images []Use `json:"images"`
	Charts []Use `json:"charts"`
}

// Use is an image, or a chart as NAME:VERSION, and what it is for.
type Use struct {
	Reference string `json:"reference"`
	For       string `json:"for"`
}

// References gives the references alone.
func References(uses []Use) []string {
	out := make([]string, len(uses))
	for i, u := range uses {
		out[i] = u.Reference
	}
	return out
}

// NeededBy lists what a lab of a description needs, images by their full references,
// each once. An embedded lab needs nothing.
func NeededBy(desc state.Description) (Needed, error) {
	var n Needed
	if desc.Provider == Embedded {
		return n, nil
	}
	if _, err := Wanted(desc); err != nil {
		return n, err
	}
	p, _, err := profileOf(desc)
	if err != nil {
		return n, err
	}
	if desc.Provider == K3d {
		n.Images = append(n.Images, Use{desc.Cluster.NodeImage, "the nodes of the cluster"}, Use{k3d.ToolsImage(), "k3d, while it makes a cluster"})
	}
	for _, ref := range images(p, desc) {
		n.Images = append(n.Images, Use{ref, "the lab's pods"})
	}
	for _, u := range upstreams(p, desc) {
		n.Charts = append(n.Charts, Use{u.Name + ":" + u.Version, "what others wrote, in the cluster"})
	}
	for i, u := range n.Images {
		if n.Images[i].Reference, err = bundle.Normalize(u.Reference); err != nil {
			return n, fault.Wrap(fault.BadInput, "an image cannot be bundled", err, "name it with a tag or a digest")
		}
	}
	slices.SortStableFunc(n.Images, func(a, b Use) int { return strings.Compare(a.Reference, b.Reference) })
	n.Images = slices.CompactFunc(n.Images, func(a, b Use) bool { return a.Reference == b.Reference })
	return n, nil
}
