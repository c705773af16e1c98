package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Broker is a broker as it shows itself to clients.
type Broker struct {
	ID      int32  `json:"id"`
	Address string `json:"address"` // host:port, as announced
	Rack    string `json:"rack,omitempty"`
	// Controller says whether clients are told that this broker is the
	// controller. A cluster of KRaft controllers names any broker.
	Controller bool      `json:"controller"`
	Leads      int       `json:"leads"`    // partitions that it leads
	Holds      int       `json:"holds"`    // replicas that it is to hold
	Settings   []Setting `json:"settings"` // those that are not Kafka's defaults; nil when it is not told
	Disks      []Disk    `json:"disks"`    // nil when it does not tell
	Problem    string    `json:"problem,omitempty"`
}

// Disk is a log directory of a broker.
type Disk struct {
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes"` // of records in it
	// Total and Free are of the volume, in bytes; nil when the broker does not
	// tell (before Kafka 3.3).
	Total   *int64 `json:"total"`
	Free    *int64 `json:"free"`
	Problem string `json:"problem,omitempty"`
}

// Brokers looks at all brokers, or at those that are named, sorted by id. The
// strings say what could not be seen and why. Errors are *UnknownError for a
// broker that is named and does not live, or the client's.
func (c *Cluster) Brokers(ctx context.Context, ids ...int32) ([]Broker, []string, error) {
	meta, err := c.admin.BrokerMetadata(ctx)
	if err != nil {
		return nil, nil, doing("listing brokers", err)
	}
	var known []string
	for _, id := range meta.Brokers.NodeIDs() {
		known = append(known, strconv.Itoa(int(id)))
	}
	for _, id := range ids {
		if !slices.Contains(meta.Brokers.NodeIDs(), id) {
			return nil, nil, &UnknownError{Kind: "broker", Name: strconv.Itoa(int(id)), Known: known}
		}
	}
	all := ids
	if len(all) == 0 {
		all = meta.Brokers.NodeIDs()
	}
	var missing notes
	topics, err := c.admin.ListTopicsWithInternal(ctx)
	missing.add("partitions", err)
	configs, err := c.admin.DescribeBrokerConfigs(ctx, all...)
	missing.add("settings", err)
	set, problems := map[string][]Setting{}, map[int32]string{}
	for _, r := range configs {
		missing.add("settings of broker "+r.Name, r.Err)
		set[r.Name] = settings(r.Configs)
	}
	disks, err := c.admin.DescribeAllLogDirs(ctx, nil)
	missing.add("disks", err)
	if err := ended(ctx); err != nil {
		return nil, nil, err
	}
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) {
		for _, e := range shards.Errs {
			if refused(e.Err) == nil {
				problems[e.Broker.NodeID] = e.Err.Error()
			}
		}
	}
	var out []Broker
	for _, b := range meta.Brokers {
		if !slices.Contains(all, b.NodeID) {
			continue
		}
		broker := Broker{ID: b.NodeID, Address: address(b), Controller: b.NodeID == meta.Controller,
			Settings: set[strconv.Itoa(int(b.NodeID))], Problem: problems[b.NodeID]}
		if b.Rack != nil {
			broker.Rack = *b.Rack
		}
		topics.EachPartition(func(p kadm.PartitionDetail) {
			if p.Leader == b.NodeID {
				broker.Leads++
			}
			if slices.Contains(p.Replicas, b.NodeID) {
				broker.Holds++
			}
		})
		for _, d := range disks[b.NodeID].Sorted() {
			disk := Disk{Dir: d.Dir, Bytes: d.Size(), Total: known64(d.TotalBytes), Free: known64(d.UsableBytes)}
			if d.Err != nil {
				disk.Problem = d.Err.Error()
			}
			broker.Disks = append(broker.Disks, disk)
		}
		out = append(out, broker)
	}
	slices.SortFunc(out, func(a, b Broker) int { return int(a.ID) - int(b.ID) })
	return out, missing, nil
}

// ParseBroker reads a broker's id.
func ParseBroker(text string) (int32, error) {
	id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || id < 0 {
		return 0, fmt.Errorf("%q is no broker id: it is a number from 0 on", text)
	}
	return int32(id), nil
}

func address(b kadm.BrokerDetail) string {
	if b.Host == "" {
		return ""
	}
	return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
}

// known64 is nil for the -1 by which brokers say that they do not tell.
func known64(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}
