// Package storeusers makes the users of an object store that may do what the alert
// database's programs do, and nothing else: the ingester writes, the server reads. The
// store is MinIO, whose administration protocol it speaks as the store's owner.
package storeusers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alertlab/alertlab/alerts/objectstore"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/internal/minioadmin"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// The users by their access keys, which are the names of their policies, too.
const (
	Writer = "alert-database-writer"
	Reader = "alert-database-reader"
)

// Names lists the users.
func Names() []string { return []string{Writer, Reader} }

// SecretKey is the key of a lab's Secret with a user's secret key.
func SecretKey(user string) string { return user + "-secret-key" }

// rights are what a user may do, by buckets.
type rights struct {
	Name  string   `json:"name"`
	List  []string `json:"list"`  // which objects there are
	Read  []string `json:"read"`  // what is in them
	Write []string `json:"write"` // make and replace them
}

type input struct {
	URL    string   `json:"url"`
	Region string   `json:"region"`
	Users  []rights `json:"users"`
}

// Want describes the users of a profile's buckets. The ingester looks whether a schema is
// there before it stores it, and stores alerts without looking. Nobody deletes: the store
// itself does, by its rule. Without the right to list, a store answers that what is
// missing is forbidden.
func Want(p *profiles.Profile) plan.Want {
	alerts, schemas := p.AlertDatabase.AlertBucket, p.AlertDatabase.SchemaBucket
	both := slices.Compact([]string{alerts, schemas})
	in := input{URL: "${object-store.url}", Region: "${object-store.region}", Users: []rights{
		{Name: Writer, List: []string{schemas}, Read: []string{schemas}, Write: both},
		{Name: Reader, List: both, Read: both},
	}}
	return plan.Want{
		Title:  fmt.Sprintf("users of the object store: %s puts into %s, %s reads there", Writer, strings.Join(both, " and "), Reader),
		Input:  plan.Input(in),
		Behind: "object-store",
	}
}

// policy is what MinIO is told of a user's rights.
func (r rights) policy() minioadmin.Policy {
	p := minioadmin.Policy{Version: minioadmin.PolicyVersion}
	add := func(actions, buckets []string, resource func(string) string) {
		if len(buckets) == 0 {
			return
		}
		var resources []string
		for _, b := range buckets {
			resources = append(resources, resource(b))
		}
		p.Statement = append(p.Statement, minioadmin.Allow(actions, resources))
	}
	add([]string{"s3:GetBucketLocation", "s3:ListBucket"}, r.List, minioadmin.Bucket)
	add([]string{"s3:GetObject"}, r.Read, minioadmin.Objects)
	add([]string{"s3:PutObject"}, r.Write, minioadmin.Objects)
	return p
}

// New makes the part.
func New(s *secrets.Store) plan.Part {
	p := &part{secrets: s}
	return content.Part[input]{Look: p.look, Make: p.apply}
}

type part struct{ secrets *secrets.Store }

func (p *part) admin(in input) (*minioadmin.Client, error) {
	store, err := p.secrets.ObjectStoreAt(in.URL, in.Region)
	if err != nil {
		return nil, err
	}
	return minioadmin.New(minioadmin.Config{Endpoint: store.Endpoint, Region: store.Region, AccessKey: store.AccessKey, SecretKey: store.SecretKey})
}

// look sees whether each user is there with its policy and no other, and whether its key
// opens the store.
func (p *part) look(ctx context.Context, in input, _ plan.Look) (plan.Observation, error) {
	admin, err := p.admin(in)
	if err != nil {
		return plan.Observation{}, err
	}
	var drift []string
	for _, r := range in.Users {
		seen, err := p.lookAt(ctx, admin, in, r)
		if err != nil {
			return plan.Observation{}, err
		}
		if seen != "" {
			drift = append(drift, seen)
		}
	}
	return plan.Observation{State: plan.Present, Why: fmt.Sprintf("%d users of the object store are there", len(in.Users)), Drift: strings.Join(drift, "; ")}, nil
}

// lookAt says what is another way about one user, "" for nothing.
func (p *part) lookAt(ctx context.Context, admin *minioadmin.Client, in input, r rights) (string, error) {
	user, err := admin.User(ctx, r.Name)
	switch {
	case errors.Is(err, minioadmin.ErrNoUser):
		return fmt.Sprintf("user %s of the object store is missing", r.Name), nil
	case err != nil:
		return "", err
	case user.Status != minioadmin.Enabled:
		return fmt.Sprintf("user %s of the object store is %s", r.Name, user.Status), nil
	case user.Policy != r.Name || len(user.Groups) > 0:
		return fmt.Sprintf("user %s of the object store has other policies than its own", r.Name), nil
	}
	policy, err := admin.Policy(ctx, r.Name)
	switch {
	case errors.Is(err, minioadmin.ErrNoPolicy):
		return fmt.Sprintf("the policy of user %s of the object store is missing", r.Name), nil
	case err != nil:
		return "", err
	case !policy.Equal(r.policy()):
		return fmt.Sprintf("the policy of user %s of the object store allows something else", r.Name), nil
	}
	return p.works(ctx, in, r)
}

// works asks as the user for what it may: a first page of a bucket that it may list.
func (p *part) works(ctx context.Context, in input, r rights) (string, error) {
	secret, err := p.secrets.Account(r.Name)
	if err != nil || len(r.List) == 0 {
		return "", err
	}
	client := objectstore.NewClient(objectstore.ClientConfig{Endpoint: in.URL, Region: in.Region, AccessKey: r.Name, SecretKey: secret})
	defer client.Close()
	for _, err := range client.List(ctx, r.List[0], "") {
		var refused *objectstore.RequestError
		if errors.As(err, &refused) {
			return fmt.Sprintf("the key of user %s does not open the object store: %s", r.Name, refused.Code), nil
		}
		if err != nil && !errors.Is(err, objectstore.ErrNoBucket) { // a bucket is another part's
			return "", err
		}
		break
	}
	return "", nil
}

// apply makes every user and its policy what they should be, and removes those that steps
// before may have made and that are not wanted.
func (p *part) apply(ctx context.Context, in input, order plan.Order) (map[string]string, error) {
	admin, err := p.admin(in)
	if err != nil {
		return nil, err
	}
	for _, r := range in.Users {
		secret, err := p.secrets.Account(r.Name)
		if err != nil {
			return nil, err
		}
		user, err := admin.User(ctx, r.Name)
		if err != nil && !errors.Is(err, minioadmin.ErrNoUser) {
			return nil, err
		}
		if len(user.Groups) > 0 { // what a group gives it goes with the user only
			if err := admin.RemoveUser(ctx, r.Name); err != nil {
				return nil, err
			}
		}
		if err := admin.SetPolicy(ctx, r.Name, r.policy()); err != nil {
			return nil, err
		}
		if err := admin.SetUser(ctx, r.Name, secret); err != nil {
			return nil, err
		}
		if err := admin.Attach(ctx, r.Name, r.Name); err != nil {
			return nil, err
		}
	}
	for _, was := range content.Earlier[input](order) {
		for _, r := range was.Users {
			if slices.ContainsFunc(in.Users, func(now rights) bool { return now.Name == r.Name }) {
				continue
			}
			if err := errors.Join(admin.RemoveUser(ctx, r.Name), admin.RemovePolicy(ctx, r.Name)); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}
