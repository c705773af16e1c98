// Package front is the embedded twin of the registry's ingress: whoever comes
// from outside may read the registry and nothing else.
package front

import (
	"context"
	"net/url"

	"github.com/alertlab/alertlab/alerts/front"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

type input struct {
	Address string `json:"address"` // host:port
	Target  string `json:"target"`  // URL of the registry
}

// Want describes the front; every profile has the same.
func Want(*profiles.Profile) plan.Want {
	return plan.Want{
		Title:   "read-only front of the schema registry",
		Input:   plan.Input(input{Address: "${addresses.registry-front}", Target: "${schema-registry.url}"}),
		Outputs: []string{"url"}, Runs: true,
	}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	return &embedded.Twin[input]{Name: "the registry's front",
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			target, err := url.Parse(in.Target)
			if err != nil {
				return nil, nil, err
			}
			own := "http://" + in.Address
			server := &embedded.HTTPServer{About: func() []event.Fact { return []event.Fact{{Name: "url", Value: own}} }}
			if err := server.Serve(ctx, in.Address, front.ReadOnly(target), host.Log("registry-front")); err != nil {
				return nil, nil, err
			}
			return server, map[string]string{"url": own}, nil
		}}
}
