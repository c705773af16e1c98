package existing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/alertlab/alertlab/bundle"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/plan"
)

// imagesInput is what the nodes run, under the names by which they know it.
type imagesInput struct {
	Images []string `json:"images"`
	Loaded bool     `json:"loaded,omitempty"` // the nodes have them; else they pull them
}

const gateLoaded = "images-loaded"

// WantImages describes where the nodes have a lab's images from.
func WantImages(images []string, loaded bool) plan.Want {
	want := plan.Want{Title: "nodes pull " + strings.Join(images, ", "), Input: plan.Input(imagesInput{images, loaded}), Behind: "cluster"}
	if loaded {
		want.Title = "nodes have " + strings.Join(images, ", ")
		want.Gates = []plan.Gate{{Name: gateLoaded, What: "every node says that it has them", Deadline: 45 * time.Second}}
	}
	return want
}

// Images is the plan.Part of the images that nodes have.
type Images struct {
	Open func() (*kube.Client, error)
	// head asks a registry for an image; nil: over HTTP.
	head func(ctx context.Context, image string) error
}

// Observe implements plan.Part.
func (p *Images) Observe(_ context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "nobody has looked for them yet"}, nil
	}
	var in imagesInput
	if err := json.Unmarshal(look.Last, &in); err != nil {
		return plan.Observation{}, err
	}
	return plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d images were found", len(in.Images))}, nil
}

// Apply implements plan.Part. It brings nothing: where nodes pull, the registry is asked
// whether it has the images, so that all that it lacks is named before anything waits for
// them.
func (p *Images) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	var in imagesInput
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	if in.Loaded {
		return nil, nil // its gate looks
	}
	head := p.head
	if head == nil {
		head = ask
	}
	var lacks []string
	for _, image := range in.Images {
		var answer *transport.Error
		// What this machine may not ask, nodes may; what is not there is not there for anybody.
		if err := head(ctx, image); errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
			lacks = append(lacks, image)
		}
	}
	if len(lacks) > 0 {
		return nil, fault.New(fault.StepFailed, "the registry lacks images", "it has no "+strings.Join(lacks, ", "), "alertlab bundle push --file FILE REGISTRY   # then again")
	}
	return nil, nil
}

func ask(ctx context.Context, image string) error {
	ref, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = remote.Head(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	return err
}

// Wait implements plan.Waiter: a kubelet tells what images it has some seconds after they
// have come.
func (p *Images) Wait(ctx context.Context, _ plan.Gate, order plan.Order, seen func(string)) error {
	var in imagesInput
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return err
	}
	client, err := p.Open()
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		list, err := client.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		lacks, err := lacking(list.Items, in.Images)
		if err != nil || len(lacks) == 0 {
			return err
		}
		seen(strings.Join(lacks, "; "))
		select {
		case <-ctx.Done():
			return fault.New(fault.StepFailed, "nodes lack images", strings.Join(lacks, "; "),
				"on each node: ctr --namespace k8s.io images import FILE   # make image writes ours; then again")
		case <-tick.C:
		}
	}
}

// most is how many images a kubelet tells of (its nodeStatusMaxImages).
const most = 50

// lacking says which node does not have which image, where that can be told.
func lacking(nodes []corev1.Node, images []string) ([]string, error) {
	var lacks []string
	for i := range nodes {
		if n := describe(&nodes[i]); !n.Ready || !n.Takes || len(nodes[i].Status.Images) >= most {
			continue
		}
		var has []string
		for _, image := range nodes[i].Status.Images {
			for _, one := range image.Names {
				if full, err := bundle.Normalize(one); err == nil {
					has = append(has, full)
				}
			}
		}
		for _, image := range images {
			full, err := bundle.Normalize(image)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(has, full) {
				lacks = append(lacks, nodes[i].Name+" lacks "+image)
			}
		}
	}
	return lacks, nil
}

var _ interface {
	plan.Part
	plan.Waiter
} = (*Images)(nil)
