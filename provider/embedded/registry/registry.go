// Package registry is the embedded twin of the schema registry: the same HTTP API
// over the same compacted topic, inside the runner.
package registry

import (
	"context"
	"time"

	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Address       string `json:"address"`   // host:port
	Bootstrap     string `json:"bootstrap"` // host:port
	User          string `json:"user"`
	Topic         string `json:"topic"`
	Compatibility string `json:"compatibility"`
}

// Want describes a profile's registry.
func Want(p *profiles.Profile) plan.Want {
	return plan.Want{
		Title: "schema registry, its state in the topic " + p.Registry.Topic,
		Input: plan.Input(input{Address: "${addresses.registry}", Bootstrap: "${kafka.bootstrap}", User: profiles.RegistryUser,
			Topic: p.Registry.Topic, Compatibility: p.Registry.Compatibility}),
		Outputs: []string{"url"}, Runs: true,
	}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	return &embedded.Twin[input]{Name: "the schema registry",
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			login, err := host.Secrets.Login(in.Bootstrap, in.User)
			if err != nil {
				return nil, nil, err
			}
			log := host.Log("schema-registry")
			bound, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			url := "http://" + in.Address
			r, err := registry.Open(bound, registry.Config{Login: login, Topic: in.Topic, Compatibility: in.Compatibility, Advertise: url, Log: log})
			if err != nil {
				return nil, nil, err
			}
			if err := r.WaitForLeader(bound); err != nil {
				r.Close()
				return nil, nil, err
			}
			server := &embedded.HTTPServer{
				About:  func() []event.Fact { return []event.Fact{{Name: "url", Value: url}} },
				OnStop: func(context.Context) error { r.Close(); return nil },
			}
			if err := server.Serve(ctx, in.Address, r.Handler(), log); err != nil {
				r.Close()
				return nil, nil, err
			}
			return server, map[string]string{"url": url}, nil
		}}
}
