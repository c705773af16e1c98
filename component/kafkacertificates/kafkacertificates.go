// Package kafkacertificates brings what brokers and clients inside the cluster show each
// other on the listeners with mutual TLS, in the Secrets in which Strimzi's operators do
// (facts, environments.md, A3 and A9): CLUSTER-cluster-ca-cert and CLUSTER-clients-ca-cert
// with ca.crt, CLUSTER-kafka-brokers with POD.crt and POD.key, and one for each user and
// called as it, with user.crt, user.key, password and sasl.jaas.config.
package kafkacertificates

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/alertlab/alertlab/component"
	"github.com/alertlab/alertlab/component/certmanager"
	"github.com/alertlab/alertlab/content"
	"github.com/alertlab/alertlab/content/users"
	"github.com/alertlab/alertlab/internal/kube"
	"github.com/alertlab/alertlab/lab/authority"
	"github.com/alertlab/alertlab/lab/plan"
	"github.com/alertlab/alertlab/lab/secrets"
	"github.com/alertlab/alertlab/profiles"
)

// The folders of the authorities, in that of the lab's own. They may sign for any name,
// and only who is in the cluster trusts them.
const (
	clusterAuthority = "cluster-ca"
	clientsAuthority = "clients-ca"
)

type input struct {
	Lab       string   `json:"lab"`
	Namespace string   `json:"namespace"`
	Cluster   string   `json:"cluster"` // name of the Kafka cluster
	Brokers   []int32  `json:"brokers"` // ids
	Users     []string `json:"users"`
	// Passwords counts the new passwords of each user.
	Passwords map[string]int `json:"passwords,omitempty"`
	// External is the authority of the external listener's certificate, as PEM, where it
	// has one.
	External string `json:"external,omitempty"`
}

// Brokers is the name of the Secret with the brokers' certificates and keys.
func Brokers(p *profiles.Profile) string { return p.Kafka.Cluster + "-kafka-brokers" }

// Clients is the name of the Secret with the authority of the clients' certificates.
func Clients(p *profiles.Profile) string { return p.Kafka.Cluster + "-clients-ca-cert" }

// cluster is the name of the Secret with what clients trust.
func cluster(name string) string { return name + "-cluster-ca-cert" }

// Issued is the component's output that is another text when brokers and clients have
// other certificates.
const Issued = "issued"

// nameRule is what Kubernetes takes as the name of a Secret (RFC 1123, subdomain).
var nameRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// Fit says which user's name cannot be that of a Secret, nil when all can.
func Fit(p *profiles.Profile) error {
	taken := []string{Brokers(p), Clients(p), cluster(p.Kafka.Cluster), component.Secret}
	for _, name := range users.Names(p) {
		if !nameRule.MatchString(name) {
			return fmt.Errorf("the Kafka user %q cannot have a Secret of its own: their names are small letters, digits, '-' and '.'", name)
		}
		if slices.Contains(taken, name) {
			return fmt.Errorf("the Kafka user %q cannot have a Secret of its own: that one is the cluster's", name)
		}
	}
	return nil
}

// Want describes the certificates of a profile's brokers and users.
func Want(p *profiles.Profile, lab component.Lab) plan.Want {
	in := input{Lab: lab.Name, Namespace: component.Namespace, Cluster: p.Kafka.Cluster, Users: users.Names(p), Passwords: lab.Passwords}
	for i := range p.Kafka.Brokers.Count {
		in.Brokers = append(in.Brokers, p.Kafka.Brokers.FirstID+int32(i))
	}
	if certmanager.Wanted(p) {
		in.External = "${authority.ca}"
	}
	return plan.Want{
		Title: fmt.Sprintf("certificates of the brokers (%d) and users (%d), with the authorities that they trust", len(in.Brokers), len(in.Users)),
		Input: plan.Input(in), Outputs: []string{Issued}, Behind: "cluster",
	}
}

// New makes the part. folder is where the lab keeps its authorities, s has its
// passwords, api gives the cluster's API.
func New(folder string, s *secrets.Store, api func() (component.SecretsAPI, error)) plan.Part {
	return component.Secrets(api, func(text json.RawMessage) (component.Made, error) {
		var in input
		if err := json.Unmarshal(text, &in); err != nil {
			return component.Made{}, err
		}
		return in.make(folder, s)
	}, dropped)
}

// dropped names the Secrets of users that there are no more.
func dropped(order plan.Order) ([]kube.Secret, error) {
	var in input
	if err := json.Unmarshal(order.Input, &in); err != nil {
		return nil, err
	}
	var gone []kube.Secret
	for _, was := range content.Earlier[input](order) {
		for _, name := range was.Users {
			if !slices.Contains(in.Users, name) {
				gone = append(gone, kube.Secret{Namespace: was.Namespace, Name: name})
			}
		}
	}
	return gone, nil
}

func (in input) make(folder string, s *secrets.Store) (component.Made, error) {
	var made component.Made
	servers, err := authority.Open(filepath.Join(folder, clusterAuthority), "cluster-ca")
	if err != nil {
		return made, err
	}
	clients, err := authority.Open(filepath.Join(folder, clientsAuthority), "clients-ca")
	if err != nil {
		return made, err
	}
	labels := map[string]string{kube.LabelLab: in.Lab, "app.kubernetes.io/part-of": "alertlab", "strimzi.io/cluster": in.Cluster}
	add := func(name string, data map[string][]byte) {
		made.Secrets = append(made.Secrets, kube.Secret{Namespace: in.Namespace, Name: name, Labels: labels, Data: data})
	}
	brokers := map[string][]byte{}
	for _, id := range in.Brokers {
		pod := fmt.Sprintf("%s-kafka-%d", in.Cluster, id)
		if brokers[pod+".crt"], brokers[pod+".key"], err = servers.Issue(pod, in.hosts(pod)...); err != nil {
			return made, err
		}
	}
	add(in.Cluster+"-kafka-brokers", brokers)
	add(in.Cluster+"-clients-ca-cert", map[string][]byte{"ca.crt": clients.PEM()})
	add(cluster(in.Cluster), map[string][]byte{"ca.crt": append(servers.PEM(), in.External...)})
	for _, name := range in.Users {
		password, err := s.Password(name)
		if err != nil {
			return made, err
		}
		cert, key, err := clients.Issue(name)
		if err != nil {
			return made, err
		}
		add(name, map[string][]byte{
			"ca.crt": clients.PEM(), "user.crt": cert, "user.key": key, "password": []byte(password),
			"sasl.jaas.config": fmt.Appendf(nil, "org.apache.kafka.common.security.scram.ScramLoginModule required username=%q password=%q;", name, password),
		})
	}
	sum := sha256.Sum256(append(servers.PEM(), clients.PEM()...))
	made.Outputs = map[string]string{Issued: hex.EncodeToString(sum[:8])}
	made.Why = fmt.Sprintf("%d Secrets hold them", len(made.Secrets))
	return made, nil
}

// hosts are the names by which a broker is known in the cluster, each as short as a
// client's namespace allows.
func (in input) hosts(pod string) []string {
	var out []string
	for _, service := range []string{in.Cluster + "-kafka-bootstrap", pod + "." + in.Cluster + "-kafka-brokers"} {
		for _, suffix := range []string{"", "." + in.Namespace, "." + in.Namespace + ".svc", "." + in.Namespace + ".svc.cluster.local"} {
			out = append(out, service+suffix)
		}
	}
	return out
}
