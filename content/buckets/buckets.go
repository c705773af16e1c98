// Package buckets makes the buckets of the alert database. It deletes only what its
// order says is to be destroyed.
package buckets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/archive"
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
	// Alerts is the bucket of the alerts, which the store deletes when they are ExpireDays
	// old; 0: it deletes nothing.
	Alerts     string `json:"alerts,omitempty"`
	ExpireDays int    `json:"expireDays,omitempty"`
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

// WantExpiring describes them for a store that deletes alerts itself when they are as old
// as the profile says. Schemas, also those in the same bucket, stay (facts,
// environments.md, A9: the rule is of the packets bucket alone).
func WantExpiring(p *profiles.Profile) plan.Want {
	w := Want(p)
	days := p.AlertDatabase.PurgeAfterDays
	if days == 0 {
		return w
	}
	var in input
	if err := json.Unmarshal(w.Input, &in); err != nil {
		panic(err) // Want wrote it
	}
	in.Alerts, in.ExpireDays = p.AlertDatabase.AlertBucket, days
	w.Title += fmt.Sprintf(", alerts deleted after %d days", days)
	w.Input = plan.Input(in)
	return w
}

// expiries are the rules of the bucket of the alerts.
func (in input) expiries() []objectstore.Expiry {
	var out []objectstore.Expiry
	for _, prefix := range slices.Sorted(slices.Values(archive.AlertPrefixes())) {
		out = append(out, objectstore.Expiry{Prefix: prefix, Days: int32(in.ExpireDays)})
	}
	return out
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
	if in.ExpireDays > 0 && o.Drift == "" {
		rules, err := client.Expiries(ctx, in.Alerts)
		if err != nil {
			return plan.Observation{}, err
		}
		if !slices.Equal(rules, in.expiries()) {
			o.Drift = fmt.Sprintf("bucket %s has other rules than to delete alerts after %d days", in.Alerts, in.ExpireDays)
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
	if in.ExpireDays > 0 {
		if err := client.SetExpiries(ctx, in.Alerts, in.expiries()); err != nil {
			return nil, err
		}
	}
	for _, was := range content.Earlier[input](order) {
		// A rule that is not wanted any more must not go on deleting.
		if was.ExpireDays > 0 && (in.ExpireDays == 0 || was.Alerts != in.Alerts) {
			if err := client.SetExpiries(ctx, was.Alerts, nil); err != nil && !errors.Is(err, objectstore.ErrNoBucket) {
				return nil, err
			}
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
