// Package kafkausers is a profile's Kafka users as custom resources, which Strimzi's user
// operator carries out: services log in with certificates that it makes, everybody from
// outside with the password of the lab's Secret.
package kafkausers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/event"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
)

const (
	api  = "kafka.strimzi.io/v1"
	kind = "KafkaUser"
)

// Fit says which user cannot be an object of the cluster, nil when all can.
func Fit(p *profiles.Profile) error {
	for _, name := range users.Names(p) {
		if !strimzi.Kubernetes(name) {
			return fmt.Errorf("the Kafka user %q cannot be a KafkaUser: its name must be a DNS name, of lower-case letters, digits, inner hyphens and dots", name)
		}
	}
	return nil
}

// Want describes the users.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	r := component.Release{Name: "kafka-users", Namespace: component.Namespace, Chart: "kafka-users"}
	var list []any
	for _, u := range users.Wanted(p) {
		one := map[string]any{"name": u.Name, "login": "scram-sha-512", "acls": u.ACLs}
		switch u.Name {
		case profiles.RegistryUser, profiles.IngesterUser, profiles.SimulatorUser:
			one["login"] = "tls"
		}
		if n := lab.Passwords[u.Name]; n > 0 {
			one["password"] = n
		}
		list = append(list, one)
	}
	r.Values = map[string]any{"lab": lab.Name, "cluster": p.Kafka.Cluster, "secret": component.Secret, "users": list}
	w := r.Want(fmt.Sprintf("%d users with their ACLs", len(list)), component.Meets("the operator says that each is Ready", 3*time.Minute))
	w.Behind = "kafka"
	return w
}

// Release is a release by any deployer.
type Release interface {
	plan.Part
	plan.Waiter
	Attend(applied json.RawMessage)
	Activity() event.Activity
}

// Part is a deployer's part of the users, which is done with a user that there is no more
// when its object is gone.
type Part struct {
	Release
	// Gone waits until an object is not there.
	Gone func(ctx context.Context, object kube.Ref) error
}

// Apply implements plan.Part.
func (p Part) Apply(ctx context.Context, order plan.Order) (map[string]string, error) {
	wanted, err := component.Read(order.Input)
	if err != nil {
		return nil, err
	}
	outputs, err := p.Release.Apply(ctx, order)
	if err != nil {
		return nil, err
	}
	there := names(wanted)
	for _, r := range content.Earlier[component.Release](order) {
		for _, name := range names(r) {
			if slices.Contains(there, name) {
				continue
			}
			if err := p.Gone(ctx, kube.Object(api, kind, wanted.Namespace, name)); err != nil {
				return nil, err
			}
		}
	}
	return outputs, nil
}

// names lists the users of a release.
func names(r component.Release) []string {
	var out []string
	list, _ := r.Values["users"].([]any)
	for _, one := range list {
		u, _ := one.(map[string]any)
		name, _ := u["name"].(string)
		out = append(out, name)
	}
	return out
}

// Watched gives what the gates watch.
func Watched() map[string]component.Objects {
	return upstream.Watches(func(r component.Release) []kube.Expected {
		var out []kube.Expected
		for _, name := range names(r) {
			out = append(out, kube.Expected{Ref: kube.Object(api, kind, r.Namespace, name), Cond: kube.Current("Ready")})
		}
		return out
	})
}
