// Package ingester is the embedded twin of alert_database_ingester: it archives
// every alert of the profile's topics.
package ingester

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/alerts/registry"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
	"github.com/alertlab/alertlab/provider/embedded"
)

// gateMember opens when the group has given the ingester its partitions.
const gateMember = "member"

type input struct {
	Bootstrap    string   `json:"bootstrap"` // host:port
	User         string   `json:"user"`
	Group        string   `json:"group"`
	Topics       []string `json:"topics"`
	Registry     string   `json:"registry"` // URL
	ObjectStore  string   `json:"objectStore"`
	Region       string   `json:"region"`
	AlertBucket  string   `json:"alertBucket"`
	SchemaBucket string   `json:"schemaBucket"`
}

// Want describes a profile's ingester.
func Want(p *profiles.Profile) plan.Want {
	return plan.Want{
		Title: "archive every alert of " + strings.Join(p.AlertDatabase.Topics, ", "),
		Input: plan.Input(input{Bootstrap: "${kafka.bootstrap}", User: profiles.IngesterUser, Group: p.AlertDatabase.Group, Topics: p.AlertDatabase.Topics,
			Registry: "${schema-registry.url}", ObjectStore: "${object-store.url}", Region: "${object-store.region}",
			AlertBucket: p.AlertDatabase.AlertBucket, SchemaBucket: p.AlertDatabase.SchemaBucket}),
		Gates: []plan.Gate{{Name: gateMember, What: "the ingester is a member of its group", Deadline: 20 * time.Second}},
		Runs:  true,
	}
}

// New makes the part.
func New(host *embedded.Host) plan.Part {
	return &embedded.Twin[input]{Name: "the alert database's ingester",
		Start: func(ctx context.Context, in input, _ plan.Order) (embedded.Process, map[string]string, error) {
			login, err := host.Secrets.Login(in.Bootstrap, in.User)
			if err != nil {
				return nil, nil, err
			}
			store, err := host.Secrets.ObjectStoreAt(in.ObjectStore, in.Region)
			if err != nil {
				return nil, nil, err
			}
			schemas, err := registry.NewClient(in.Registry)
			if err != nil {
				return nil, nil, err
			}
			objects := objectstore.NewClient(store)
			ingester, err := archive.NewIngester(archive.IngesterConfig{Login: login, Topics: in.Topics, Group: in.Group, Objects: objects,
				Buckets: archive.Buckets{Alerts: in.AlertBucket, Schemas: in.SchemaBucket}, Schemas: schemas, Log: host.Log("alert-database-ingester")})
			if err != nil {
				return nil, nil, err
			}
			b := &embedded.Background{
				Check: func(context.Context, string) (bool, string, error) {
					st := ingester.Stats()
					seen := "not a member yet"
					if st.LastError != nil {
						seen += "; " + st.LastError.Error()
					}
					return st.Ready, seen, nil
				},
				About: func() []event.Fact { return facts(ingester.Stats()) },
			}
			b.Go(ctx, func(ctx context.Context) error {
				// Idle connections would hold the store's own end up.
				defer objects.Close()
				return ingester.Run(ctx)
			})
			return b, nil, nil
		}}
}

func facts(st archive.Stats) []event.Fact {
	out := []event.Fact{
		{Name: "archived", Value: fmt.Sprintf("%d alerts, %d MB as stored", st.Stored, st.ObjectBytes/1e6)},
		{Name: "dead letters", Value: fmt.Sprint(st.DeadLetters)},
	}
	if !st.LastStored.IsZero() {
		out = append(out, event.Fact{Name: "last", Value: fmt.Sprintf("id %d at %s", st.LastStoredID, st.LastStored.Format("15:04:05"))})
	}
	if st.LastError != nil {
		out = append(out, event.Fact{Name: "last trouble", Value: fmt.Sprintf("%v at %s", st.LastError, st.LastErrorTime.Format("15:04:05"))})
	}
	return out
}
