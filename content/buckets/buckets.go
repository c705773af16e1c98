// Package buckets makes the buckets of the alert database. It deletes only what its
// order says is to be destroyed.
package buckets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	URL     string   `json:"url"`
	Region  string   `json:"region"`
	Buckets []string `json:"buckets"`
}

// Want describes a profile's buckets: two, or one for both.
func Want(p *profiles.Profile) plan.Want {
	in := input{URL: "${object-store.url}", Region: "${object-store.region}", Buckets: []string{p.AlertDatabase.AlertBucket}}
	if p.AlertDatabase.SchemaBucket != p.AlertDatabase.AlertBucket {
		in.Buckets = append(in.Buckets, p.AlertDatabase.SchemaBucket)
	}
	w := plan.Want{
		Title:  "buckets " + strings.Join(in.Buckets, ", "),
		Input:  plan.Input(in),
		Behind: "object-store",
	}
	// By what they are for: where both are one bucket, and one moves away, the
	// bucket stays and what it had of that is out of reach.
	w.Holds = []plan.Hold{
		{Name: "bucket " + p.AlertDatabase.AlertBucket + " of the alerts", Loss: "every alert in it"},
		{Name: "bucket " + p.AlertDatabase.SchemaBucket + " of the schemas", Loss: "every schema in it"},
	}
	return w
}

// New makes the part.
func New(s *secrets.Store) plan.Part {
	p := &part{secrets: s}
	return content.Part[input]{Look: p.look, Make: p.apply}
}

type part struct{ secrets *secrets.Store }

func (p *part) client(in input) (*objectstore.Client, error) {
	store, err := p.secrets.ObjectStoreAt(in.URL, in.Region)
	return objectstore.NewClient(store), err
}

// look sees whether the buckets are there.
func (p *part) look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	client, err := p.client(in)
	if err != nil {
		return plan.Observation{}, err
	}
	defer client.Close()
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d buckets are there", len(in.Buckets))}
	for _, b := range in.Buckets {
		for _, err := range client.List(ctx, b, "") {
			if errors.Is(err, objectstore.ErrNoBucket) {
				o.Drift = "bucket " + b + " is missing"
			} else if err != nil {
				return plan.Observation{}, err
			}
			break // that it can be listed is enough
		}
	}
	return o, nil
}

// apply makes what is missing, and deletes what the order says is to be destroyed.
func (p *part) apply(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	client, err := p.client(in)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for _, b := range in.Buckets {
		if err := client.EnsureBucket(ctx, b); err != nil {
			return nil, err
		}
	}
	if !order.Destroy {
		return nil, nil
	}
	for _, b := range doomed(content.Earlier[input](order), in) {
		if err := client.DeleteBucket(ctx, b); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// doomed lists the buckets of earlier steps that are not wanted any more.
func doomed(earlier []input, in input) []string {
	var out []string
	for _, was := range earlier {
		for _, b := range was.Buckets {
			if !slices.Contains(in.Buckets, b) && !slices.Contains(out, b) {
				out = append(out, b)
			}
		}
	}
	return out
}
