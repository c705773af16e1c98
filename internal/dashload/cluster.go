package dashload

import (
	"context"
	"fmt"

	"github.com/alertlab/alertlab/tui/kafka"
)

// Cluster is one of six brokers, 400 partitions and 40 groups: what the dashboard is
// measured with. It implements kafka.Source.
type Cluster struct {
	Err error // of every look
}

func n(v int64) *int64     { return &v }
func f(v float64) *float64 { return &v }

// Brokers are six, of which one is away.
func (c Cluster) Brokers(context.Context) ([]kafka.Broker, []string, error) {
	var out []kafka.Broker
	for i := range int32(6) {
		b := kafka.Broker{ID: i, Address: fmt.Sprintf("127.0.0.%d:9094", 11+i), Role: "broker", Leads: 66, Holds: 200, Bytes: n(381e6), Free: n(27e9),
			Settings: []kafka.Setting{{Name: "log.retention.ms", Value: "600000", Source: "broker file"}}}
		if i == 2 {
			b = kafka.Broker{ID: i, Address: b.Address, Away: true, Problem: "away: the cluster does not list it"}
		}
		out = append(out, b)
	}
	return out, []string{"bytes of broker 2: it does not answer"}, c.Err
}

// Topics are 40 of ten partitions each.
func (c Cluster) Topics(context.Context) ([]kafka.Topic, []string, error) {
	var out []kafka.Topic
	for i := range 40 {
		t := kafka.Topic{Name: fmt.Sprintf("alerts-%02d", i), Replicas: 3, Records: n(28800 * int64(i)), Bytes: n(2.3e9), In: f(float64(i)), Out: f(0), Retention: "10m00s, 500 MB a partition",
			Settings: []kafka.Setting{{Name: "max.message.bytes", Value: "4194304", Source: "topic"}}}
		for p := range int32(10) {
			part := kafka.Partition{ID: p, Leader: p % 6, Replicas: "0-2", InSync: "0-2", Earliest: n(100), Latest: n(2500), Records: n(2400), Bytes: n(23e6)}
			if i == 1 && p == 3 {
				part.Leader, part.InSync, part.Problem = -1, "0-1", "LEADER_NOT_AVAILABLE"
			}
			t.Partitions = append(t.Partitions, part)
		}
		out = append(out, t)
	}
	return out, nil, c.Err
}

// Groups are 40.
func (c Cluster) Groups(context.Context) ([]kafka.Group, []string, error) {
	var out []kafka.Group
	for i := range 40 {
		g := kafka.Group{Name: fmt.Sprintf("group-%02d", i), State: "Stable", Type: "classic", Coordinator: "1 (127.0.0.12:9094)", Topics: []string{"alerts-00"}, Lag: n(int64(i) * 100), Reads: f(200), CatchUp: f(float64(i)),
			Members:    []kafka.Member{{Name: "m-1", Client: "client", Host: "127.0.0.1", Partitions: "alerts-00 0-9"}},
			Partitions: []kafka.GroupPartition{{Topic: "alerts-00", Partition: 0, Committed: n(10), Latest: n(110), Lag: n(100), Member: "m-1"}}}
		switch i {
		case 0:
			g.CatchUp = f(0)
		case 2:
			g.CatchUp = nil
		case 3:
			g.State, g.Members, g.Reads, g.CatchUp = "Empty", nil, nil, nil
		}
		out = append(out, g)
	}
	return out, nil, c.Err
}

// Users are three.
func (c Cluster) Users(context.Context) ([]kafka.User, []string, error) {
	return []kafka.User{
		{Name: "antares", Role: "reader", Mechanisms: []string{"SCRAM-SHA-512"}, Rights: []kafka.Right{{Resource: "topic", Name: "alerts-00", Operations: "Read, Describe"}, {Resource: "group", Name: "antares*", Operations: "All"}}},
		{Name: "bob", Role: "reader", Changed: "added", Mechanisms: []string{"SCRAM-SHA-512"}},
		{Name: "kafka-admin", Role: "superuser", Mechanisms: []string{"SCRAM-SHA-512"}},
	}, nil, c.Err
}
