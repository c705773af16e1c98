package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/ownimage"
	"github.com/alertlab/alertlab/lab/plan"
)

// imagesInput is what the nodes should have.
type imagesInput struct {
	Own    string   `json:"own"`              // reference of our own image
	Bundle string   `json:"bundle,omitempty"` // file; empty: the nodes pull the others
	Images []string `json:"images"`           // the others
}

// WantImages describes the images in the nodes of a lab: its own, which is made of the
// program that runs, and those that come from a bundle.
func WantImages(own, file string, others []string) plan.Want {
	title := "this program's own image into the nodes; they pull " + strings.Join(others, ", ")
	if file != "" {
		title = fmt.Sprintf("this program's own image into the nodes, and %s from the bundle %s", strings.Join(others, ", "), file)
	}
	return plan.Want{Title: title, Input: plan.Input(imagesInput{Own: own, Bundle: file, Images: others}), Behind: "cluster"}
}

// Images is the plan.Part of the images in the nodes.
type Images struct {
	// Nodes gives the nodes of the cluster that runs.
	Nodes func(ctx context.Context) ([]bundle.Node, error)
	// Executable is the binary that our own image is made of.
	Executable string
}

// brought lists what is brought into the nodes; the rest is theirs to pull.
func (in imagesInput) brought() ([]string, error) {
	list := []string{in.Own}
	if in.Bundle != "" {
		list = append(list, in.Images...)
	}
	for i, ref := range list {
		full, err := bundle.Normalize(ref)
		if err != nil {
			return nil, err
		}
		list[i] = full
	}
	return list, nil
}

// Observe implements plan.Part.
func (p *Images) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not brought any yet"}, nil
	}
	var in imagesInput
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	list, err := in.brought()
	if err != nil {
		return plan.Observation{}, err
	}
	nodes, err := p.Nodes(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d nodes have %d images", len(nodes), len(list))}
	var lacks []string
	for _, n := range nodes {
		has, err := n.Images(ctx)
		if err != nil {
			return plan.Observation{}, err
		}
		for _, ref := range list {
			if has[ref] == "" {
				lacks = append(lacks, n.Name()+" lacks "+ref)
			}
		}
	}
	if len(lacks) > 0 {
		o.Drift = strings.Join(lacks, "; ")
	}
	return o, nil
}

// Apply implements plan.Part: one node after the other, since all of them write to
// this machine's disk.
func (p *Images) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in imagesInput
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	nodes, err := p.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.bringOwn(ctx, nodes, in.Own); err != nil {
		return nil, err
	}
	if in.Bundle == "" || len(in.Images) == 0 {
		return nil, nil
	}
	b, err := bundle.Open(in.Bundle)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	_, err = b.Import(ctx, nodes, bundle.ImportOptions{Images: in.Images, Concurrency: 1,
		Progress: func(s bundle.Progress) { order.Progress(s.Done, s.Total, "bytes") }})
	return nil, err
}

func (p *Images) bringOwn(ctx context.Context, nodes []bundle.Node, reference string) error {
	full, err := bundle.Normalize(reference)
	if err != nil {
		return err
	}
	var without []bundle.Node
	for _, n := range nodes {
		has, err := n.Images(ctx)
		if err != nil {
			return err
		}
		if has[full] == "" {
			without = append(without, n)
		}
	}
	if len(without) == 0 {
		return nil
	}
	img, err := ownimage.Build(p.Executable)
	if err != nil {
		return err
	}
	for _, n := range without {
		r, w := io.Pipe()
		go func() { w.CloseWithError(ownimage.Write(ctx, w, reference, img)) }()
		err := n.Load(ctx, r)
		r.Close()
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Name(), err)
		}
	}
	return nil
}

// Missing lists the images that a bundle lacks, sorted. The error is of a bundle that
// cannot be read.
func Missing(file string, images []string) ([]string, error) {
	b, err := bundle.Open(file)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	has := map[string]bool{}
	for _, img := range b.Images() {
		has[img.Reference] = true
	}
	var missing []string
	for _, ref := range images {
		full, err := bundle.Normalize(ref)
		if err != nil {
			return nil, err
		}
		if !has[full] {
			missing = append(missing, ref)
		}
	}
	slices.Sort(missing)
	return missing, nil
}
