// Package kafkausers is a profile's Kafka users as custom resources, which Strimzi's user
// operator carries out: services log in with certificates that it makes, everybody from
// outside with the password of the lab's Secret.
package kafkausers

import (
	"fmt"
	"time"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/strimzi"
	"github.com/alertlab/alertlab/component/upstream"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/profiles"
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

// Watched gives what the gates watch.
func Watched() map[string]component.Objects {
	return upstream.EachReady("users", "kafka.strimzi.io/v1", "KafkaUser")
}
