package nodeports

import "github.com/alertlab/alertlab/profiles"

// Taken lists the ports of the nodes that a lab of a profile takes, each with what
// answers there.
func Taken(p *profiles.Profile) map[int]string {
	out := map[int]string{Front: "registry front", Registry: "schema registry", AlertDB: "alert database", ObjectStore: "object store"}
	if p.Kafka.Listener.Type != "nodeport" {
		return out // brokers have addresses of their own
	}
	out[Bootstrap] = "bootstrap"
	for i := range p.Kafka.Brokers.Count {
		out[Broker(p, i)] = "brokers"
	}
	return out
}
