// Package ingester is the embedded twin of alert_database_ingester: it archives
// every alert of the profile's topics, and once a day deletes those that are older
// than the profile keeps them, as the buckets' lifecycle rules do at the real sites.
package ingester

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	Metrics      string   `json:"metrics"` // host:port
	// PurgeAfterDays is how long alerts are kept; 0 for ever.
	PurgeAfterDays int `json:"purgeAfterDays,omitempty"`
}

// Want describes a profile's ingester.
func Want(p *profiles.Profile) plan.Want {
	title := "archive every alert of " + strings.Join(p.AlertDatabase.Topics, ", ")
	if days := p.AlertDatabase.PurgeAfterDays; days > 0 {
		title += fmt.Sprintf(", delete it after %d days", days)
	}
	return plan.Want{
		Title: title,
		Input: plan.Input(input{Bootstrap: "${kafka.bootstrap}", User: profiles.IngesterUser, Group: p.AlertDatabase.Group, Topics: p.AlertDatabase.Topics,
			Registry: "${schema-registry.url}", ObjectStore: "${object-store.url}", Region: "${object-store.region}",
			AlertBucket: p.AlertDatabase.AlertBucket, SchemaBucket: p.AlertDatabase.SchemaBucket,
			Metrics: "${addresses.ingester}", PurgeAfterDays: p.AlertDatabase.PurgeAfterDays}),
		Outputs: []string{"metrics"},
		Gates:   []plan.Gate{{Name: gateMember, What: "the ingester is a member of its group", Deadline: 20 * time.Second}},
		Runs:    true,
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
			objects, log, url := objectstore.NewClient(store), host.Log("alert-database-ingester"), "http://"+in.Metrics+"/metrics"
			ingester, err := archive.NewIngester(archive.IngesterConfig{Login: login, Topics: in.Topics, Group: in.Group, Objects: objects,
				Buckets: archive.Buckets{Alerts: in.AlertBucket, Schemas: in.SchemaBucket}, Schemas: schemas, Log: log})
			if err != nil {
				return nil, nil, err
			}
			var purger *archive.Purger
			if in.PurgeAfterDays > 0 {
				purger = &archive.Purger{Objects: objects, Bucket: in.AlertBucket, Age: time.Duration(in.PurgeAfterDays) * 24 * time.Hour, Log: log}
			}
			metrics := &embedded.HTTPServer{}
			if err := metrics.Serve(ctx, in.Metrics, ingester.Handler(), log); err != nil {
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
				About: func() []event.Fact {
					return append(facts(ingester.Stats(), purger), event.Fact{Name: "metrics", Value: url})
				},
				Details: func() json.RawMessage { return detail(ingester.Stats()) },
			}
			b.Go(ctx, func(ctx context.Context) error {
				// Idle connections would hold the store's own end up.
				defer objects.Close()
				purging, stop := context.WithCancel(ctx)
				var beside sync.WaitGroup
				if purger != nil {
					beside.Go(func() { _ = purger.Run(purging) }) // what fails is in its facts
				}
				err := ingester.Run(ctx)
				stop()
				beside.Wait()
				return errors.Join(err, metrics.Stop(context.WithoutCancel(ctx)))
			})
			return b, map[string]string{"metrics": url}, nil
		}}
}

// Detail is what status -o json says of the ingester, since it began.
type Detail struct {
	Ready         bool                  `json:"ready"`
	Stored        int64                 `json:"stored"`
	DeadLetters   int64                 `json:"deadLetters"`
	WireBytes     int64                 `json:"wireBytes"`   // of what was stored, as it came
	ObjectBytes   int64                 `json:"objectBytes"` // as it was stored
	InFlightBytes int64                 `json:"inFlightBytes"`
	Commits       int64                 `json:"commits"`
	Retries       map[string]int64      `json:"retries"` // failed attempts, by what was tried
	LastTrouble   string                `json:"lastTrouble,omitempty"`
	TroubleAt     time.Time             `json:"troubleAt,omitzero"`
	Latest        []archive.StoredAlert `json:"latest"` // stored last, the newest first
}

func detail(st archive.Stats) json.RawMessage {
	d := Detail{Ready: st.Ready, Stored: st.Stored, DeadLetters: st.DeadLetters, WireBytes: st.WireBytes, ObjectBytes: st.ObjectBytes, InFlightBytes: st.InFlightBytes,
		Commits: st.Commits, Retries: st.Retries, Latest: append([]archive.StoredAlert{}, st.Latest...)}
	if st.LastError != nil {
		d.LastTrouble, d.TroubleAt = st.LastError.Error(), st.LastErrorTime
	}
	text, err := json.Marshal(d)
	if err != nil { // it holds nothing that JSON has no form for
		return nil
	}
	return text
}

func facts(st archive.Stats, purger *archive.Purger) []event.Fact {
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
	if purger != nil {
		last := purger.Last()
		switch {
		case last.Err != nil:
			out = append(out, event.Fact{Name: "purged", Value: fmt.Sprintf("%v, at %s", last.Err, last.At.Format(time.DateTime))})
		case !last.At.IsZero():
			out = append(out, event.Fact{Name: "purged", Value: fmt.Sprintf("%d of %d alerts, stored before %s", last.Purged.Deleted, last.Purged.Seen, last.At.Add(-purger.Age).Format(time.DateTime))})
		}
	}
	return out
}
