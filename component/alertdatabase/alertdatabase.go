// Package alertdatabase is the alert database in pods: its ingesters and its HTTP
// server, two components of one chart.
package alertdatabase

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/ingress"
	"github.com/alertlab/alertlab/component/nodeports"
	"github.com/alertlab/alertlab/content/storeusers"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

// objects is where alerts and schemas lie; user is who a program is there, where the store
// has users.
func objects(p *profiles.Profile, lab component.Lab, user string) map[string]any {
	values := map[string]any{"url": "${object-store.url.internal}", "region": "${object-store.region}",
		"alertBucket": p.AlertDatabase.AlertBucket, "schemaBucket": p.AlertDatabase.SchemaBucket}
	if lab.StoreUsers {
		values["user"], values["secretKey"] = user, storeusers.SecretKey(user)
	}
	return values
}

// WantIngester describes a profile's ingesters. Their rollout is done when each is a
// member of the group.
func WantIngester(p *profiles.Profile, lab component.Lab) plan.Want {
	ingester := map[string]any{"enabled": true, "replicas": max(1, p.AlertDatabase.Ingesters)}
	title := "archive every alert of " + strings.Join(p.AlertDatabase.Topics, ", ")
	if least, most, scales := p.AlertDatabase.Scales(); scales {
		s := p.AlertDatabase.Scaling
		ingester["scaling"] = map[string]any{"least": least, "most": most, "lag": s.Lag, "cooldown": cmp.Or(s.Cooldown, profiles.DefaultCooldown).String()}
		title += fmt.Sprintf(", %d to %d ingesters, one for every %d alerts that wait", least, most, s.Lag)
	}
	if days := p.AlertDatabase.PurgeAfterDays; days > 0 && !lab.StoreExpires {
		ingester["purgeAfterDays"] = days
		title += fmt.Sprintf(", delete it after %d days", days)
	}
	r := component.Release{Name: "alert-database-ingester", Namespace: component.Namespace, Chart: "alert-database",
		Values: lab.Values(map[string]any{
			"objectStore": objects(p, lab, storeusers.Writer),
			"kafka":       lab.Kafka(p, profiles.IngesterUser, component.ListenerInternal),
			"registry":    "${schema-registry.url.internal}", "group": p.AlertDatabase.Group, "topics": p.AlertDatabase.Topics,
			"ingester": ingester,
			"server":   map[string]any{"enabled": false},
		})}
	return r.Want(title, component.Rollout(2*time.Minute))
}

// server is the values of the HTTP server: with a scope it asks for a token, and is
// made anew when there are others, which it takes from the Secret when it starts.
func server(p *profiles.Profile, lab component.Lab) map[string]any {
	values := map[string]any{"enabled": true}
	if ingress.Of(lab).Kind == ingress.Theirs { // whose controller may be unable to take it off
		values["basePath"] = ingress.DataPath
	}
	if scope := p.AlertDatabase.Scope; scope != "" {
		tokens := []any{}
		for _, t := range lab.Tokens {
			one := map[string]any{"name": t.Name, "scopes": t.Scopes}
			if !t.Expires.IsZero() {
				one["expires"] = t.Expires
			}
			tokens = append(tokens, one)
		}
		values["scope"], values["tokens"] = scope, tokens
	}
	return values
}

// WantServer describes the HTTP server, with the tokens of the lab.
func WantServer(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "alert-database-server", Namespace: component.Namespace, Chart: "alert-database",
		Outputs: map[string]string{"url": "http://${addresses.alertdb}"},
		Values: lab.Values(map[string]any{
			"objectStore": objects(p, lab, storeusers.Reader), "ingester": map[string]any{"enabled": false}, "server": server(p, lab),
			"service": component.NodePort(nodeports.AlertDB),
		})}
	title := "HTTP API of the alert database"
	if scope := p.AlertDatabase.Scope; scope != "" {
		title += ", for tokens with the scope " + scope
	}
	return r.Want(title, component.Rollout(time.Minute),
		plan.Gate{Name: component.GateAnswers, What: "it answers GET /v1/health", Deadline: 30 * time.Second})
}

// Probes gives the probes of the server's gates.
func Probes() map[string]component.Probe {
	return map[string]component.Probe{component.GateAnswers: component.Answers("url", "/v1/health")}
}
