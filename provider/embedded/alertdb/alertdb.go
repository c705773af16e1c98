// Package alertdb is the embedded twin of alert_database_server: archived alerts
// and schemas over HTTP.
package alertdb

import (
	"context"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Address      string `json:"address"` // host:port
	ObjectStore  string `json:"objectStore"`
	Region       string `json:"region"`
	AlertBucket  string `json:"alertBucket"`
	SchemaBucket string `json:"schemaBucket"`
	// Scope is what a token must have; empty when none is asked for.
	Scope  string           `json:"scope,omitempty"`
	Tokens []profiles.Token `json:"tokens,omitempty"`
}

// Want describes a profile's alert database server, with the tokens of the lab.
func Want(p *profiles.Profile, tokens []profiles.Token) plan.Want {
	title := "HTTP API of the alert database"
	scope := p.AlertDatabase.Scope
	if scope == "" {
		tokens = nil
	} else {
		title += ", for tokens with the scope " + scope
	}
	return plan.Want{
		Title: title,
		Input: plan.Input(input{Address: "${addresses.alertdb}", ObjectStore: "${object-store.url}", Region: "${object-store.region}",
			AlertBucket: p.AlertDatabase.AlertBucket, SchemaBucket: p.AlertDatabase.SchemaBucket,
			Scope: scope, Tokens: tokens}),
		Outputs: []string{"url"}, Runs: true,
	}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	return &embedded.Twin[input]{Name: "the alert database's server",
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			store, err := host.Secrets.ObjectStoreAt(in.ObjectStore, in.Region)
			if err != nil {
				return nil, nil, err
			}
			log, url := host.Log("alert-database-server"), "http://"+in.Address
			objects := objectstore.NewClient(store)
			handler := archive.NewServer(archive.ServerConfig{Objects: objects,
				Buckets: archive.Buckets{Alerts: in.AlertBucket, Schemas: in.SchemaBucket}, Log: log})
			if in.Scope != "" {
				access := front.Access{Scope: in.Scope, Realm: "alertlab " + host.Dir.Lab(), Open: archive.OpenPaths()}
				for _, t := range in.Tokens {
					secret, err := host.Secrets.Token(t.Name)
					if err != nil {
						return nil, nil, err
					}
					access.Tokens = append(access.Tokens, front.Token{Name: t.Name, Secret: secret, Scopes: t.Scopes, Expires: t.Expires})
				}
				handler = front.RequireScope(handler, access)
			}
			server := &embedded.HTTPServer{
				About: func() []event.Fact { return []event.Fact{{Name: "url", Value: url}} },
				// Idle connections would hold the store's own end up.
				OnStop: func(context.Context) error { objects.Close(); return nil },
			}
			if err := server.Serve(ctx, in.Address, handler, log); err != nil {
				return nil, nil, err
			}
			return server, map[string]string{"url": url}, nil
		}}
}
