package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/alertlab/alertlab/alerts/archive"
	"github.com/alertlab/alertlab/alerts/console"
	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/endpoints"
	"github.com/alertlab/alertlab/lab/fault"
	"github.com/alertlab/alertlab/lab/runner"
	"github.com/alertlab/alertlab/provider/embedded/ingester"
	"github.com/alertlab/alertlab/provider/embedded/simulator"
	"github.com/alertlab/alertlab/tui/alertdb"
	"github.com/alertlab/alertlab/tui/visits"
)

// ingesterComponent is the key of the part that archives alerts.
const ingesterComponent = "alert-database-ingester"

// detailOf reads what a part says of itself for programs.
func detailOf(st runner.Status, key string, v any) error {
	for _, p := range st.Parts {
		if p.Key != key {
			continue
		}
		if len(p.Detail) == 0 {
			return fmt.Errorf("%s tells nothing: %s", key, first(p.Seen, string(p.State)))
		}
		return json.Unmarshal(p.Detail, v)
	}
	return fmt.Errorf("the lab has no %s", key)
}

// archiveGroup is the consumer group of the lab's ingester, as Kafka has it, with its
// speed.
func (b *board) archiveGroup(ctx context.Context) (console.Group, console.GroupSpeed, error) {
	_, applied, err := b.a.wantedProfile()
	if err != nil {
		return console.Group{}, console.GroupSpeed{}, err
	}
	name := applied.AlertDatabase.Group
	var speed console.GroupSpeed
	group, err := ask(ctx, b.kafka, "groups "+name, func(ctx context.Context, l *looker) (console.Group, error) {
		groups, _, err := l.Groups(ctx, name)
		if err != nil {
			return console.Group{}, err
		}
		now := console.Look{At: time.Now(), Groups: groups}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.archived = recent(b.archived, now)
		_, speeds := console.Speeds(b.archived[0], now)
		speed = speeds[name]
		return groups[0], nil
	})
	return group, speed, err
}

// recent adds a look, and drops those from before the time over which speeds are taken.
func recent(looks []console.Look, now console.Look) []console.Look {
	looks = append(looks, now)
	for len(looks) > 2 && now.At.Sub(looks[1].At) >= speedOver {
		looks = looks[1:]
	}
	for len(looks) > 1 && now.At.Sub(looks[0].At) > 3*speedOver { // from before a pause
		looks = looks[1:]
	}
	return looks
}

// toldVisits is what a simulator in the runner tells.
func toldVisits(st runner.Status) (visits.State, error) {
	var d simulator.Detail
	if err := detailOf(st, simulatorComponent, &d); err != nil {
		return visits.State{}, err
	}
	out := visits.State{Interval: time.Duration(d.IntervalSeconds * float64(time.Second)), Paused: d.Paused, Played: d.Visits, Missed: d.Missed, Skipped: d.Skipped, Published: d.Published}
	for _, v := range d.Last {
		out.Visits = append(out.Visits, visits.Visit{Number: v.Number + 1, Due: v.Due, Started: v.Started, Finished: v.Finished, Late: time.Duration(v.LateSeconds * float64(time.Second)),
			Alerts: v.Alerts, Bytes: v.Bytes, Missed: v.Missed, Error: v.Error})
	}
	return out, nil
}

// visits is what the simulator says of itself, or the log of its pod of it, with the archive's progress: what the
// ingester has not committed yet are the last alerts that were published.
func (b *board) visits(ctx context.Context) (visits.State, error) {
	st, err := b.status(ctx)
	if err != nil {
		return visits.State{}, err
	}
	var out visits.State
	if pods, are := podsOf(st, simulatorComponent); are {
		if out, err = b.loggedVisits(pods); err != nil {
			return visits.State{}, err
		}
	} else if out, err = toldVisits(st); err != nil {
		return visits.State{}, err
	}
	if st.Endpoints != nil {
		out.Topic = st.Endpoints.Simulator.Topic
	}
	if n := len(out.Visits); n > 0 && !out.Paused && out.Interval > 0 {
		out.Next = out.Visits[n-1].Due.Add(out.Interval)
		for out.Next.Before(time.Now()) { // one is played now
			out.Next = out.Next.Add(out.Interval)
		}
	}
	group, _, err := b.archiveGroup(ctx)
	if err != nil {
		out.Notes = append(out.Notes, "how far the archive is cannot be told: "+err.Error())
		return out, nil
	}
	var left int64
	for _, p := range group.Partitions {
		if p.Topic == out.Topic && p.Lag != nil {
			left += *p.Lag
		}
	}
	out.Lag = &left
	behind := left
	for i := len(out.Visits) - 1; i >= 0; i-- {
		v := &out.Visits[i]
		missing := min(behind, v.Alerts)
		behind -= missing
		done := v.Alerts - missing
		v.Archived = &done
	}
	return out, nil
}

// archiveSource hands the alert database to its page.
type archiveSource struct{ *board }

// State implements alertdb.Source.
func (s archiveSource) State(ctx context.Context) (alertdb.State, error) {
	st, err := s.status(ctx)
	if err != nil {
		return alertdb.State{}, err
	}
	var d ingester.Detail
	if err := detailOf(st, ingesterComponent, &d); err != nil {
		return alertdb.State{}, err
	}
	pods, are := podsOf(st, ingesterComponent)
	out := alertdb.State{Ready: d.Ready, Stored: d.Stored, DeadLetters: d.DeadLetters, WireBytes: d.WireBytes, ObjectBytes: d.ObjectBytes, Retries: d.Retries,
		Trouble: d.LastTrouble, TroubleAt: d.TroubleAt}
	if st.Endpoints != nil {
		out.URL = st.Endpoints.AlertDB.URL + "/v1"
	}
	for _, a := range d.Latest {
		out.Latest = append(out.Latest, alertdb.Stored{ID: a.ID, At: a.At, Bytes: int64(a.Bytes)})
	}
	group, speed, err := s.archiveGroup(ctx)
	if err != nil {
		out.Notes = append(out.Notes, "how far it is behind cannot be told: "+err.Error())
		return out, nil
	}
	out.Lag, out.Rate, out.CatchUp = group.Lag, speed.Reads, speed.CatchUp
	if are {
		ready, why := pods.ready()
		out.Ready, out.Untold = ready && len(group.Members) > 0, untoldByPod
		if !ready {
			out.Notes = append(out.Notes, "the ingester's pod is not ready: "+why)
		}
	}
	return out, nil
}

// lettersShown is how many dead letters are read with their reasons.
const lettersShown = 50

// Contents implements alertdb.Source.
func (s archiveSource) Contents(ctx context.Context) (alertdb.Contents, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	card, creds, err := s.a.card()
	if err != nil {
		return alertdb.Contents{}, err
	}
	c, err := stored(ctx, card, creds, lettersShown)
	out := alertdb.Contents{At: time.Now(), Alerts: c.Alerts, Bytes: c.Bytes, DeadLetters: c.DeadLetters}
	for _, o := range c.Newest {
		out.Newest = append(out.Newest, alertdb.Stored{ID: o.ID, At: o.At, Bytes: o.Bytes})
	}
	for _, l := range c.Latest {
		out.Letters = append(out.Letters, alertdb.Letter{Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, At: l.Timestamp, Bytes: l.Bytes, Reason: l.Reason})
	}
	return out, err
}

// stored looks into the lab's bucket of alerts.
func stored(ctx context.Context, card endpoints.Endpoints, creds endpoints.Credentials, letters int) (archive.Contents, error) {
	objects := objectstore.NewClient(objectstore.ClientConfig{Endpoint: card.ObjectStore.URL, Region: card.ObjectStore.Region,
		AccessKey: creds.ObjectStore.AccessKey, SecretKey: creds.ObjectStore.SecretKey})
	defer objects.Close()
	c, err := archive.Look(ctx, objects, card.ObjectStore.AlertBucket, letters)
	return c, fault.Wrap(fault.StepFailed, "the alert database's store cannot be listed", err, "alertlab status   # and alertlab logs object-store")
}

// Fetch implements alertdb.Source.
func (s archiveSource) Fetch(ctx context.Context, id int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	card, creds, err := s.a.card()
	if err != nil {
		return "", err
	}
	client := archive.Client{Token: card.AlertDB.Secret(creds, time.Now()), URL: card.AlertDB.URL}
	wire, err := client.Alert(ctx, id)
	if err != nil {
		return "", err
	}
	schema, alert, err := decodeArchived(ctx, client, wire)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = printAlert(&text, id, schema, alert, len(wire))
	return text.String(), err
}
