// Package users brings the Kafka users of a lab and their ACLs to what the
// profile says.
package users

import (
	"context"
	"fmt"
	"slices"

	"github.com/alertlab/alertlab/alerts/admin"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

type input struct {
	Bootstrap string `json:"bootstrap"` // host:port
	As        string `json:"as"`
	Users     []User `json:"users"`
}

// User is a Kafka user as it should be.
type User struct {
	Name string `json:"name"`
	ACLs []ACL  `json:"acls"`
	// Password counts how often a user was given another password, so that a
	// plan sees it; the password itself is no part of a plan.
	Password int `json:"password,omitempty"`
}

// ACL is admin.ACL in the plan's own words.
type ACL struct {
	Resource   string   `json:"resource"`
	Name       string   `json:"resourceName"`
	Pattern    string   `json:"pattern"`
	Operations []string `json:"operations"`
}

// Names lists every user of a profile, the superuser first.
func Names(p *profiles.Profile) []string {
	names := []string{p.Kafka.Superuser}
	for _, u := range Wanted(p) {
		names = append(names, u.Name)
	}
	return names
}

// Wanted gives the users with their ACLs, but for the superuser: those of the services and of the
// community brokers are the ones that Phalanx's alert-stream-broker sets up.
func Wanted(p *profiles.Profile) []User {
	list := []User{
		{Name: profiles.RegistryUser, ACLs: []ACL{
			{"topic", p.Registry.Topic, "literal", []string{"Read", "Write", "DescribeConfigs"}},
			{"group", "schema-registry", "prefix", []string{"All"}},
			{"topic", "__consumer_offsets", "literal", []string{"Describe"}},
		}},
		{Name: profiles.IngesterUser, ACLs: []ACL{
			{"topic", "__consumer_offsets", "literal", []string{"All"}},
			{"group", "*", "literal", []string{"Describe", "Read"}},
		}},
		{Name: profiles.SimulatorUser, ACLs: []ACL{
			{"topic", p.Simulator.StaticTopic, "literal", []string{"All"}},
			{"topic", p.Simulator.Topic, "literal", []string{"All"}},
			{"topic", "__consumer_offsets", "literal", []string{"All"}},
			{"group", "*", "literal", []string{"Describe", "Read"}},
		}},
	}
	for _, t := range p.AlertDatabase.Topics {
		list[1].ACLs = append(list[1].ACLs, ACL{"topic", t, "literal", []string{"Read", "Describe"}})
	}
	for _, r := range p.Kafka.Readers {
		u := User{Name: r.Name}
		for _, a := range admin.ReaderACLs(r.Name, r.Topics) {
			u.ACLs = append(u.ACLs, ACL(a))
		}
		list = append(list, u)
	}
	return list
}

// Want describes a profile's users. passwords counts, by user, how often one was
// given another password.
func Want(p *profiles.Profile, passwords map[string]int) plan.Want {
	in := input{Bootstrap: "${kafka.bootstrap}", As: p.Kafka.Superuser, Users: Wanted(p)}
	for i := range in.Users {
		in.Users[i].Password = passwords[in.Users[i].Name]
	}
	return plan.Want{
		Title:  fmt.Sprintf("%d users with their ACLs", len(in.Users)),
		Input:  plan.Input(in),
		Behind: "kafka",
	}
}

// New makes the part.
func New(s *secrets.Store) plan.Part {
	p := &part{secrets: s}
	return content.Part[input]{Look: p.look, Make: p.apply}
}

type part struct{ secrets *secrets.Store }

// look sees whether the users that were applied
// last are there.
func (p *part) look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	client, err := content.Admin(p.secrets, in.Bootstrap, in.As)
	if err != nil {
		return plan.Observation{}, err
	}
	defer client.Close()
	accounts, err := admin.Users(ctx, client)
	if err != nil {
		return plan.Observation{}, err
	}
	there := map[string]admin.Account{}
	for _, a := range accounts {
		there[a.Name] = a
	}
	o := plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d users are there", len(in.Users))}
	for _, u := range in.Users {
		switch a, ok := there[u.Name]; {
		case !ok || len(a.Mechanisms) == 0:
			o.Drift = fmt.Sprintf("user %s is missing", u.Name)
		case len(a.ACLs) == 0:
			o.Drift = fmt.Sprintf("user %s has no ACLs", u.Name)
		}
	}
	return o, nil
}

// apply makes what is missing, and removes users that the profile dropped.
func (p *part) apply(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	list := make([]admin.User, 0, len(in.Users))
	for _, u := range in.Users {
		password, err := p.secrets.Password(u.Name)
		if err != nil {
			return nil, err
		}
		w := admin.User{Name: u.Name, Password: password}
		for _, a := range u.ACLs {
			w.ACLs = append(w.ACLs, admin.ACL(a))
		}
		list = append(list, w)
	}
	client, err := content.Admin(p.secrets, in.Bootstrap, in.As)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := admin.EnsureUsers(ctx, client, list); err != nil {
		return nil, err
	}
	gone := dropped(content.Earlier[input](order), in)
	if len(gone) == 0 {
		return nil, nil
	}
	_, err = admin.RemoveUsers(ctx, client, gone...)
	return nil, err
}

// dropped lists the users that the last step made, or one since may have made, and
// that are not wanted any more. Users that this lab never made are left alone.
func dropped(earlier []input, in input) []string {
	var gone []string
	for _, was := range earlier {
		for _, u := range was.Users {
			wanted := slices.ContainsFunc(in.Users, func(w User) bool { return w.Name == u.Name })
			if !wanted && !slices.Contains(gone, u.Name) {
				gone = append(gone, u.Name)
			}
		}
	}
	return gone
}
