package component

import (
	"context"
	"encoding/json"

	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/plan"
)

// SecretsAPI is what the part of Secrets asks of a cluster.
type SecretsAPI interface {
	ApplySecrets(ctx context.Context, secrets []kube.Secret) error
	DeleteSecrets(ctx context.Context, secrets []kube.Secret) error
	Look(ctx context.Context, objects []kube.Expected) (string, error)
}

// Made are Secrets as they should be.
type Made struct {
	Secrets []kube.Secret
	Outputs map[string]string
	Why     string // what is there when all of them are as they should be
}

// Secrets is the part of Secrets that are made of files of the lab's folder, so that
// what is secret in them goes from there to the API server, and into no plan, value or
// record of Helm. make makes them of a step's input, the same ones every time; gone, which
// may be nil, names those that steps before may have made and that are not wanted now.
func Secrets(open func() (SecretsAPI, error), make func(input json.RawMessage) (Made, error), gone func(plan.Order) ([]kube.Secret, error)) plan.Part {
	return &secretsPart{open, make, gone}
}

type secretsPart struct {
	open func() (SecretsAPI, error)
	make func(json.RawMessage) (Made, error)
	gone func(plan.Order) ([]kube.Secret, error)
}

// Observe implements plan.Part.
func (p *secretsPart) Observe(ctx context.Context, look plan.Look) (plan.Observation, error) {
	if look.Last == nil {
		return plan.Observation{State: plan.Absent, Why: "this lab has not brought it yet"}, nil
	}
	made, err := p.make(look.Last)
	if err != nil {
		return plan.Observation{}, err
	}
	api, err := p.open()
	if err != nil {
		return plan.Observation{}, err
	}
	var expected []kube.Expected
	for _, s := range made.Secrets {
		expected = append(expected, kube.Expected{Ref: s.Ref(), Cond: kube.SecretHolds(s.Data)})
	}
	o := plan.Observation{State: plan.Present, Why: made.Why}
	o.Drift, err = api.Look(ctx, expected)
	return o, err
}

// Apply implements plan.Part.
func (p *secretsPart) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	made, err := p.make(order.Input)
	if err != nil {
		return nil, err
	}
	api, err := p.open()
	if err != nil {
		return nil, err
	}
	if err := api.ApplySecrets(ctx, made.Secrets); err != nil || p.gone == nil {
		return made.Outputs, err
	}
	gone, err := p.gone(order)
	if err != nil {
		return nil, err
	}
	return made.Outputs, api.DeleteSecrets(ctx, gone)
}
