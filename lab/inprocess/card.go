package inprocess

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/alertlab/alertlab/content/reservoir"
	"github.com/alertlab/alertlab/content/schemas"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/state"
	"github.com/alertlab/alertlab/profiles"
)

// Card makes a lab's connection card from its profile, what is conceded of it, and
// the outputs of its parts. It is pure.
func Card(desc state.Description, p *profiles.Profile, conceded []string, outputs map[string]map[string]string) endpoints.Endpoints {
	kafka := endpoints.Kafka{Bootstrap: outputs["kafka"]["bootstrap"], Security: "SASL_PLAINTEXT", Mechanism: "SCRAM-SHA-512",
		AutoCreateTopics: p.Kafka.AutoCreateTopics(), StoredOnce: desc.Provider == Provider}
	if p.Kafka.Listener.TLS {
		kafka.Security, kafka.CAFile, kafka.CA = "SASL_SSL", outputs["kafka"]["ca-file"], outputs["kafka"]["ca"]
	}
	for i := range p.Kafka.Brokers.Count {
		id := p.Kafka.Brokers.FirstID + int32(i)
		kafka.Brokers = append(kafka.Brokers, endpoints.Broker{ID: id, Address: outputs["kafka"][fmt.Sprintf("broker.%d", id)]})
	}
	card := endpoints.Endpoints{
		Lab: desc.Name, Profile: desc.Profile, Provider: desc.Provider, Kafka: kafka,
		Registry: endpoints.Registry{URL: outputs["registry-front"]["url"], AdminURL: outputs["schema-registry"]["url"],
			Subject: p.Registry.Subject, Versions: schemas.Versions()},
		Simulator: endpoints.Simulator{StaticTopic: p.Simulator.StaticTopic, Topic: p.Simulator.Topic,
			Interval: endpoints.Duration(p.Simulator.Interval), Alerts: p.Simulator.Alerts, Schema: p.Simulator.Schema},
		AlertDB: endpoints.AlertDB{URL: outputs["alert-database-server"]["url"], Scope: p.AlertDatabase.Scope},
		ObjectStore: endpoints.ObjectStore{URL: outputs["object-store"]["url"], Region: outputs["object-store"]["region"],
			AlertBucket: p.AlertDatabase.AlertBucket, SchemaBucket: p.AlertDatabase.SchemaBucket},
		Concessions: conceded,
	}
	// A user may have loaded another visit than the profile's.
	if loaded := outputs["reservoir"]; loaded[reservoir.SchemaOut] != "" {
		card.Simulator.Schema = loaded[reservoir.SchemaOut]
		if n, err := strconv.Atoi(loaded[reservoir.AlertsOut]); err == nil {
			card.Simulator.Alerts = n
		}
	}
	if card.AlertDB.Scope != "" {
		for _, t := range desc.Overlay.AllTokens(p) {
			card.AlertDB.Tokens = append(card.AlertDB.Tokens, endpoints.Token{Name: t.Name, Scopes: t.Scopes, Expires: t.Expires})
		}
	}
	for _, h := range p.HostNames() {
		address := outputs["kafka"][h.Of]
		if h.Of == profiles.RegistryHost {
			address = strings.TrimPrefix(card.Registry.URL, "http://")
		}
		if host, _, err := net.SplitHostPort(address); err == nil {
			card.Hosts = append(card.Hosts, endpoints.Host{Name: h.Name, Address: host})
		}
	}
	for _, name := range users.Names(p) {
		u := endpoints.User{Name: name, Role: endpoints.Service}
		if name == p.Kafka.Superuser {
			u.Role = endpoints.Superuser
		}
		if i := slices.IndexFunc(p.Kafka.Readers, func(r profiles.Reader) bool { return r.Name == name }); i >= 0 {
			u.Role, u.Topics = endpoints.Reader, p.Kafka.Readers[i].Topics
		}
		card.Users = append(card.Users, u)
	}
	return card
}
