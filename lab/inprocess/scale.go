package inprocess

import (
	"fmt"
	"slices"

	"github.com/alertlab/alertlab/profiles"
)

// brokerDisk is what the topics of an embedded lab may take on disk for each
// broker, in bytes: with six brokers a sixth of what a laptop easily has.
const brokerDisk = 2 << 30

// Scaled is what a lab makes of a profile.
type Scaled struct {
	Profile *profiles.Profile `json:"profile"` // what is run
	// Conceded are the values that the profile does not run as its source has
	// them, Changed those that the lab does not run as the profile has them.
	Conceded []profiles.Change `json:"conceded"`
	Changed  []profiles.Change `json:"changed"`
	// Absent says what an embedded lab has nothing of, a sentence each.
	Absent []string `json:"absent"`
}

// Sentences gives everything that is conceded, one line each.
func (s Scaled) Sentences() []string {
	var out []string
	for _, c := range slices.Concat(s.Conceded, s.Changed) {
		out = append(out, c.String())
	}
	return append(out, s.Absent...)
}

// Scale says what an embedded lab makes of a profile. It is pure: the same on
// every machine.
func Scale(p *profiles.Profile) (Scaled, error) {
	run, changed, err := profiles.Scale(p, profiles.Limits{BrokerDisk: brokerDisk})
	if err != nil {
		return Scaled{}, err
	}
	return Scaled{Profile: run, Conceded: p.Conceded(), Changed: changed, Absent: absent(p)}, nil
}

// absent states what an embedded lab has nothing of that the profile names.
func absent(p *profiles.Profile) []string {
	k := p.Kafka
	out := []string{"services log in with SCRAM, not with client certificates, and there is no internal listener"}
	add := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(k.Listener.TLS, "certificates are signed by the lab's own authority, not by a public one: clients are told to trust it")
	add(slices.ContainsFunc(k.Topics, func(t profiles.Topic) bool { return t.Replicas > 1 }),
		"topics are stored once whatever their number of replicas says: a broker that is killed comes back with its data, the data is not elsewhere")
	add(k.Version != "", "no Apache Kafka %s runs: the brokers are inside this program and speak its protocol", k.Version)
	add(k.Controllers.Count > 0, "there are no controllers: one process keeps the metadata of all brokers")
	add(k.Brokers.Storage.Class != "", "there is no storage class %s: data lies in the lab's directory", k.Brokers.Storage.Class)
	add(k.Brokers.Resources != (profiles.Resources{}), "brokers have no processors and memory of their own: all share those of one process")
	add(k.Brokers.NodePool != (profiles.NodePool{}) || k.Brokers.AntiAffinity, "brokers are on no nodes of their own: all are on this machine")
	add(k.Listener.Type == "nodeport", "there are no node ports: every broker has an address of its own")
	names := "host names of the source are not announced: brokers and registry are known by their addresses"
	if k.Listener.TLS {
		names += "; the certificate names those of the brokers too"
	}
	add(k.Listener.BootstrapHost != "" || p.Registry.Host != "", "%s", names)
	add(p.NetworkPolicies, "there are no NetworkPolicies: all parts are one process")
	add(p.Registry.Replicas > 1, "one registry runs, not %d", p.Registry.Replicas)
	_, most, scales := p.AlertDatabase.Scales()
	add(scales && most > 1, "no ingesters come and go with their lag: the one that runs has parallel workers, and is as fast as this machine")
	add(p.AlertDatabase.Ingesters > 1, "one ingester runs with parallel workers, not %d", p.AlertDatabase.Ingesters)
	add(p.AlertDatabase.Scope != "", "tokens with the scope %s are the lab's own (alertlab token add), not Gafaelfawr's", p.AlertDatabase.Scope)
	return out
}
